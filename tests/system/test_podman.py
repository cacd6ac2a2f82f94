"""Containers of podman whose network function sits between two OVS-DPDK bridges.

This is how VNFs run in plain containers: one directory of sockets is mounted
into every container, the application finds its own part by its hostname (the
first 12 characters of the container's ID), and forwards between two networks.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import gotools
from tests.support.need import ROOT, need
from tests.support.plugin import NODE_FILE_VARIABLE
from tests.support.podman import PACKAGES, Podman, PodmanError
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeNetns
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

OWN = "$own/{}"  # the container's own directory of sockets
LEFT, RIGHT = "br-left", "br-right"
CLIENT, SERVER = "dpdkvhostuserclient", "dpdkvhostuser"
PACKETS = 20_000
SECONDS = 60.0
CONNECT_SECONDS = 60.0
NOBODY = "02:00:00:00:00:fe"  # bridges flood what they send to it
LIFE_SECONDS = 300  # a container never outlives its test by more
# Both threads on one core, no hugepages, counters every second (see tests/support/testpmd.py).
EAL = "--lcores=0@0,1@0 --no-huge -m 128 --no-pci --no-telemetry --file-prefix=vnf"
MODE = "--forward-mode=io --total-num-mbufs=2048 --stats-period=1"


@pytest.fixture
def podman(plugin: Plugin, switch: Switch) -> Iterator[Podman]:
    """Give a private podman, and the bridges br-left and br-right."""
    need(ROOT, "dpdk-testpmd", *(p for p in PACKAGES if p != "containernetworking-plugins"))
    gotools.needed()
    for bridge in (LEFT, RIGHT):
        switch.add_bridge(bridge)
    directory = os.path.join(plugin.directory, "pod")
    node_file = {NODE_FILE_VARIABLE: plugin.node_file}
    with Podman(directory, plugin.cni_path, plugin.executable, node_file) as podman:
        yield podman


def define(podman: Podman, plugin: Plugin, bridge: str, **keys: Any) -> None:  # noqa: ANN401  keys of a netconf
    """Define a podman network of the bridge's name."""
    ours = plugin.conf(cniVersion=None, name=None, bridge=bridge, **keys)
    podman.define({"cniVersion": "1.0.0", "name": bridge, "plugins": [ours]})


def application(sockets: str, *, server: bool, tell: bool = True) -> list[str]:
    """Return a container's command: tell what it was told, then forward between its two sockets.

    `sockets` is a shell pattern with `{}` for the interface's name.
    """
    role = ",server=1" if server else ""
    paths = [sockets.format(ifname) for ifname in ("eth0", "eth1")]
    vdevs = [f'--vdev="net_virtio_user{n},path={path}{role}"' for n, path in enumerate(paths)]
    told = 'cat "$own/userspace.json"; ' if tell else ""
    script = f"own=$(echo /sockets/$(hostname)*); {told}exec dpdk-testpmd {EAL} {' '.join(vdevs)} -- {MODE}"
    return ["timeout", str(LIFE_SECONDS), "sh", "-c", script]


def start(podman: Podman, switch: Switch, command: list[str], mounts: dict[str, str]) -> str:
    """Start the container `vnf` on both networks, wait until its application is on both; return its ID."""
    identity = podman.run("vnf", [LEFT, RIGHT], command, mounts)
    await_connected(podman, switch)
    return identity


def await_connected(podman: Podman, switch: Switch) -> None:
    """Wait until the application is on both sockets."""
    end = time.monotonic() + CONNECT_SECONDS
    while not all(switch.connected(port) for port in switch.ports()):
        assert time.monotonic() < end, podman.logs("vnf")[-3000:]
        time.sleep(0.1)


def packets_pass(plugin: Plugin, make_netns: MakeNetns) -> None:
    """Send into the left bridge from outside and hold that enough arrives behind the right one."""
    netns = make_netns()
    with ExitStack() as apps:
        receiver = apps.enter_context(outside(plugin, netns, RIGHT, "rxonly"))
        apps.enter_context(outside(plugin, netns, LEFT, "txonly"))
        receiver.await_received(PACKETS, SECONDS)


@contextmanager
def outside(plugin: Plugin, netns: Netns, bridge: str, mode: str) -> Iterator[Testpmd]:
    """Attach one more testpmd to a bridge, by the plugin without podman."""
    conf = plugin.conf(name=f"outside-{bridge}", bridge=bridge)
    result = plugin.add(conf, "outside", netns.path, ifname=mode).succeeded()
    mine = result["interfaces"][1]
    socket = Vhost(path=mine["socketPath"], server=True, mac=mine["mac"])
    log = os.path.join(plugin.directory, f"{mode}.log")
    with Testpmd([socket], mode, log, peer=NOBODY, netns=netns) as testpmd:
        yield testpmd
    plugin.delete(conf, "outside", netns.path, ifname=mode).succeeded()


