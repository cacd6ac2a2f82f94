"""Ends of a network that send what a test wrote and keep what arrives, byte by byte.

Owns one testpmd per end, which forwards between capture files (net_pcap) and
the end's vhost-user socket, and the proof that nothing is under way any more
when a test looks. Facts that shape it (DPDK 22.11, OVS 3.1):

- Without `--no-flush-rx` testpmd throws away what its ports hold when it
  starts to forward: the whole capture.
- A net_pcap port opens its files when it is started: stopping and starting it
  replays a new capture, and flushes after every burst what it records.
- Link checks of a port whose switch has gone take 9 s each: they are disabled.
- A socket that is connected drops for some milliseconds more what is sent to it.
- One PMD thread serves all ports. It takes an end's next burst when it has
  passed on the one before: once it has counted a later mark, all is passed on.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support import frames as lay
from tests.support.child import RigError, wait_for
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.netns import Netns
    from tests.support.switch import Switch
    from tests.support.testpmd import Device

SETTLE_SECONDS = 20.0
CONNECT_SECONDS = 40.0  # a restarted switch is let in by an application when it has noticed
COMEBACK_SECONDS = 10.0
VHOST = 1  # testpmd's number of the port that is the socket; 0 is the capture
HEADER = 14
MARK_BYTES = 16
MARK_SOURCE = "02:00:00:00:ff:ff"
OPTIONS = ("--total-num-mbufs=2048", "--no-flush-rx", "--disable-link-check")
JUMBO = ("--total-num-mbufs=2048", "--mbuf-size=10240", "--max-pkt-len=9018", *OPTIONS[1:])


@dataclass(frozen=True, kw_only=True)
class Capture:
    """A port of testpmd whose packets come from one file and go into another."""

    source: str
    sink: str = ""
    endless: bool = False  # the file from its beginning again, as fast as it goes; never empty

    def vdev(self, number: int) -> str:
        """Render it as EAL's --vdev takes it."""
        sink = f",tx_pcap={self.sink}" if self.sink else ""
        return (
            f"--vdev=net_pcap{number},rx_pcap={self.source}{sink}{',infinite_rx=1' if self.endless else ''}"
        )


@dataclass(kw_only=True)
class End:
    """One port of the switch, and the application on its socket."""

    port: str  # the switch's name for it
    socket: str
    directory: str  # for its files; short names, no sockets
    server: bool = True  # the application makes the socket
    jumbo: bool = False
    netns: Netns | None = None
    flood: Sequence[bytes] = ()  # sent for ever, without a record of what arrives
    app: Testpmd = field(init=False)
    _earlier: list[bytes] = field(init=False, default_factory=list)

    def launch(self) -> None:
        """Start the application."""
        lay.write_capture(self._file("in"), self.flood)
        devices: list[Device] = [
            Capture(
                source=self._file("in"),
                sink="" if self.flood else self._file("out"),
                endless=bool(self.flood),
            ),
            Vhost(path=self.socket, server=self.server),
        ]
        self.app = Testpmd(
            devices,
            "io",
            self._file("log"),
            netns=self.netns,
            options=JUMBO if self.jumbo else OPTIONS,
        )
        self.app.launch()

    def relaunch(self) -> None:
        """Start the application anew, with what has arrived so far still on record."""
        self._earlier += lay.read_capture(self._file("out"))
        self.app.stop()
        if self.server and os.path.lexists(self.socket):
            os.unlink(self.socket)
        self.launch()
        self.app.await_ready()

    def replay(self, frames: Sequence[bytes]) -> None:
        """Send these frames once, in order; until the switch has them `recorded` is not to be asked."""
        self._earlier += lay.read_capture(self._file("out"))  # the record begins anew with the port
        lay.write_capture(self._file("in"), frames)
        self.app.tell("stop", "port stop 0", "port start 0", "start")

    def recorded(self) -> list[bytes]:
        """Return all that has arrived."""
        return self._earlier + lay.read_capture(self._file("out"))

    def await_received(self, packets: int) -> None:
        """Wait until the application has received so many, recorded or not. Raises RigError."""
        self.app.await_received(packets, SETTLE_SECONDS, VHOST)

    def rate(self, seconds: float) -> float:
        """Return what arrives in that time, in kbit/s without Ethernet headers, which no policer counts."""
        first, since = self.app.stats(VHOST), time.monotonic()
        time.sleep(seconds)
        last, until = self.app.stats(VHOST), time.monotonic()
        size = last.received_bytes - first.received_bytes
        size -= HEADER * (last.received - first.received)
        return size * 8 / 1000 / (until - since)

    def _file(self, kind: str) -> str:
        return os.path.join(self.directory, f"{self.port}.{kind}")


