"""Frames as bytes, and the capture files that carry them.

Owns the layouts of Ethernet II with 802.1Q and 802.1ad tags, ARP (RFC 826),
IPv4 (RFC 791), IPv6 (RFC 8200), UDP and neighbour discovery (RFC 4861), and of
the classic pcap file in this machine's byte order: written with microseconds,
read with nanoseconds too, which is what DPDK's net_pcap writes. Knows no
switch. Every frame is at least 60 bytes long, as on a wire: a tag makes it
longer, and taking one off must not leave it shorter than it was.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST = 60
CUSTOMER = 0x8100  # 802.1Q
SERVICE = 0x88A8  # 802.1ad, the outer tag of two
EXPERIMENT = 0x88B5  # an EtherType that IEEE keeps for local experiments
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
UDP, ICMPV6 = 17, 58
CHECKSUM_AT = {UDP: 6, ICMPV6: 2}
BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"
ALL_NODES = "33:33:00:00:00:01"
CAPTURE = struct.Struct("=IHHiIII")  # magic, version, zone, figures, snapshot length, link type
RECORD = struct.Struct("=IIII")  # seconds, microseconds, bytes kept, bytes there were
MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET, SNAPSHOT = 1, 262144
ADVERTISEMENT, OVERRIDE, TARGET_LINK = 136, 0x20000000, 2  # RFC 4861, 4.4 and 4.6.1


# --- Ethernet


def ethernet(
    source: str,
    payload: bytes = b"",
    *,
    to: str = BROADCAST,
    kind: int = EXPERIMENT,
    size: int = LEAST,
) -> bytes:
    """Return an untagged frame, filled up with zeros to `size` bytes."""
    return (_mac(to) + _mac(source) + struct.pack("!H", kind) + payload).ljust(max(size, LEAST), b"\0")


def tagged(frame: bytes, vlan: int, *, kind: int = CUSTOMER) -> bytes:
    """Return the frame with one more tag, the outermost."""
    return frame[:12] + struct.pack("!HH", kind, vlan) + frame[12:]


def numbered(source: str, count: int, *, to: str = BROADCAST, size: int = LEAST) -> list[bytes]:
    """Return frames that differ: their order can be told, and a changed byte shows."""
    fill = bytes(range(256)) * (size // 256 + 1)
    return [
        ethernet(source, struct.pack("!I", n) + fill[: size - 18], to=to, size=size) for n in range(count)
    ]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


# --- the Internet protocols


def arp(source: str, address: str, *, claimed: str = "") -> bytes:
    """Return a gratuitous announcement: `address` is at `claimed`, by default at the frame's source."""
    ip = ipaddress.IPv4Address(address).packed
    body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + _mac(claimed or source) + ip + _mac(NOBODY) + ip
    return ethernet(source, body, kind=ARP)


def udp4(source: str, address: str, *, to: str = BROADCAST, target: str = "255.255.255.255") -> bytes:
    """Return a datagram over IPv4; its UDP checksum is left out, as RFC 768 permits."""
    datagram = struct.pack("!HHHH", 4000, 4000, 8 + 4, 0) + b"us04"
    ends = ipaddress.IPv4Address(address).packed + ipaddress.IPv4Address(target).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, UDP, 0) + ends
    return ethernet(
        source, head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + datagram, to=to, kind=IPV4
    )


def udp6(source: str, address: str, *, to: str = ALL_NODES, target: str = "ff02::1") -> bytes:
    """Return a datagram over IPv6."""
    datagram = struct.pack("!HHHH", 4000, 4000, 8 + 4, 0) + b"us06"
    return _ipv6(source, (address, target), to, UDP, datagram)


def advertisement(source: str, address: str, *, claimed: str = "", sender: str = "") -> bytes:
    """Return an unsolicited neighbour advertisement: `address` is at `claimed`, else at the source.

    `sender` is the IPv6 source, by default the same address.
    """
    option = struct.pack("!BB", TARGET_LINK, 1) + _mac(claimed or source)
    body = (
        struct.pack("!BBHI", ADVERTISEMENT, 0, 0, OVERRIDE) + ipaddress.IPv6Address(address).packed + option
    )
    return _ipv6(source, (sender or address, "ff02::1"), ALL_NODES, ICMPV6, body)


def _ipv6(source: str, ends: tuple[str, str], to: str, kind: int, body: bytes) -> bytes:
    """Put an IPv6 header before a body, and the checksum into it."""
    addresses = b"".join(ipaddress.IPv6Address(end).packed for end in ends)
    pseudo, at = addresses + struct.pack("!II", len(body), kind), CHECKSUM_AT[kind]
    body = body[:at] + struct.pack("!H", _checksum(pseudo + body)) + body[at + 2 :]
    return ethernet(
        source, struct.pack("!IHBB", 6 << 28, len(body), kind, 255) + addresses + body, to=to, kind=IPV6
    )


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# --- capture files


def write_capture(path: str, frames: Iterable[bytes]) -> None:
    """Write a capture file of these frames, over an older one."""
    with open(path, "wb") as file:
        file.write(CAPTURE.pack(MICROSECONDS, 2, 4, 0, 0, SNAPSHOT, ETHERNET))
        file.writelines(RECORD.pack(0, 0, len(frame), len(frame)) + frame for frame in frames)


def read_capture(path: str) -> list[bytes]:
    """Return the whole frames of a capture file that may still be written to; [] for none yet.

    Raises ValueError for another format.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    if len(data) < CAPTURE.size:
        return []
    if CAPTURE.unpack_from(data)[0] not in (MICROSECONDS, NANOSECONDS):
        raise ValueError(f"{path} is no capture of this machine's byte order")
    frames, at = [], CAPTURE.size
    while at + RECORD.size <= len(data):
        size = RECORD.unpack_from(data, at)[2]
        at += RECORD.size + size
        if at <= len(data):
            frames.append(data[at - size : at])
    return frames
