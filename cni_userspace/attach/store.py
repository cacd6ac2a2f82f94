"""Records: what was made for each attachment, on disk.

Owns the state directory: attachments/<container>/<ifname>@<network>.json and
owed/, an empty file per record whose DEL could not finish. A record is written
before the first effect and deleted after the last clean-up. It is replaced
atomically but not fsynced: after a power cut no container lives any more, and
the marks in the switch's database find what a lost record knew.
"""

from __future__ import annotations

import os

from cni_userspace.attach.naming import directory_name, record_name
from cni_userspace.errors import InputOutputError
from cni_userspace.host.lock import DirectoryLock
from cni_userspace.jsontext import JsonError, dumps, loads
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from cni_userspace.host.deadline import Deadline

ADDING = "adding"  # an ADD is at work, or died at it
ATTACHED = "attached"
OWED = "owed"  # a DEL, or an ADD's way back, could not finish
FORMAT = 1
ATTACHMENTS = "attachments"
DEBTS = "owed"


class Key(Value):
    """The identity of an attachment (CNI specification 1.1.0, "DEL")."""

    network: str
    container_id: str
    ifname: str


class Record(Value):
    """What one attachment is and what was made for it."""

    key: Key
    state: str
    engine: str
    netns: str = ""
    netns_id: str = ""
    created: int = 0  # seconds since the epoch
    pod: Mapping[str, str] = {}
    config: Mapping[str, Any] = {}  # what ADD got, without prevResult
    path: tuple[str, ...] = ()  # CNI_PATH, where ADD found the IPAM plugin
    args: Mapping[str, str] = {}  # CNI_ARGS
    ipam_type: str = ""
    plan: Mapping[str, Any] = {}  # the engine's own
    result: Mapping[str, Any] = {}  # this attachment's part, in the newest form
    directory: str = ""  # the container's directory on the host
    entry: Mapping[str, Any] = {}  # this interface's part of the file in that directory
    device_info: Mapping[str, Any] = {}  # {"file", "info", "previous"} of the device-info file
    reason: str = ""  # why it is owed


class Store:
    """The records of one node."""

    def __init__(self, state_dir: str) -> None:
        """Name the state directory; nothing is made until something is kept."""
        self.path = state_dir

    def lock(self, container_id: str, deadline: Deadline) -> DirectoryLock:
        """Lock all records of one container; raises InputOutputError where no state can be kept."""
        parent = f"{self.path}/{ATTACHMENTS}"
        try:
            os.makedirs(parent, mode=0o700, exist_ok=True)
        except OSError as error:
            raise InputOutputError(
                "the plugin's state directory cannot be made",
                details=f"{parent}: {error.strerror}",
                hint="`stateDir` in the node file names another",
            ) from None
        return DirectoryLock(f"{parent}/{directory_name(container_id)}", deadline)

    def read(self, key: Key) -> Record | None:
        """Return the record, or None; one that cannot be read counts as none (the marks remain)."""
        return _load(self._file(key))

    def write(self, record: Record) -> None:
        """Keep a record, replacing an older one; the container's lock must be held."""
        file = self._file(record.key)
        fresh = f"{file}.new"
        try:
            _write(fresh, dumps(_to_json(record)))
            os.replace(fresh, file)
            self._mark(record)
        except OSError as error:
            _discard(fresh)
            raise InputOutputError(
                "the attachment's record cannot be written",
                details=f"{file}: {error.strerror}",
                hint="`stateDir` in the node file names another place",
            ) from None

    def delete(self, key: Key) -> None:
        """Forget a record; a repeat is success."""
        for path in (self._debt(key), f"{self._file(key)}.new", self._file(key)):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass

    def of_container(self, container_id: str) -> list[Record]:
        """Return the readable records of one container, by interface name.

        Raises OSError where they cannot be listed: none found is an answer,
        not knowing is none.
        """
        folder = f"{self.path}/{ATTACHMENTS}/{directory_name(container_id)}"
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        return list(_readable(folder, names))

    def shares(self, key: Key, directory: str) -> bool:
        """Tell whether another attachment of the container uses a directory, or may.

        One whose record cannot be read counts as one that does.
        """
        own = self._file(key)
        folder = os.path.dirname(own)
        files = [f"{folder}/{name}" for name in _names(folder) if name.endswith(".json")]
        others = [_load(file) for file in files if file != own]
        return any(record is None or record.directory == directory for record in others)

    def has_file(self, key: Key) -> bool:
        """Tell whether there is a record, readable or not."""
        return os.path.lexists(self._file(key))

    def all(self) -> Iterator[Record]:
        """Yield every readable record of the node."""
        for name in _names(f"{self.path}/{ATTACHMENTS}"):
            folder = f"{self.path}/{ATTACHMENTS}/{name}"
            yield from _readable(folder, _names(folder))

    def unreadable(self) -> list[str]:
        """Return the record files that cannot be read, torn by a power cut for example."""
        root = f"{self.path}/{ATTACHMENTS}"
        files = [f"{root}/{folder}/{name}" for folder in _names(root) for name in _names(f"{root}/{folder}")]
        return [file for file in files if file.endswith(".json") and _load(file) is None]

    def has_debts(self) -> bool:
        """Tell, at the cost of one listing, whether anything may be owed."""
        return bool(_names(f"{self.path}/{DEBTS}"))

    def owed(self) -> list[Record]:
        """Return the records whose clean-up is owed; what was tried longest ago comes first."""
        folder = f"{self.path}/{DEBTS}"
        debts = []
        for name in _names(folder):
            container, _, file = name.partition("+")
            record = _load(f"{self.path}/{ATTACHMENTS}/{container}/{file}")
            if record is not None and record.state == OWED:
                debts.append((_age(f"{folder}/{name}"), name, record))
        return [record for _, _, record in sorted(debts, key=lambda d: d[:2])]

    def _mark(self, record: Record) -> None:
        debt = self._debt(record.key)
        if record.state == OWED:
            os.makedirs(os.path.dirname(debt), mode=0o700, exist_ok=True)
            _write(debt, "")

    def _file(self, key: Key) -> str:
        name = record_name(key.network, key.ifname)
        return f"{self.path}/{ATTACHMENTS}/{directory_name(key.container_id)}/{name}"

    def _debt(self, key: Key) -> str:
        name = record_name(key.network, key.ifname)
        return f"{self.path}/{DEBTS}/{directory_name(key.container_id)}+{name}"


def _readable(folder: str, names: Iterable[str]) -> Iterator[Record]:
    for name in names:
        record = _load(f"{folder}/{name}") if name.endswith(".json") else None
        if record is not None:
            yield record


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _age(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:  # settled by another call meanwhile
        return 0


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # it was not even made; the error that brought us here is told
        pass


def _load(path: str) -> Record | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            found = loads(file.read())
        return _from_json(found)
    except (OSError, JsonError, KeyError, TypeError, AttributeError):
        return None


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **record.as_dict(),
        "key": record.key.as_dict(),
        "path": list(record.path),
    }


def _from_json(found: dict[str, Any]) -> Record:
    known = {name: value for name, value in found.items() if name in Record._fields}
    return Record(**{**known, "key": Key(**found["key"]), "path": tuple(found.get("path", ()))})
