"""Allocations: which attachment has which device, and what the device was like before.

Owns `<stateDir>/devices/<PCI address>/allocation.json`, one per device that is
out, and the lock on its directory. It is the mark of this engine: written
before the device is touched and removed after it came home, it outlives a lost
record, and all that the way back needs stands in it. A device belongs to the
attachment that its allocation names and to no other, so a late DEL cannot
reset what the next container has already got (sriov-cni #219).

An allocation frees itself: it counts while the namespace that it names lives.
It is replaced atomically but not fsynced, as records are: after a power cut no
device is out.
"""

from __future__ import annotations

import os

from cni_userspace.attach.store import Key
from cni_userspace.errors import InputOutputError, TryAgainError
from cni_userspace.host import netns
from cni_userspace.host.lock import DirectoryLock
from cni_userspace.host.sysfs import is_address
from cni_userspace.jsontext import JsonError, dumps, loads
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from cni_userspace.host.deadline import Deadline

DEVICES = "devices"
_FILE = "allocation.json"
LOCK_SECONDS = 15


class Allocation(Value):
    """One device that an attachment has."""

    pci: str
    key: Key
    netns: str
    netns_id: str
    pod: Mapping[str, str] = {}
    pf: str = ""  # the PF's PCI address; "": the device is the PF
    vf: int = -1  # its index there
    settings: Mapping[str, Any] = {}  # the VF's at its PF, before
    netdev: Mapping[str, Any] = {}  # the network device's, before; {}: it had none
    binding: Mapping[str, Any] = {}  # the driver's, before; {}: it stays as it is

    @property
    def lives(self) -> bool:
        """Tell whether the namespace is there that the device was given to."""
        return netns.alive(self.netns, self.netns_id)

    @property
    def outlived(self) -> bool:
        """Tell whether the node has booted since: then nothing is left of what was set on the device."""
        return self.netns_id.partition(":")[0] not in ("", netns.boot())

    @property
    def holder(self) -> str:
        """Return whose it is, for a message."""
        name = "/".join(filter(None, (self.pod.get("namespace"), self.pod.get("name"))))
        return f"{name or self.key.container_id} ({self.key.ifname} of {self.key.network})"


def hold(place: str, pci: str, deadline: Deadline) -> DirectoryLock:
    """Return the lock of one device; raises InputOutputError where no state can be kept.

    Entering it raises TryAgainError when it stays held.
    """
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritable(place, error) from None
    return DirectoryLock(f"{place}/{pci}", deadline.within(LOCK_SECONDS), "device")


def read(place: str, pci: str) -> Allocation | None:
    """Return a device's allocation, None without one; one torn by a power cut counts as none.

    Raises OSError where it is there and cannot be read: not knowing is not being free.

    What another version has written besides is left out: its devices are given away none the less.
    """
    try:
        with open(f"{place}/{pci}/{_FILE}", encoding="utf-8", errors="surrogateescape") as file:
            found = loads(file.read())
        known = {name: value for name, value in found.items() if name in Allocation._fields}
        return Allocation(**{**known, "key": Key(**found["key"]), "pci": pci})
    except (FileNotFoundError, JsonError, KeyError, TypeError, AttributeError):
        return None


def every(place: str) -> Iterator[Allocation]:
    """Yield all allocations of the node."""
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        return
    for name in filter(is_address, names):
        found = read(place, name)
        if found is not None:
            yield found


def torn(place: str) -> list[str]:
    """Return the allocation files that cannot be read, torn by a power cut for example."""
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        return []
    found = [name for name in names if is_address(name) and read(place, name) is None]
    return [path for name in found if os.path.lexists(path := f"{place}/{name}/{_FILE}")]


def discard_unfinished(place: str, deadline: Deadline) -> None:
    """Remove what calls left that were killed while they wrote; nobody is waited for."""
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return
    for pci in names:
        if is_address(pci) and os.path.lexists(f"{place}/{pci}/{_FILE}.new"):
            try:
                with hold(place, pci, deadline.within(0)):
                    _discard(f"{place}/{pci}/{_FILE}.new")
            except (TryAgainError, OSError):  # somebody is just writing it; the next one replaces it anyway
                continue


def write(place: str, allocation: Allocation) -> None:
    """Keep an allocation, replacing an older one; the device's lock must be held."""
    file = f"{place}/{allocation.pci}/{_FILE}"
    text = dumps({**allocation.as_dict(), "key": allocation.key.as_dict()})
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(
            os.open(f"{file}.new", flags, 0o600), "w", encoding="utf-8", errors="surrogateescape"
        ) as fresh:
            fresh.write(text)
        os.replace(f"{file}.new", file)
    except OSError as error:
        raise _unwritable(file, error) from None


def delete(place: str, pci: str) -> None:
    """Forget an allocation; a repeat is success. The device's lock must be held."""
    for name in (f"{_FILE}.new", _FILE):
        _discard(f"{place}/{pci}/{name}")


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _unwritable(path: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        "the device's allocation cannot be written",
        details=f"{path}: {error.strerror}",
        hint="`stateDir` in the node file names another place",
    )