def in_any_order(found: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
    """Return what arrived, sorted: OVS keeps the order within a flow, not between two of one burst."""
    return {name: sorted(frames) for name, frames in found.items()}


class Wire:
    """Some ends on one switch; a context manager that starts and stops their applications."""

    def __init__(self, switch: Switch, ends: Mapping[str, End]) -> None:
        """Name the ends as the test speaks of them; their ports exist."""
        self.switch = switch
        self.ends = dict(ends)
        self._places: dict[str, tuple[str, int]] = {}  # bridge and OpenFlow port number
        self._unrecorded: dict[str, int] = {}  # what each end got before it recorded

    def send(self, name: str, *frames: bytes) -> dict[str, list[bytes]]:
        """Send frames from one end; return what has arrived at which end when nothing is under way any more.

        Ends at which nothing arrived are left out. What an application passes
        on, another one than these, is not waited for.
        """
        self.settle()
        before = {other: len(end.recorded()) for other, end in self.ends.items()}
        self._replay(name, frames)
        mark = secrets.token_bytes(MARK_BYTES)
        self._replay(name, [lay.ethernet(MARK_SOURCE, mark)])
        self.settle()
        found = {other: end.recorded()[before[other] :] for other, end in self.ends.items()}
        cleaned = {other: [f for f in got if mark not in f] for other, got in found.items()}
        return {other: got for other, got in cleaned.items() if got}

    def leave(self, name: str) -> None:
        """End one of the applications."""
        self.ends.pop(name).app.stop()
        self._places.pop(name)

    def join(self, name: str, end: End) -> None:
        """Start one more."""
        end.launch()
        self.ends[name] = end
        end.app.await_ready()
        self.begin()

    def settle(self) -> None:
        """Wait until each end has recorded all that the switch has given it."""

        def late() -> list[str]:
            counts = self._counts()
            return [
                f"{name}: {sent - self._unrecorded[name]} given, {len(self.ends[name].recorded())} recorded"
                for name, (_, sent) in counts.items()
                if len(self.ends[name].recorded()) < sent - self._unrecorded[name]
            ]

        wait_for("all is recorded", lambda: not late(), SETTLE_SECONDS, proof=lambda: "\n".join(late()))

    def begin(self) -> None:
        """Wait until the switch reaches every end, and count from here: at first, and after its restart."""
        for name in self.ends:
            self._reach(name)
        counts = self._counts()
        self._unrecorded = {n: counts[n][1] - len(end.recorded()) for n, end in self.ends.items()}

    def _reach(self, name: str) -> None:
        """Give an end frames of the switch's own until it has one: a link that is up may not be used yet.

        About one virtio-user server of DPDK 22.11 in thirty does not come back
        after the switch's crash ("Expected valid Vhost FD"): it is started anew.
        """
        end = self.ends[name]
        bridge = self.switch.vsctl("--no-wait", "port-to-br", end.port)
        probe = lay.ethernet(MARK_SOURCE, secrets.token_bytes(MARK_BYTES))

        def given() -> bool:
            number = self.switch.row("Interface", end.port)["ofport"]  # a restart may change it
            before = self.switch.packets(bridge).get(number or 0)  # none while the port is being made
            if before is None:
                return False
            self._places[name] = (bridge, number)
            self.switch.send(bridge, number, probe)
            after = self.switch.packets(bridge).get(number)
            return bool(after and after[1] > before[1])

        try:
            wait_for(f"the switch reaches {name}", given, COMEBACK_SECONDS, proof=end.app.tail)
        except RigError:
            end.relaunch()
            wait_for(f"the switch reaches {name}", given, CONNECT_SECONDS, proof=self.switch.log)
        wait_for(f"{name} records", lambda: probe in end.recorded(), CONNECT_SECONDS, proof=end.app.tail)

    def _replay(self, name: str, frames: Sequence[bytes]) -> None:
        before = self._counts()[name][0]
        self.ends[name].replay(frames)
        wait_for(
            f"the switch takes {len(frames)} frames of {name}",
            lambda: self._counts()[name][0] >= before + len(frames),
            SETTLE_SECONDS,
            proof=lambda: f"{self._counts()[name][0] - before} taken; {self.ends[name].app.tail()}",
        )

    def _counts(self) -> dict[str, tuple[int, int]]:
        """Return how many packets the switch has from, and has given to, each end."""
        bridges = {bridge: self.switch.packets(bridge) for bridge, _ in self._places.values()}
        return {name: bridges[bridge][number] for name, (bridge, number) in self._places.items()}

    def __enter__(self) -> Self:
        """Start every end's application and wait until all are connected."""
        try:
            for end in self.ends.values():
                end.launch()
            for end in self.ends.values():
                end.app.await_ready()
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        for end in self.ends.values():
            if hasattr(end, "app"):
                end.app.stop()
