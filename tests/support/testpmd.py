"""dpdk-testpmd: the application in the container, on its vhost-user sockets or PCI devices.

Owns one testpmd process and its counters. It needs no hugepages of its own
(`--no-huge`, 128 MiB of shared memory) and both of its threads share one core,
so that the switch keeps the other. Facts that shape it (DPDK 22.11):

- `server=1` makes the application the socket's server, for OVS'
  dpdkvhostuserclient; without it testpmd connects, for dpdkvhostuser.
- `-l` and `--lcores` exclude each other. With `--no-lsc-interrupt` virtio-user
  never reconnects after the switch was restarted: it is not given.
- Its output into a file is buffered by the block: stdbuf(1) makes it lines.
- Interactive on a pipe it answers `show port stats` at once and `quit` ends it
  cleanly, its sockets removed; a kill leaves them.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from tests.support.child import Child, RigError, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.netns import Netns

MEMORY_MIB = 128
START_SECONDS = 90.0  # a machine of two busy cores has been seen to take over 30
STATS_SECONDS = 10.0
END_SECONDS = 5.0
T = TypeVar("T")
READY = "testpmd>"
DONE = "\nDone."
STATS = (
    r"NIC statistics for port {port} .*?RX-packets:\s*(\d+)\D+\d+\s*RX-bytes:\s*(\d+)"
    r".*?TX-packets:\s*(\d+)\D+\d+\s*TX-bytes:\s*(\d+)"
)


class Device(Protocol):
    """Something that testpmd makes one of its ports of."""

    def vdev(self, number: int) -> str:
        """Render it as an option of EAL's; no two devices have one number."""


@dataclass(frozen=True, kw_only=True)
class Vhost:
    """One vhost-user socket as the application uses it."""

    path: str
    server: bool
    mac: str = ""
    queues: int = 1

    def vdev(self, number: int) -> str:
        """Render it as EAL's --vdev takes it."""
        extra = (",server=1" if self.server else "") + (f",mac={self.mac}" if self.mac else "")
        return f"--vdev=net_virtio_user{number},path={self.path},queues={self.queues}{extra}"


@dataclass(frozen=True, kw_only=True)
class Pci:
    """One PCI device that is bound to a driver for DPDK."""

    address: str

    def vdev(self, number: int) -> str:  # noqa: ARG002  its address tells it from others
        """Render it as EAL's --allow takes it."""
        return f"--allow={self.address}"


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Packets of one port of testpmd, and their bytes."""

    received: int
    sent: int
    received_bytes: int
    sent_bytes: int


class Testpmd:
    """One testpmd, from `start` to `stop`; also a context manager.

    `mode` is its forwarding mode: txonly, rxonly, io, mac, 5tswap. `log` is a
    file in a directory of the caller's. In txonly the packets go to `peer`.
    `options` are testpmd's own, beside those that are always given.
    """

    __test__ = False  # the name is the program's; pytest would collect it

    def __init__(  # noqa: PLR0913  each is one property of a run
        self,
        sockets: Sequence[Device],
        mode: str,
        log: str,
        *,
        peer: str = "",
        netns: Netns | None = None,
        options: Sequence[str] = ("--total-num-mbufs=2048",),
    ) -> None:
        """Choose; nothing is started yet."""
        self.sockets = tuple(sockets)
        self.mode = mode
        self._log = log
        self._peer = peer
        self._netns = netns
        self._options = tuple(options)
        self._child: Child | None = None
        self._asked = itertools.count()

    def command(self) -> list[str]:
        """Return the command line."""
        core = min(os.sched_getaffinity(0))
        vdevs = [socket.vdev(number) for number, socket in enumerate(self.sockets)]
        peers = [f"--eth-peer={n},{self._peer}" for n in range(len(vdevs)) if self._peer]
        no_pci = [] if any(isinstance(socket, Pci) for socket in self.sockets) else ["--no-pci"]
        line = [
            *["stdbuf", "--output=L", "dpdk-testpmd", f"--lcores=0@{core},1@{core}"],
            *["--no-huge", "-m", str(MEMORY_MIB), *no_pci],
            *[f"--file-prefix=us-{secrets.token_hex(4)}", *vdevs, "--", "--interactive", "--auto-start"],
            *[f"--forward-mode={self.mode}", *self._options, *peers],
        ]
        return self._netns.command(line) if self._netns is not None else line

    def start(self) -> Self:
        """Start it and wait until it forwards. Raises RigError with its output."""
        self.launch()
        self.await_ready()
        return self

    def launch(self) -> None:
        """Start it; several that wait for their switch wait together."""
        self._child = Child(self.command(), self._log, talk=True)

    def await_ready(self) -> None:
        """Wait until it forwards: as a socket's server it first waits for the switch. Raises RigError."""
        self._wait("ready", lambda: READY in self._output(), START_SECONDS)

    def tell(self, *lines: str) -> None:
        """Give it commands of its prompt; they are obeyed in order, and not waited for."""
        for line in lines:
            self._living().say(line)

    def stats(self, port: int = 0) -> Stats:
        """Ask for a port's counters at this moment."""
        mark = f"asked-{next(self._asked)}"
        before = len(self._output())
        self._living().say(f"show port stats {port}")
        pattern = re.compile(STATS.format(port=port), re.DOTALL)
        found = self._wait(mark, lambda: pattern.search(self._output()[before:]), STATS_SECONDS)
        received, received_bytes, sent, sent_bytes = map(int, found.groups())
        return Stats(received=received, sent=sent, received_bytes=received_bytes, sent_bytes=sent_bytes)

    def await_received(self, packets: int, seconds: float, port: int = 0) -> int:
        """Wait until a port has received that many; return how many. Raises RigError at the end."""
        end = time.monotonic() + seconds
        while (got := self.stats(port).received) < packets:
            if time.monotonic() > end:
                raise RigError(f"{got} of {packets} packets received within {seconds:.0f} s\n{self.tail()}")
            time.sleep(0.1)
        return got

    def stop_forwarding(self) -> None:
        """Send and receive no more; it lives, and its counters stand still."""
        self._living().say("stop")
        self._wait("at rest", lambda: DONE in self._output(), STATS_SECONDS)

    def kill(self) -> None:
        """End it as a crash does; its sockets stay."""
        self._living().kill()

    def stop(self) -> None:
        """End it cleanly; once more is fine."""
        child, self._child = self._child, None
        if child is None:
            return
        end = time.monotonic() + END_SECONDS
        try:
            child.say("quit")
        except BrokenPipeError:
            end = 0  # it is gone already
        while child.alive() and time.monotonic() < end:
            time.sleep(0.02)
        child.end()

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._child is not None and self._child.alive()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._living().pid

    def tail(self) -> str:
        """Return the end of its output."""
        return self._output()[-2000:]

    def _wait(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        def living() -> T | None:
            found = look()
            if not found and not self.alive():
                raise RigError(f"testpmd ended before it was {what}:\n{self.tail()}")
            return found

        return wait_for(f"testpmd is {what}", living, seconds, proof=self.tail)

    def _living(self) -> Child:
        if self._child is None:
            raise RigError("testpmd is not started")
        return self._child

    def _output(self) -> str:
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()
