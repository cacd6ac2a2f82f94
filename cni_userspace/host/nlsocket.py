"""A conversation with the kernel over rtnetlink: requests, answers, news.

Owns the AF_NETLINK socket and the form of the exchange (netlink(7)): one
request at a time, every answer awaited until the deadline, errors as OSError
with the kernel's errno and its own words (NETLINK_EXT_ACK). The kernel works on
a request while it is sent, and nothing ends that early; a deadline ends the
wait for the answer. The messages' content is pyroute2's (host.lean).
Loaded by the engines that need it alone: it costs 12 ms.
"""

from __future__ import annotations

import _socket
import os
from errno import ENOBUFS
from sys import byteorder

from cni_userspace.host import netns
from cni_userspace.host.lean import Codecs

with Codecs():
    from cni_userspace.host.rtmessages import Acknowledgement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    from cni_userspace.host.deadline import Deadline

NETLINK_ROUTE = 0  # linux/netlink.h, as all of these
SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x200, 0x400, 0x800
HEADER_BYTES = 16
BUFFER_BYTES = 1 << 16  # a link with 127 VFs takes 40 kB; more is asked for where a message is larger
NEWS_BUFFER_BYTES = 1 << 20


class NlSocket:
    """A socket in one namespace; a context manager.

    `netns_fd` is an open namespace file (this process's own namespace by
    default), not needed any longer after construction. Raises OSError.
    """

    def __init__(self, deadline: Deadline, netns_fd: int | None = None) -> None:
        """Open the socket there; the process stays where it is."""
        self.deadline = deadline
        self._buffer = bytearray(BUFFER_BYTES)
        self._sequence = 0
        self._home = -1 if netns_fd is None else os.dup(netns_fd)
        try:
            self._socket = self._open(0)
        except BaseException:
            self._close_home()
            raise

    def _open(self, groups: int) -> _socket.socket:
        if self._home < 0:
            made = _make()
        else:
            with netns.Inside(self._home):
                made = _make()
        try:
            for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
                made.setsockopt(SOL_NETLINK, option, 1)
            made.bind((0, groups))
        except BaseException:
            made.close()
            raise
        return made

    def __enter__(self) -> Self:
        """Return the socket."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._socket.close()
        self._close_home()

    def _close_home(self) -> None:
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    def request(self, message: Any, kind: int, flags: int = 0) -> list[bytes]:  # noqa: ANN401  untyped library
        """Send one request and return the messages that answer it, without the acknowledgement.

        Raises OSError with the kernel's errno and words, TimeoutError.
        """
        self._send(message, kind, NLM_F_REQUEST | NLM_F_ACK | flags)
        answers: list[bytes] = []
        while True:
            for found, more in self._mine():
                if found == NLMSG_ERROR:
                    _raise_if_error(more)
                    return answers
                answers.append(more)

    def dump(self, make: Callable[[], Any], kind: int) -> list[bytes]:
        """Ask for all objects of a kind; ask anew where they changed meanwhile.

        `make` makes the request. Raises OSError with the kernel's errno and
        words, TimeoutError.
        """
        while True:
            answers = self._dump_once(make(), kind)
            if answers is not None:
                return answers

    def _dump_once(self, message: Any, kind: int) -> list[bytes] | None:  # noqa: ANN401  untyped library
        self._send(message, kind, NLM_F_REQUEST | NLM_F_DUMP)
        answers: list[bytes] = []
        torn = False
        while True:
            for found, more in self._mine():
                torn = torn or bool(_short(more, 6) & NLM_F_DUMP_INTR)
                if found == NLMSG_ERROR:
                    _raise_if_error(more)
                if found == NLMSG_DONE:
                    _raise_if_code(_signed(more, HEADER_BYTES), "")
                    return None if torn else answers
                answers.append(more)

    def _send(self, message: Any, kind: int, flags: int) -> None:  # noqa: ANN401  untyped library
        self._sequence += 1
        message["header"] = {"type": kind, "flags": flags, "sequence_number": self._sequence}
        message.encode()
        self._socket.settimeout(self.deadline.remaining())
        self._socket.sendto(bytes(message.data), (0, 0))

    def _mine(self) -> Iterator[tuple[int, bytes]]:
        """Read once; yield type and bytes of each message that answers the last request."""
        for message in receive(self._socket, self._buffer, self.deadline):
            if int.from_bytes(message[8:12], byteorder) == self._sequence:
                yield kind_of(message), message

    def listen(self, groups: int) -> News:
        """Return what the kernel will tell from now on; `groups` is a mask of RTMGRP_ values."""
        return News(self._open(groups))


class News:
    """The kernel's messages to a group, from construction on; a context manager."""

    def __init__(self, subscribed: _socket.socket) -> None:
        """Take over a bound socket."""
        self._socket = subscribed
        self._buffer = bytearray(BUFFER_BYTES)
        subscribed.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, NEWS_BUFFER_BYTES)

    def __enter__(self) -> Self:
        """Return the news."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def wait(self, deadline: Deadline) -> list[bytes] | None:
        """Return the next messages, None where some were lost and a new look is needed.

        Raises TimeoutError at the deadline.
        """
        try:
            return list(receive(self._socket, self._buffer, deadline))
        except OSError as error:
            if error.errno == ENOBUFS:
                return None
            raise


def _make() -> _socket.socket:
    return _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_ROUTE)


def receive(source: _socket.socket, buffer: bytearray, deadline: Deadline) -> Iterator[bytes]:
    """Read one datagram of the kernel's, however large, and yield its messages."""
    while True:
        source.settimeout(deadline.remaining())
        size = source.recv_into(buffer, 0, _socket.MSG_PEEK | _socket.MSG_TRUNC)
        if size > len(buffer):
            buffer.extend(bytes(size - len(buffer)))
        size, sender = source.recvfrom_into(buffer)
        if sender[0] == 0:  # netlink(7): the kernel, and not another program
            break
    start = 0
    while start + HEADER_BYTES <= size:
        length = max(HEADER_BYTES, int.from_bytes(buffer[start : start + 4], byteorder))
        yield bytes(buffer[start : start + length])
        start += (length + 3) & ~3


def _raise_if_error(message: bytes) -> None:
    code = _signed(message, HEADER_BYTES)
    if code:
        acknowledgement = Acknowledgement(message)
        acknowledgement.decode()
        _raise_if_code(code, acknowledgement.get_attr("NLMSGERR_ATTR_MSG") or "")


def _raise_if_code(code: int, words: str) -> None:
    if code < 0:
        what = os.strerror(-code)
        raise OSError(-code, f"{what}: {words}" if words else what)


def kind_of(message: bytes) -> int:
    """Return a message's type."""
    return _short(message, 4)


def _short(message: bytes, start: int) -> int:
    return int.from_bytes(message[start : start + 2], byteorder)


def _signed(message: bytes, start: int) -> int:
    return int.from_bytes(message[start : start + 4], byteorder, signed=True)
