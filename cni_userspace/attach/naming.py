"""Names: ports, sockets, directories, MAC addresses.

Owns how identity becomes a name. Pure. A Linux and OpenFlow port name holds
15 bytes, a containerID 64 and more, so names carry a digest of the whole
identity; the identity itself stands in the record and in the marks.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b  # hashlib loads OpenSSL for 3 ms
except ImportError:
    from hashlib import blake2b

PORT_PREFIX = "vhu"
PORT_BYTES = 15  # OFP_MAX_PORT_NAME_LEN less the NUL
ALPHABET = "0123456789abcdefghijklmnopqrstuv"  # base 32, lower case
SEPARATOR = "\0"  # in no containerID, interface or network name
LONG_ID = 150  # a file name holds 255 bytes


def digest(*parts: str, length: int) -> str:
    """Return `length` characters (5 bits each) of a digest of the parts."""
    raw = blake2b(SEPARATOR.join(parts).encode("utf-8", "surrogateescape"), digest_size=32).digest()
    number = int.from_bytes(raw, "big")
    return "".join(ALPHABET[(number >> (5 * i)) & 31] for i in range(length))


def port_name(container_id: str, ifname: str, salt: str = "") -> str:
    """Return the port name of an attachment: 15 bytes, 60 bits of digest.

    The same one each time, unless a salt makes it another.
    """
    salted = (container_id, ifname, salt) if salt else (container_id, ifname)
    return PORT_PREFIX + digest(*salted, length=PORT_BYTES - len(PORT_PREFIX))


def fitted_port_name(name: str) -> str:
    """Return a name as it is, or cut with a digest where it exceeds 15 bytes."""
    whole = name.encode()
    if len(whole) <= PORT_BYTES:
        return name
    return whole[:7].decode(errors="ignore") + digest(name, length=8)


def directory_name(container_id: str) -> str:
    """Return the container's directory name: its id, or a cut id with a digest.

    No containerID holds "~", so a cut one equals no whole one.
    """
    if len(container_id) <= LONG_ID:
        return container_id
    return f"{container_id[:LONG_ID]}~{digest(container_id, length=20)}"


def record_name(network: str, ifname: str) -> str:
    """Return the file name of an attachment's record within its container's directory."""
    return f"{ifname}@{digest(network, length=12)}.json"


def link_name(directory: str) -> str:
    """Return the short name under which a long directory is linked."""
    return digest(directory, length=11)


def stable_mac(container_id: str, ifname: str) -> str:
    """Return a locally administered unicast MAC that an attachment keeps over restarts."""
    raw = blake2b(SEPARATOR.join((container_id, ifname)).encode(), digest_size=6, person=b"mac").digest()
    first = (raw[0] & 0xFC) | 0x02
    return ":".join(f"{byte:02x}" for byte in (first, *raw[1:]))


def cookie(network: str, container_id: str, ifname: str) -> int:
    """Return 63 bits that mark an attachment's flows: never 0, nor the all ones that OpenFlow reserves."""
    identity = SEPARATOR.join((network, container_id, ifname)).encode("utf-8", "surrogateescape")
    raw = blake2b(identity, digest_size=8, person=b"cookie").digest()
    return (int.from_bytes(raw, "big") >> 1) | 1
