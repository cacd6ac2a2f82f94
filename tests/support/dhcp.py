"""DHCP: a server on one network device, the reference plugins' client daemon, and what passes between them.

Owns both daemons and a look at the datagrams on the server's own device: what
is seen there has arrived, or was sent. Formats: RFC 2131 (BOOTP's layout in
section 2), RFC 2132 (option 53).
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support import gotools
from tests.support.child import Child, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

DISCOVER, OFFER, REQUEST, ACK, RELEASE = 1, 2, 3, 5, 7
PORTS = (67, 68)
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800  # with the former only, what is sent is seen, too (packet(7))
UDP_HEADER, BOOTP_OPTIONS = 8, 240
KIND = 53
SECONDS = 30.0


@dataclass(frozen=True)
class Message:
    """One DHCP message."""

    kind: int
    mac: str  # the client's
    client: str  # the address that the client has (ciaddr)
    given: str  # the address that the server gives (yiaddr)


class Server:
    """busybox' udhcpd on a device that is up; a context manager."""

    def __init__(self, directory: str, device: str, mac: str, address: str, router: str) -> None:
        """Have one address, for one client: of a fixed lease the server need not ask whether it is taken."""
        self._log = os.path.join(directory, "udhcpd.log")
        self._conf = os.path.join(directory, "udhcpd.conf")
        lines = (
            f"interface {device}",
            f"start {address}",
            f"end {address}",
            f"static_lease {mac} {address}",
            f"lease_file {directory}/leases",
            f"pidfile {directory}/udhcpd.pid",
            "option subnet 255.255.255.0",
            f"option router {router}",
            "option lease 3600",
        )
        with open(self._conf, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        with open(f"{directory}/leases", "w", encoding="ascii"):
            pass
        self._device = device

    def __enter__(self) -> Self:
        """Listen, then start it."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._socket.bind((self._device, ETH_P_ALL))
        self._socket.settimeout(0)
        self._child = Child(["busybox", "udhcpd", "-f", self._conf], self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._child.end()
        self._socket.close()

    def messages(self, last: int) -> list[Message]:
        """Return what has passed since the last look, once a message of that kind has. Raises RigError."""
        found: list[Message] = []

        def there() -> bool:
            found.extend(self._passed())
            return any(message.kind == last for message in found)

        wait_for(f"a message {last}", there, SECONDS, proof=lambda: f"{found}\n{self._child.tail()}")
        return found

    def _passed(self) -> Iterator[Message]:
        while True:
            try:
                packet, (_, protocol, *_) = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            header = (packet[0] & 0xF) * 4
            udp = protocol == ETH_P_IP and packet[9] == socket.IPPROTO_UDP
            if udp and _ports(packet[header:]) <= set(PORTS):
                yield _message(packet[header + UDP_HEADER :])


class Daemon:
    """`dhcp daemon`, which the IPAM plugin dhcp talks to at `socket`; a context manager."""

    def __init__(self, directory: str) -> None:
        """Name its socket."""
        self.socket = os.path.join(directory, "dhcp.sock")
        self._log = os.path.join(directory, "dhcp.log")

    def __enter__(self) -> Self:
        """Start it and wait until it listens. Raises RigError."""
        program = os.path.join(gotools.needed(), "dhcp")
        self._child = Child([program, "daemon", "-socketpath", self.socket], self._log)
        wait_for("dhcp listens", lambda: os.path.exists(self.socket), SECONDS, proof=self._child.tail)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._child.end()

    def words(self) -> str:
        """Return what it has said last."""
        return self._child.tail()


def _ports(datagram: bytes) -> set[int]:
    return set(struct.unpack_from("!HH", datagram))


def _message(bootp: bytes) -> Message:
    client, given = (socket.inet_ntoa(bootp[at : at + 4]) for at in (12, 16))
    return Message(_kind(bootp[BOOTP_OPTIONS:]), bootp[28:34].hex(":"), client, given)


def _kind(options: bytes) -> int:
    """Return the value of option 53; an option is a code, a length and so many bytes, 0 alone is none."""
    at = 0
    while at < len(options) and options[at] != KIND:
        at += 1 if options[at] == 0 else 2 + options[at + 1]
    return options[at + 2] if at < len(options) else 0
