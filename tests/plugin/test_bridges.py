"""Bridges and ports: what is made, what is refused, what the switch says, and whose bridge goes."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attached import CONTAINER
from tests.support.child import wait_for
from tests.support.need import DPDK_SWITCH, need
from tests.support.remains import remains
from tests.support.switch import Switch
from tests.support.testpmd import Testpmd, Vhost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakePlugin
    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin

pytestmark = pytest.mark.runtime

SECONDS = 15.0


# --- bridges ----------------------------------------------------------------


def test_a_missing_bridge_is_refused_with_both_ways_out(plugin: Plugin, switch: Switch, netns: Netns) -> None:
    outcome = plugin.add(plugin.conf(bridge="br-none"), CONTAINER, netns.path)
    assert outcome.code == 103
    assert "the bridge br-none does not exist" in outcome.words
    assert "ovs-vsctl add-br br-none" in outcome.answer["hint"]
    assert "`createBridge`" in outcome.answer["hint"]
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


def test_a_created_bridge_has_the_userspace_datapath_and_our_mark(attach: Attach, switch: Switch) -> None:
    attach()
    bridge = switch.row("Bridge", "br0")
    assert bridge["datapath_type"] == "netdev"
    assert bridge["external_ids"] == {"owner": "cni-userspace"}


@pytest.mark.parametrize("asked", [False, True])
def test_our_bridge_goes_with_its_last_port_only_if_asked_for(
    attach: Attach, switch: Switch, *, asked: bool
) -> None:
    first, last = (attach(ifname=name, deleteBridge=asked) for name in ("net1", "net2"))
    first.delete().succeeded()
    assert switch.bridges() == {"br0"}
    last.delete().succeeded()
    assert switch.bridges() == (set() if asked else {"br0"})


def test_a_bridge_that_we_made_stays_while_it_has_a_port_of_somebody_elses(
    attach: Attach, switch: Switch
) -> None:
    attached = attach(deleteBridge=True)
    switch.add_port("br0", "theirs", path="/tmp/theirs")  # noqa: S108  nothing is made there
    attached.delete().succeeded()
    assert switch.ports("br0") == {"theirs"}
    switch.vsctl("del-port", "theirs")
    attach(deleteBridge=True).delete().succeeded()
    assert switch.bridges() == set()


def test_an_administrators_empty_bridge_is_never_deleted(attach: Attach, switch: Switch) -> None:
    switch.add_bridge("br0")
    attach(deleteBridge=True).delete().succeeded()
    assert switch.bridges() == {"br0"}
    assert switch.row("Bridge", "br0")["external_ids"] == {}


def test_a_bridge_that_an_administrator_took_over_is_not_deleted(attach: Attach, switch: Switch) -> None:
    attached = attach(deleteBridge=True)
    switch.vsctl("clear", "Bridge", "br0", "external_ids")
    attached.delete().succeeded()
    assert switch.bridges() == {"br0"}


@pytest.mark.parametrize("kind", ["system", ""])
def test_a_bridge_of_the_kernels_datapath_is_refused_with_the_way_out(
    plugin: Plugin, switch: Switch, netns: Netns, kind: str
) -> None:
    switch.vsctl("--no-wait", "add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_type="{kind}"')
    for outcome, code in (
        (plugin.add(plugin.conf(createBridge=True), CONTAINER, netns.path), 101),
        (plugin.status(plugin.conf()), 50),
    ):
        assert outcome.code == code
        assert "the bridge br0 has no userspace datapath" in outcome.words
        assert "datapath_type=netdev" in outcome.answer["hint"]
    assert remains(plugin, switch) == []
    assert switch.bridges() == {"br0"}


def test_a_bridge_that_a_failed_add_made_is_gone_again(plugin: Plugin, switch: Switch, netns: Netns) -> None:
    switch.stop_answering()
    outcome = plugin.add(plugin.conf(createBridge=True, timeout=1), CONTAINER, netns.path)
    assert outcome.code == 101
    assert "did not answer in time" in outcome.words
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


# --- duplicates -------------------------------------------------------------


def test_a_second_port_on_one_socket_is_refused_inside_the_transaction(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br1")
    path = f"{plugin.shared}/{CONTAINER}/net1"
    switch.add_port("br1", "theirs", path=path)
    outcome = plugin.add(plugin.conf(createBridge=True), CONTAINER, netns.path)
    assert outcome.code == 103
    assert "another port uses the same socket" in outcome.words
    assert path in outcome.words
    switch.vsctl("del-port", "theirs")
    assert remains(plugin, switch) == []
    assert switch.bridges() == {"br1"}


def test_a_port_of_that_name_on_another_bridge_is_a_conflict(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br1")
    switch.add_port("br1", "vnf0", path="/tmp/theirs")  # noqa: S108  nothing is made there
    outcome = plugin.add(plugin.conf(createBridge=True, portName="vnf0"), CONTAINER, netns.path)
    assert outcome.code == 103
    assert "the port exists already" in outcome.words
    assert "vnf0" in outcome.words
    assert switch.ports() == {"vnf0"}
    assert switch.row("Interface", "vnf0")["options"] == {"vhost-server-path": "/tmp/theirs"}  # noqa: S108
    switch.vsctl("del-port", "vnf0")
    assert remains(plugin, switch) == []


# --- columns, and what the switch makes of them -----------------------------


COLUMNS: dict[str, tuple[dict[str, Any], Any, Any, Any]] = {  # keys -> tag, trunks, vlan_mode
    "nothing": ({}, [], [], []),
    "access": ({"vlan": 100}, 100, [], []),
    "untagged only": ({"vlan": 0}, 0, [], []),
    "trunk": ({"trunk": [{"id": 5}, {"minID": 7, "maxID": 9}]}, [], [5, 7, 8, 9], "trunk"),
    "trunk with a native VLAN": ({"vlan": 5, "trunk": [{"id": 42}]}, 5, 42, "native-untagged"),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_vlans_stand_in_the_ports_columns(attach: Attach, switch: Switch, what: str) -> None:
    keys, *wanted = COLUMNS[what]
    row = switch.row("Port", attach(**keys).port)
    assert [row["tag"], row["trunks"], row["vlan_mode"]] == wanted


def test_the_port_has_the_number_that_was_asked_for(attach: Attach, switch: Switch) -> None:
    attached = attach(ofport_request=4711)
    row = switch.row("Interface", attached.port)
    assert (row["ofport_request"], row["ofport"]) == (4711, 4711)


def test_a_number_that_another_port_has_is_refused_and_nothing_is_left(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    first = attach(ofport_request=4711, deleteBridge=True)
    outcome = plugin.add(first.conf, CONTAINER, netns.path, ifname="net2")
    assert outcome.code == 103
    assert "the OpenFlow port number is taken" in outcome.words
    assert "4711" in outcome.words
    assert switch.ports() == {first.port}
    first.check().succeeded()
    first.delete().succeeded()
    assert remains(plugin, switch) == []


def test_the_switch_serves_the_mtu_that_was_asked_for_once_the_application_is_there(
    attach: Attach, switch: Switch, plugin: Plugin
) -> None:
    need("dpdk-testpmd")
    attached = attach(mtu=1400)
    assert attached.result["interfaces"][1]["mtu"] == 1400
    assert switch.row("Interface", attached.port)["mtu_request"] == 1400
    with Testpmd([Vhost(path=attached.socket, server=True)], "rxonly", f"{plugin.directory}/testpmd.log"):

        def served() -> bool:
            return bool(switch.row("Interface", attached.port)["mtu"] == 1400)

        assert wait_for("the MTU is 1400", served, SECONDS, proof=switch.log)
        attached.check().succeeded()


def test_the_ports_mac_is_what_the_result_says(attach: Attach, switch: Switch) -> None:
    attached = attach(mac="02-AB-00-00-00-01")
    assert attached.result["interfaces"][1]["mac"] == "02:ab:00:00:00:01"
    assert switch.row("Interface", attached.port)["external_ids"]["attached-mac"] == "02:ab:00:00:00:01"


# --- what the switch refuses ------------------------------------------------


@pytest.fixture
def unwritable() -> Iterator[Switch]:
    """Give a switch that cannot make sockets: their directory is read-only."""
    need(*DPDK_SWITCH)
    with Switch(vhost_sock_dir="v") as switch:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "test", switch.sockets], check=True)
        yield switch
        subprocess.run(["umount", switch.sockets], check=True)


def test_a_port_that_vswitchd_refuses_is_an_error_with_its_words_and_the_row_is_gone(
    unwritable: Switch, make_plugin: MakePlugin, netns: Netns
) -> None:
    plugin = make_plugin(unwritable)
    conf = plugin.conf(createBridge=True, interface_type="dpdkvhostuser", sharedDir=unwritable.sockets)
    outcome = plugin.add(conf, CONTAINER, netns.path)
    assert outcome.code == 101
    assert "ovs-vswitchd refused the port" in outcome.words
    assert "could not open network device" in outcome.words
    assert remains(plugin, unwritable) == []
    assert unwritable.bridges() == set()
    assert os.listdir(unwritable.sockets) == []
