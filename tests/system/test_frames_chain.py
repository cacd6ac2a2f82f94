"""A chain of network functions on the frames: physical port, two functions, physical port.

Composed of the netconfs of netconf-examples/vnf-chain-*.json. Each function is
a container with two interfaces, and a vhost-user port of an administrator's
stands in for each physical one. The first function puts addresses of its own
on a frame, the second one swaps the two: what arrives tells the order.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.child import wait_for
from tests.support.frames import numbered
from tests.support.need import DPDK_SWITCH, need
from tests.support.netns import Netns
from tests.support.pages import ROOT
from tests.support.plugin import Plugin
from tests.support.testpmd import Testpmd, Vhost
from tests.support.wire import OPTIONS, End, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch

HOST, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02"
FIRST = ("02:00:00:00:01:01", "02:00:00:00:01:02")  # the first function's interfaces
BRIDGE = "br-chain"
PHYSICAL = LEFT, RIGHT = "dpdk0", "dpdk1"
SECONDS = 20.0
FRAMES = numbered(HOST, 5)
IN, BETWEEN, OUT = (f"netconf-examples/vnf-chain-{n}.json" for n in ("1-in", "2-between", "3-out"))


class Chain:
    """Both physical ports as ends of a wire, and the functions between them."""

    def __init__(self, switch: Switch, plugin: Plugin, stack: ExitStack) -> None:
        """Attach all and start all."""
        self.switch = switch
        self._plugin = plugin
        self._stack = stack
        self._started: list[Testpmd] = []
        switch.add_bridge(BRIDGE)
        for name in PHYSICAL:
            switch.add_port(BRIDGE, name, path=f"{plugin.directory}/{name}")
        self._function("first", (IN, BETWEEN), "mac", FIRST)
        self._function("second", (BETWEEN, OUT), "macswap")
        self.wire = stack.enter_context(Wire(switch, {name: self._physical(name) for name in PHYSICAL}))
        for function in self._started:
            function.await_ready()

    def pass_through(self, sender: str, receiver: str, wanted: list[bytes]) -> list[bytes]:
        """Send the frames in at one end; return what has come out at the other when the last one has."""
        end = self.wire.ends[receiver]
        before = len(end.recorded())
        self.wire.send(sender, *FRAMES)
        wait_for(
            f"{receiver} has the last frame",
            lambda: wanted[-1] in end.recorded()[before:],
            SECONDS,
            proof=lambda: f"{end.recorded()[before:]}\n{self.switch.log()}",
        )
        bodies = {frame[12:] for frame in FRAMES}
        return [frame for frame in end.recorded()[before:] if frame[12:] in bodies]

    def _function(
        self, name: str, files: tuple[str, str], mode: str, macs: tuple[str, ...] = ("", "")
    ) -> None:
        netns = self._stack.enter_context(Netns())
        sockets = []
        for number, (file, mac) in enumerate(zip(files, macs, strict=True), 1):
            conf = {**example(file), "cniVersion": "1.1.0", "sharedDir": self._plugin.shared}
            conf |= {"mac": mac} if mac else {}
            result = self._plugin.add(conf, name, netns.path, ifname=f"net{number}").succeeded()
            (inside,) = (i for i in result["interfaces"] if i.get("sandbox"))
            sockets.append(Vhost(path=inside["socketPath"], server=True, mac=inside["mac"]))
        log = os.path.join(self._plugin.directory, f"{name}.log")
        function = Testpmd(sockets, mode, log, peer=PEER, netns=netns, options=OPTIONS)
        function.launch()
        self._stack.callback(function.stop)
        self._started.append(function)

    def _physical(self, name: str) -> End:
        directory = self._plugin.directory
        return End(port=name, socket=f"{directory}/{name}", directory=directory)


def example(file: str) -> dict[str, Any]:
    with open(os.path.join(ROOT, file), encoding="utf-8") as opened:
        found: dict[str, Any] = json.load(opened)
    return found


def with_addresses(target: str, source: str) -> list[bytes]:
    """Return the frames with other addresses."""
    return [bytes.fromhex((target + source).replace(":", "")) + frame[12:] for frame in FRAMES]


@pytest.fixture(scope="module")
def chain(session_switch: Switch) -> Iterator[Chain]:
    """Give the chain."""
    need(*DPDK_SWITCH, "dpdk-testpmd", "stdbuf")
    session_switch.clean()
    with ExitStack() as stack:
        stack.callback(session_switch.clean)
        yield Chain(session_switch, stack.enter_context(Plugin(session_switch)), stack)


def test_frames_pass_the_first_function_and_then_the_second(chain: Chain) -> None:
    wanted = with_addresses(FIRST[1], PEER)  # (to PEER from FIRST), swapped
    assert chain.pass_through(LEFT, RIGHT, wanted) == wanted


def test_frames_pass_back_in_the_opposite_order(chain: Chain) -> None:
    wanted = with_addresses(PEER, FIRST[0])  # swapped, and then (to PEER from FIRST)
    assert chain.pass_through(RIGHT, LEFT, wanted) == wanted
