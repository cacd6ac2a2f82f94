"""Telling the neighbours where an address is now.

Owns the two frames that do it: a gratuitous ARP request (RFC 5227, "ARP
Announcement") and an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
Without them a switch or a neighbour keeps sending to where the address was
before. The kernel's arp_notify and ndisc_notify send them only when a link
comes up, and its addresses come later.
"""

from __future__ import annotations

import _socket
from _struct import pack

from cni_userspace.host import netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAC_BYTES = 6
BROADCAST = b"\xff" * MAC_BYTES
ALL_NODES = _socket.inet_pton(_socket.AF_INET6, "ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")  # RFC 2464, 7
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
ETHERNET, REQUEST = 1, 1  # RFC 826
ICMPV6, ADVERTISEMENT, TARGET_LINK_ADDRESS = 58, 136, 2  # RFC 4861, 4.4 and 4.6.1
OVERRIDE = 0x20000000
HOPS = 255


def announce(netns_fd: int, name: str, mac: str, addresses: Iterable[str]) -> list[str]:
    """Send one frame for each address from an interface of a namespace; return what failed.

    `addresses` are with or without prefix length, `mac` is the interface's. An
    interface without a carrier may take frames and send none. Nothing is sent
    from one that is no Ethernet. Raises OSError only where no frame can be sent
    at all (EPERM without CAP_NET_RAW).
    """
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != MAC_BYTES:
        return [f"nothing was announced on {name}: its address {mac} is none of Ethernet's"]
    with netns.Inside(netns_fd):
        sender = _socket.socket(_socket.AF_PACKET, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    failures = []
    try:
        for address in addresses:
            frame = announcement(octets, address.partition("/")[0])
            try:
                sender.sendto(frame, (name, int.from_bytes(frame[12:14], "big")))
            except OSError as error:
                failures.append(f"{address} was not announced on {name}: {error.strerror}")
    finally:
        sender.close()
    return failures


def announcement(mac: bytes, address: str) -> bytes:
    """Return the Ethernet frame that says where an address is."""
    if ":" in address:
        return _advertisement(mac, _socket.inet_pton(_socket.AF_INET6, address))
    return _request(mac, _socket.inet_pton(_socket.AF_INET, address))


def _request(mac: bytes, address: bytes) -> bytes:
    head = pack("!HHBBH", ETHERNET, ETH_P_IP, len(mac), len(address), REQUEST)
    return BROADCAST + mac + pack("!H", ETH_P_ARP) + head + mac + address + bytes(6) + address


def _advertisement(mac: bytes, address: bytes) -> bytes:
    rest = pack("!I16sBB6s", OVERRIDE, address, TARGET_LINK_ADDRESS, 1, mac)  # 1: in units of 8 bytes
    length = 4 + len(rest)
    pseudo = address + ALL_NODES + pack("!II", length, ICMPV6)  # RFC 8200, 8.1
    checksum = _checksum(pseudo + pack("!BBH", ADVERTISEMENT, 0, 0) + rest)
    message = pack("!BBH", ADVERTISEMENT, 0, checksum) + rest
    packet = pack("!IHBB", 6 << 28, length, ICMPV6, HOPS) + address + ALL_NODES + message
    return ALL_NODES_MAC + mac + pack("!H", ETH_P_IPV6) + packet


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); the length of `data` is even."""
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
