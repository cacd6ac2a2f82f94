"""The operator's commands on real devices: what they see, and gc bringing them home.

Each test's devices must be as before when it ends: see the conftest's `_home`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.child import Child, wait_for
from tests.support.guest.nic import await_carrier, link
from tests.support.remains import host_local, leases, remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.guest.nic import Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

SECONDS = 30.0
POD = "K8S_POD_NAMESPACE=lab;K8S_POD_NAME=tester"
REMOVED = [("dead", "removed")]


def conf(plugin: Plugin, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
    return plugin.conf(bridge=None, **keys)


def listed(plugin: Plugin) -> dict[str, Any]:
    """Return the one attachment that is listed; everything could be read."""
    answer = plugin.operator("list", "-o", "json").succeeded()
    assert answer["unread"] == []
    (one,) = answer["attachments"]
    return dict(one)


def kinds(plugin: Plugin, *options: str) -> list[tuple[str, str]]:
    """Return (kind, outcome) of each thing that gc finds."""
    answer = plugin.operator("gc", "-o", "json", *options).succeeded()
    assert answer["unread"] == []
    return [(f["kind"], f["outcome"]) for f in answer["findings"]]


def sweep_in(container: list[str], plugin: Plugin) -> subprocess.CompletedProcess[str]:
    command = [*container, plugin.executable, "gc", "--yes"]
    return subprocess.run(command, env=plugin.env, check=False, capture_output=True, text=True)


@contextmanager
def torn(path: str) -> Iterator[None]:
    """Have a file cut off in its midst."""
    with open(path, encoding="utf-8") as file:
        whole = file.read()
    os.truncate(path, len(whole) // 2)
    yield
    with open(path, "w", encoding="utf-8") as file:
        file.write(whole)


def lose_records(plugin: Plugin) -> None:
    shutil.rmtree(f"{plugin.state}/attachments")


def test_a_vf_in_a_container_is_seen_where_it_is(plugin: Plugin, pf: Pf, vf: Vf, netns: Netns) -> None:
    network = conf(plugin, deviceID=vf.address, vlan=100, vlanQoS=3)
    plugin.add(network, "c1", netns.path, args=POD).succeeded()
    await_carrier("net1", netns.name)
    told = listed(plugin)
    inside = link("net1", netns.name)
    assert told["device"] == {
        "pci": vf.address,
        "pf": pf.address,
        "pf_name": pf.netdev,
        "vf": vf.index,
        "driver": "igbvf",
        "mode": "kernel",
        "mac": inside["address"],
        "mtu": inside["mtu"],
    }
    assert (told["engine"], told["state"], told["vlan"]) == ("sriov", "attached", "100 priority 3")
    assert (told["link"], told["connected"]) == ("up", True)
    assert told["rx_packets"] > 0  # it has spoken of itself
    shown = plugin.operator("show", vf.address).stdout
    for words in (f"{vf.address}, VF {vf.index}", f"{pf.netdev} ({pf.address})", f"{netns.path} (lives)"):
        assert words in shown
    drawn = plugin.operator("topology").stdout.splitlines()
    assert drawn[1].endswith(f"{pf.netdev}  {pf.address}  1 of {len(pf.vfs())} VFs attached")
    assert f"{vf.address}  {vf.index}  lab/tester net1  up, igbvf" in drawn[2]
    plugin.delete(network, "c1", netns.path).succeeded()


def test_a_vf_for_dpdk_is_seen_by_its_driver_and_swept_home(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    plugin.add(conf(plugin, deviceID=vf.address, dpdk=True), "c1", netns.path).succeeded()
    told = listed(plugin)
    assert (told["link"], told["connected"], told["rx_packets"]) == ("bound", None, None)
    assert (told["device"]["driver"], told["device"]["mode"]) == ("vfio-pci", "dpdk")
    netns.close()
    assert kinds(plugin, "--yes") == REMOVED
    assert vf.driver == "igbvf"


def test_gc_brings_a_vf_home_whose_namespace_died(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    name = vf.netdev
    network = conf(plugin, deviceID=vf.address, vlan=100, ipam=host_local(plugin))
    plugin.add(network, "c1", netns.path).succeeded()
    netns.close()
    assert kinds(plugin) == [("dead", "would be removed")]
    assert vf.settings()["vlan_list"] == [{"vlan": 100}]
    assert listed(plugin)["link"] == "gone"
    assert kinds(plugin, "--yes") == REMOVED
    assert (vf.netdev, vf.settings()["vlan_list"]) == (name, [{}])
    assert leases(plugin) == []
    assert remains(plugin) == []


def test_gc_brings_home_what_only_an_allocation_knows(
    plugin: Plugin, other_pf: Pf, vf: Vf, netns: Netns
) -> None:
    names = vf.netdev, other_pf.netdev
    plugin.add(conf(plugin, deviceID=vf.address), "c1", netns.path).succeeded()
    plugin.add(conf(plugin, master=names[1], pfOnly=True), "c1", netns.path, ifname="net2").succeeded()
    lose_records(plugin)
    assert kinds(plugin, "--yes") == [("unrecorded", "left alone")] * 2
    assert sorted(netns.links()) == ["net1", "net2"]
    netns.close()
    assert kinds(plugin, "--yes") == REMOVED * 2
    assert (vf.netdev, other_pf.netdev) == names
    assert remains(plugin) == []


def test_gc_leaves_a_vf_whose_namespace_a_process_holds(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    plugin.add(conf(plugin, deviceID=vf.address), "c1", netns.path).succeeded()
    inside = os.stat(netns.path).st_ino
    sleeper = Child(netns.command(["sleep", "infinity"]), f"{plugin.directory}/sleep.log")

    def entered() -> bool:
        return os.stat(f"/proc/{sleeper.pid}/ns/net").st_ino == inside

    wait_for("the process is in the namespace", entered, SECONDS, proof=sleeper.tail)
    netns.close()
    assert plugin.operator("gc", "--yes").stdout == "nothing is left over\n"
    assert not vf.netdev
    sleeper.end()
    assert kinds(plugin, "--yes") == REMOVED
    assert remains(plugin) == []


def test_gc_takes_no_living_vf_away_that_it_does_not_understand(plugin: Plugin, vf: Vf, netns: Netns) -> None:
    plugin.add(conf(plugin, deviceID=vf.address), "c1", netns.path).succeeded()
    network = conf(plugin, deviceID=vf.address)
    # a container without the host's processes, and without its /run/netns
    hide = 'mount -t tmpfs none /run/netns && exec "$0" "$@"'
    container = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", hide]
    refused = sweep_in(container, plugin)
    assert refused.returncode == 1
    assert "does not see all processes of the host" in refused.stderr
    assert netns.links() == ["net1"]

    path = f"{plugin.state}/devices/{vf.address}/allocation.json"
    with torn(path):
        assert kinds(plugin, "--yes") == [("torn", "left alone: the device is not at home")]
    plugin.delete(network, "c1", netns.path).succeeded()
