"""What the container is told of its interfaces, without Kubernetes: two files.

Owns the device-information file that a runtime names, and `userspace.json` in
the container's directory. Never makes the latter from its own content: the
container can write there, so only the records' word counts. Nothing planted
under its name is followed, waited for or written to; the same care costs
nothing for the other file. Both are replaced atomically: readers poll.
Source: NPWG device-info-spec 1.1.0; docs/reference/interfaces-file.md.
"""

from __future__ import annotations

import os
from errno import ELOOP
from stat import S_ISREG

from cni_userspace.attach.naming import digest
from cni_userspace.errors import ConflictError, InputOutputError, InvalidConfigError, PluginError
from cni_userspace.host.dirfd import open_directory
from cni_userspace.jsontext import JsonError, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

INTERFACES_FILE = "userspace.json"
INTERFACES_VERSION = "1.0.0"
DEVICE_INFO_VERSION = "1.1.0"
VHOST_USER = "vhost-user"
PCI = "pci"
IDENTITY = {VHOST_USER: "path", PCI: "pci-address"}  # what tells one device of a kind from another
_MODE = 0o644  # the container's user is anybody
_MAX_BYTES = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not block
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def device_info(mode: str, path: str) -> dict[str, Any]:
    """Return the vhost-user object of the device-info-spec.

    `mode` is the role of the container's application: "server" makes the
    socket (OVS dpdkvhostuserclient), "client" finds it (dpdkvhostuser).
    `path` is the socket's path inside the container.
    """
    return {"type": VHOST_USER, "version": DEVICE_INFO_VERSION, VHOST_USER: {"mode": mode, "path": path}}


def pci_device_info(address: str, more: Mapping[str, str]) -> dict[str, Any]:
    """Return the pci object of the device-info-spec; `more` are its other keys, empty ones left out."""
    filled = {key: value for key, value in more.items() if value}
    return {"type": PCI, "version": DEVICE_INFO_VERSION, PCI: {"pci-address": address, **filled}}


# --- the file that CNIDeviceInfoFile names


def write_device_info(file: str, info: Mapping[str, Any]) -> str | None:
    """Write or update a device-information file (0644; its directory is made, 0755).

    Keys of a file that is there already, a device plugin's copy, are kept
    where `info` has none. Returns what `remove_device_info` needs to take it
    back: the previous text, or None where there was no file, or one that an
    earlier call with the same `info` made.
    Raises InvalidConfigError for a path that is not absolute, ConflictError
    where something else than such a file stands there, InputOutputError.
    """
    if not file.startswith("/") or file.endswith("/") or "\0" in file:
        raise InvalidConfigError(
            "runtimeConfig.CNIDeviceInfoFile is no absolute path of a file",
            details=repr(file),
        )
    folder, name = os.path.split(file)
    try:
        with open_directory(folder, create=True) as directory:
            previous = _read(directory.fd, name)
            found = _decode(file, previous)
            _replace(directory.fd, name, dumps(_merged(found, info)))
    except OSError as error:
        raise _failed("the device information cannot be written", file, error) from None
    return None if found == info else previous


def read_device_info(file: str) -> dict[str, Any]:
    """Return the device information as it stands in the file; {} for a missing or unreadable one."""
    folder, name = os.path.split(file)
    try:
        with open_directory(folder) as directory:
            return _decode(file, _read(directory.fd, name))
    except (OSError, PluginError):
        return {}


def remove_device_info(file: str, info: Mapping[str, Any], previous: str | None) -> None:
    """Take the device information back: restore the previous text, or remove the file.

    Only while it is still ours, that is while it names the same device. A file
    that is missing (Multus deletes it at DEL), another's or unreadable is left
    alone. Repeats are fine. Raises InputOutputError.
    """
    folder, name = os.path.split(file)
    try:
        with open_directory(folder) as directory:
            _discard(directory.fd, _temporary(name))
            if not _is_ours(directory.fd, name, file, info):
                return
            if previous is None:
                os.unlink(name, dir_fd=directory.fd)
            else:
                _replace(directory.fd, name, previous)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failed("the device information cannot be taken back", file, error) from None