def forwarded(podman: Podman) -> int:
    """Return how many packets the container's own counters say that it sent to the right."""
    counts = re.findall(r"statistics for port 1 .*?TX-packets:\s*(\d+)", podman.logs("vnf"), re.DOTALL)
    return int(counts[-1]) if counts else 0


def await_forwarded(podman: Podman) -> None:
    """Wait until the container's counters, printed every second, say that enough has passed."""
    end = time.monotonic() + CONNECT_SECONDS
    while forwarded(podman) < PACKETS:
        assert time.monotonic() < end, podman.logs("vnf")[-3000:]
        time.sleep(0.2)


def nothing_is_left(podman: Podman, plugin: Plugin, switch: Switch) -> None:
    """Hold that neither switch, directories, records nor libcni's cache know anything any more."""
    assert switch.ports() == set()
    assert plugin.files() == []
    assert os.listdir(plugin.shared) == []
    assert podman.cached() == []


def test_a_container_forwards_between_two_client_ports(
    podman: Podman, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    for bridge in (LEFT, RIGHT):
        define(podman, plugin, bridge)

    identity = start(podman, switch, application(OWN, server=True), {plugin.shared: "/sockets"})
    packets_pass(plugin, make_netns)

    await_forwarded(podman)
    (port,) = switch.ports(RIGHT)
    assert (switch.counters(port).received or 0) >= PACKETS
    told = json.loads(podman.logs("vnf").splitlines()[0])
    assert sorted(told["interfaces"]) == ["eth0", "eth1"]
    assert os.listdir(plugin.shared) == [identity]
    podman.remove("vnf")
    nothing_is_left(podman, plugin, switch)


def test_a_container_forwards_between_two_server_ports(
    podman: Podman, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    for bridge in (LEFT, RIGHT):
        define(podman, plugin, bridge, interface_type=SERVER)

    start(podman, switch, application(OWN, server=False), {plugin.shared: "/sockets"})
    packets_pass(plugin, make_netns)

    await_forwarded(podman)
    podman.remove("vnf")
    nothing_is_left(podman, plugin, switch)


def test_server_sockets_stay_in_the_switchs_own_directory(
    podman: Podman, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    names = {LEFT: "vnf-eth0", RIGHT: "vnf-eth1"}
    for bridge, name in names.items():
        define(podman, plugin, bridge, interface_type=SERVER, sharedDir=switch.sockets, portName=name)

    start(
        podman, switch, application("/switch/vnf-{}", server=False, tell=False), {switch.sockets: "/switch"}
    )
    packets_pass(plugin, make_netns)

    await_forwarded(podman)
    assert switch.ports() == set(names.values())
    podman.remove("vnf")
    nothing_is_left(podman, plugin, switch)
    assert not any(os.path.exists(os.path.join(switch.sockets, name)) for name in names.values())


def test_a_container_that_is_stopped_and_started_gets_its_networks_again(
    podman: Podman, plugin: Plugin, switch: Switch, make_netns: MakeNetns
) -> None:
    for bridge in (LEFT, RIGHT):
        define(podman, plugin, bridge)
    identity = start(podman, switch, application(OWN, server=True), {plugin.shared: "/sockets"})

    podman.stop("vnf")
    nothing_is_left(podman, plugin, switch)
    podman.start("vnf")
    await_connected(podman, switch)

    assert os.listdir(plugin.shared) == [identity]
    packets_pass(plugin, make_netns)
    podman.remove("vnf")
    nothing_is_left(podman, plugin, switch)


def test_a_container_that_cannot_start_leaves_nothing(podman: Podman, plugin: Plugin, switch: Switch) -> None:
    for bridge in (LEFT, RIGHT):
        define(podman, plugin, bridge)

    with pytest.raises(PodmanError, match="no-such-program"):
        podman.run("vnf", [LEFT, RIGHT], ["no-such-program"], {plugin.shared: "/sockets"})

    nothing_is_left(podman, plugin, switch)


def test_the_second_network_that_fails_takes_the_first_with_it(
    podman: Podman, plugin: Plugin, switch: Switch
) -> None:
    define(podman, plugin, LEFT)
    define(podman, plugin, "br-not-there")

    with pytest.raises(PodmanError, match="br-not-there"):
        podman.run("vnf", [LEFT, "br-not-there"], ["true"], {plugin.shared: "/sockets"})

    podman.remove("vnf")
    nothing_is_left(podman, plugin, switch)