def _is_ours(dir_fd: int, name: str, file: str, info: Mapping[str, Any]) -> bool:
    try:
        found = _decode(file, _read(dir_fd, name))
    except ConflictError:
        return False
    kind = info["type"]
    identity = IDENTITY[kind]
    return isinstance(found.get(kind), dict) and found[kind].get(identity) == info[kind][identity]


def _decode(file: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = loads(text)
    except JsonError as error:
        raise _occupied(file, str(error)) from None
    if not isinstance(found, dict):
        raise _occupied(file, "it holds no JSON object")
    return found


def _merged(found: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**found, **info}
    for key, value in info.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            merged[key] = {**found[key], **value}
    return merged


# --- the file beside the socket


def write_interfaces_file(dir_fd: int, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Make `userspace.json` (0644) in an open directory say just these entries, by interface name.

    Without entries the file is removed. The caller holds the lock under which
    it read the records that the entries come from. What the container planted
    under the name is replaced, or removed; only a directory there is not:
    ConflictError, and left alone when there are no entries. Raises
    InputOutputError too.
    """
    try:
        if not entries:
            _discard(dir_fd, _temporary(INTERFACES_FILE))
            os.unlink(INTERFACES_FILE, dir_fd=dir_fd)
            return
        interfaces = {name: dict(entries[name]) for name in sorted(entries)}
        content = {"version": INTERFACES_VERSION, "interfaces": interfaces}
        _replace(dir_fd, INTERFACES_FILE, dumps(content) + "\n")
    except IsADirectoryError:
        if entries:
            raise _occupied(INTERFACES_FILE, "a directory stands there") from None
    except FileNotFoundError as error:
        if entries:  # the directory itself is gone
            raise _failed("the interfaces file cannot be written", INTERFACES_FILE, error) from None
    except OSError as error:
        raise _failed("the interfaces file cannot be written", INTERFACES_FILE, error) from None


def read_interfaces_file(dir_fd: int) -> dict[str, Any]:
    """Return the entries in `userspace.json` by interface name, for a comparison alone.

    {} where the file is missing, unreadable or malformed; never blocks.
    """
    try:
        found = _decode(INTERFACES_FILE, _read(dir_fd, INTERFACES_FILE)).get("interfaces")
    except (OSError, PluginError):
        return {}
    return found if isinstance(found, dict) else {}


# --- below both


def _read(dir_fd: int, name: str) -> str | None:
    try:
        fd = os.open(name, _READ, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == ELOOP:
            raise _occupied(name, "a symbolic link stands there") from None
        raise
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _occupied(name, "it is no regular file")
    with open(fd, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise _occupied(name, f"it is longer than {_MAX_BYTES} bytes")
    return data.decode(errors="replace")


def _replace(dir_fd: int, name: str, text: str) -> None:
    """Put a new file under the name, whatever but a directory stands there."""
    temporary = _temporary(name)
    _discard(dir_fd, temporary)  # a killed call's
    try:
        fd = os.open(temporary, _MAKE, _MODE, dir_fd=dir_fd)
    except FileExistsError:  # planted: then one that nobody can foresee
        temporary = f"{temporary}{os.urandom(8).hex()}"
        fd = os.open(temporary, _MAKE, _MODE, dir_fd=dir_fd)
    with open(fd, "wb") as file:
        try:
            os.fchmod(file.fileno(), _MODE)  # whatever our umask is
            file.write(text.encode())
            file.flush()
            os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except BaseException:
            _discard(dir_fd, temporary)
            raise


def _temporary(name: str) -> str:
    """Return the name under which a file is written first: always the same, so that no ruin stays."""
    return f".userspace-{digest(name, length=12)}"


def _discard(dir_fd: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except OSError:  # not there, or a directory that the container planted
        pass


def _occupied(file: str, reason: str) -> ConflictError:
    return ConflictError(
        f"{os.path.basename(file)} cannot be written over what is there",
        details=f"{file}: {reason}",
        hint="remove it",
    )


def _failed(what: str, file: str, error: OSError) -> InputOutputError:
    return InputOutputError(what, details=f"{file}: {error.strerror}")
