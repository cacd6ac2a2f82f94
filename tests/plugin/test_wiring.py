"""Wiring: who gets whose frames as attachments come and go, judged by the switch; CHECK; what is refused.

Frames that are really sent: tests/system/test_frames_*.py.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import flows
from tests.support.flows import fate, number

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Attach
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

FRAME = "dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"
TAGGED = f"dl_vlan=7,{FRAME}"


def wires(switch: Switch) -> list[str]:
    """Return the flows of ours that speak of one port."""
    return [flow for flow in flows.ours(switch) if "in_port=" in flow]


# --- segments ---------------------------------------------------------------


def test_two_attachments_on_one_segment_get_each_others_frames_unchanged(
    attach: Attach, switch: Switch
) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    for frame in (FRAME, TAGGED):
        assert fate(switch, a.port, frame) == number(switch, b.port)
        assert fate(switch, b.port, frame) == number(switch, a.port)
    a.check().succeeded()
    b.check().succeeded()


def test_a_lone_end_drops(attach: Attach, switch: Switch) -> None:
    a = attach(segment="s")
    assert fate(switch, a.port, FRAME) == "drop"
    a.check().succeeded()


def test_a_segment_is_deaf_to_its_neighbours_and_they_to_it(attach: Attach, switch: Switch) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    c, d = attach(ifname="net3", segment="t"), attach(ifname="net4", segment="t")
    e, f = attach(ifname="net5"), attach(ifname="net6")
    wired = {number(switch, p.port) for p in (a, b, c, d)}
    flooded = set(fate(switch, e.port, FRAME).split(","))
    assert number(switch, f.port) in flooded
    assert not flooded & wired
    assert fate(switch, c.port, FRAME) == number(switch, d.port)


def test_a_segment_is_one_on_each_bridge(attach: Attach, switch: Switch) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s", bridge="br1")
    assert fate(switch, a.port, FRAME) == "drop"
    assert fate(switch, b.port, FRAME, bridge="br1") == "drop"


def test_when_an_end_leaves_the_other_drops_and_it_gets_frames_again_when_one_comes_back(
    attach: Attach, switch: Switch
) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    b.delete().succeeded()
    assert fate(switch, a.port, FRAME) == "drop"
    assert len(wires(switch)) == 1
    a.check().succeeded()
    c = attach(ifname="net3", segment="s")
    assert fate(switch, a.port, FRAME) == number(switch, c.port)
    assert fate(switch, c.port, FRAME) == number(switch, a.port)
    c.delete().succeeded()
    a.delete().succeeded()
    assert flows.flows(switch) == ["priority=0 actions=NORMAL"]
    assert not switch.ports()


def test_a_third_end_is_refused_before_anything_is_made(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    attach(ifname="net1", segment="s")
    attach(ifname="net2", segment="s")
    before = flows.flows(switch), switch.ports(), plugin.files()
    outcome = plugin.add(plugin.conf(segment="s"), "third", netns.path, ifname="net3")
    assert outcome.code == 7
    assert '$.segment: "s" is taken' in outcome.words
    assert (flows.flows(switch), switch.ports(), plugin.files()) == before


def test_of_three_ends_at_once_two_are_wired_and_one_is_refused(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br0")
    outcomes: dict[str, Outcome] = {}

    def add(name: str) -> None:
        outcomes[name] = plugin.add(plugin.conf(segment="s"), name, netns.path, ifname=name)

    threads = [threading.Thread(target=add, args=(f"n{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [name for name, outcome in outcomes.items() if not outcome.returncode]
    assert len(good) == 2, [o.words for o in outcomes.values()]
    first, second = (outcomes[name].answer["interfaces"][0]["name"] for name in good)
    assert switch.ports() == {first, second}
    assert fate(switch, first, FRAME) == number(switch, second)
    assert fate(switch, second, FRAME) == number(switch, first)
    assert len(wires(switch)) == 2


def test_del_without_a_record_unwires_by_the_marks(attach: Attach, switch: Switch, plugin: Plugin) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    plugin.set_node(stateDir=f"{plugin.directory}/other")
    b.delete().succeeded()
    assert fate(switch, a.port, FRAME) == "drop"
    assert len(wires(switch)) == 1
    a.delete().succeeded()
    assert not flows.ours(switch)


def test_an_add_that_vswitchd_refuses_leaves_no_flow_and_the_peer_drops(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    a = attach(ifname="net1", segment="s")
    conf = plugin.conf(segment="s", interface_type="dpdkvhostuser", sharedDir="/dev/shm")  # noqa: S108
    outcome = plugin.add(conf, "c2", netns.path, ifname="net2")
    assert outcome.code in {5, 101}
    assert fate(switch, a.port, FRAME) == "drop"
    assert len(wires(switch)) == 1
    assert switch.ports() == {a.port}


def test_a_bridge_of_our_own_comes_before_the_flows_and_goes_after_them(
    attach: Attach, switch: Switch
) -> None:
    a = attach(segment="s", bridge="br7", deleteBridge=True)
    assert flows.ours(switch, "br7")
    a.delete().succeeded()
    assert "br7" not in switch.bridges()


def test_del_with_vswitchd_dead_succeeds_and_leaves_nothing(attach: Attach, switch: Switch) -> None:
    a = attach(segment="s")
    switch.kill_vswitchd()
    a.delete().succeeded()
    switch.restart_vswitchd()
    assert not switch.ports()
    assert not flows.ours(switch)


def test_a_wired_port_is_shut_when_its_flows_are_lost(attach: Attach, switch: Switch) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    c = attach(ifname="net3")
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    assert not flows.ours(switch), "no flow outlives vswitchd"
    wired = {number(switch, p.port) for p in (a, b)}
    assert fate(switch, a.port, FRAME) == "drop"
    assert fate(switch, a.port, TAGGED) == "drop"
    assert not set(fate(switch, c.port, FRAME).split(",")) & wired


# --- a port of the bridge ---------------------------------------------------


def test_an_attachment_is_wired_to_a_port_of_the_bridge(attach: Attach, switch: Switch) -> None:
    switch.add_bridge("br0")
    switch.add_port("br0", "uplink", path=f"{switch.directory}/uplink")
    switch.add_port("br0", "other", path=f"{switch.directory}/other")
    a = attach(peerPort="uplink")
    assert fate(switch, a.port, TAGGED) == number(switch, "uplink")
    assert fate(switch, "uplink", TAGGED) == number(switch, a.port)
    a.check().succeeded()
    a.delete().succeeded()
    assert flows.flows(switch) == ["priority=0 actions=NORMAL"]
    assert number(switch, "other") in fate(switch, "uplink", FRAME), "the bridge decides again"


def test_a_chain_passes_its_functions_in_order(attach: Attach, switch: Switch) -> None:
    switch.add_bridge("br0")
    for name in ("in0", "out0"):
        switch.add_port("br0", name, path=f"{switch.directory}/{name}")
    first = attach(ifname="net1", peerPort="in0"), attach(ifname="net2", segment="between")
    second = attach(ifname="net3", segment="between"), attach(ifname="net4", peerPort="out0")
    hops = [("in0", first[0].port), (first[1].port, second[0].port), (second[1].port, "out0")]
    for here, there in hops:
        assert fate(switch, here, FRAME) == number(switch, there)
        assert fate(switch, there, FRAME) == number(switch, here)


def test_a_second_attachment_on_a_port_is_refused(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br0")
    switch.add_port("br0", "uplink", path=f"{switch.directory}/uplink")
    attach(ifname="net1", peerPort="uplink")
    outcome = plugin.add(plugin.conf(peerPort="uplink"), "c2", netns.path, ifname="net2")
    assert outcome.code == 7
    assert '$.peerPort: "uplink" is taken' in outcome.words


# --- nothing of ours --------------------------------------------------------


def test_a_controllers_port_is_left_out_of_the_learning_switch(attach: Attach, switch: Switch) -> None:
    a, b = attach(ifname="net1", wiring="none"), attach(ifname="net2")
    assert not flows.ours(switch)
    assert fate(switch, a.port, FRAME) == "drop"
    assert number(switch, a.port) not in fate(switch, b.port, FRAME).split(",")
    there = flows.ofport(switch, b.port)
    flows.change(switch, "add-flow", "br0", f"in_port={flows.ofport(switch, a.port)},actions=output:{there}")
    assert fate(switch, a.port, FRAME) == number(switch, b.port)
    a.check().succeeded()


def test_flows_of_others_are_never_touched(attach: Attach, switch: Switch) -> None:
    switch.add_bridge("br0")
    flows.change(switch, "add-flow", "br0", "cookie=0x7,priority=5,in_port=4711,actions=drop")
    a = attach(segment="s")
    a.delete().succeeded()
    assert "cookie=0x7, priority=5,in_port=4711 actions=drop" in flows.flows(switch)


# --- CHECK ------------------------------------------------------------------


def test_check_names_a_flow_that_is_missing_and_one_that_somebody_changed(
    attach: Attach, switch: Switch
) -> None:
    a, b = attach(ifname="net1", segment="s"), attach(ifname="net2", segment="s")
    cookie = flows.ours(switch)[0].partition(",")[0]
    flows.change(switch, "del-flows", "br0", f"{cookie}/-1")
    (broken,) = [x for x in (a, b) if x.check().returncode]
    words = broken.check().words
    assert "the flow is missing: priority=40000" in words
    here = f"{cookie},priority=40000,in_port={flows.ofport(switch, broken.port)}"
    flows.change(switch, "add-flow", "br0", f"{here},actions=NORMAL")
    outcome = broken.check()
    assert outcome.code == 104
    assert "the flow is missing: priority=40000" in outcome.words
    assert "the flow is not of ADD's making: " in outcome.words
    assert f"in_port={flows.ofport(switch, broken.port)} actions=NORMAL" in outcome.words


def test_check_says_that_the_flows_went_with_vswitchd(attach: Attach, switch: Switch) -> None:
    a = attach(segment="s")
    switch.kill_vswitchd()
    switch.restart_vswitchd()
    assert "the flow is missing" in a.check().words


def test_check_says_that_the_port_to_which_it_is_wired_has_gone(attach: Attach, switch: Switch) -> None:
    switch.add_bridge("br0")
    switch.add_port("br0", "uplink", path=f"{switch.directory}/uplink")
    a = attach(peerPort="uplink")
    switch.vsctl("del-port", "uplink")
    assert "the port uplink, to which the attachment is wired, is not on the bridge br0" in a.check().words


# --- refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"segment": "a b"}, '$.segment: "a b" is no name of a segment'),
        ({"segment": "s", "wiring": "normal"}, '$.segment: "s" does not go with `wiring`'),
        ({"segment": "s", "peerPort": "br0"}, '$.peerPort: "br0" does not go with `segment`'),
        ({"segment": "s", "vlan": 7}, "$.vlan: 7 does not go with `segment`"),
        ({"wiring": "none", "antiSpoofing": True}, "$.antiSpoofing: true does not go with `wiring` none"),
        ({"peerPort": "nowhere"}, '$.peerPort: "nowhere" is no port of the bridge br0'),
        ({"peerPort": "elsewhere"}, '$.peerPort: "elsewhere" is no port of the bridge br0'),
    ],
)
def test_what_cannot_be_wired_is_refused_before_anything_is_made(
    plugin: Plugin, switch: Switch, netns: Netns, keys: dict[str, Any], words: str
) -> None:
    switch.add_bridge("br0")
    switch.add_bridge("br1")
    switch.add_port("br1", "elsewhere", path=f"{switch.directory}/elsewhere")
    outcome = plugin.add(plugin.conf(**keys), "c1", netns.path)
    assert outcome.code == 7
    assert words in outcome.words
    assert switch.ports() == {"elsewhere"}
    assert not plugin.files()
    assert flows.flows(switch) == ["priority=0 actions=NORMAL"]


def test_an_attachments_port_is_no_peer_port(
    attach: Attach, plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    a = attach()
    outcome = plugin.add(plugin.conf(peerPort=a.port), "c2", netns.path, ifname="net2")
    assert "is an attachment's port" in outcome.words
    assert switch.ports() == {a.port}


# --- cost -------------------------------------------------------------------


def test_add_and_del_run_ovs_ofctl_once_each_and_not_at_all_without_flows(
    plugin: Plugin, switch: Switch, netns: Netns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.add_bridge("br0")
    counted = tmp_path / "counted"
    counter = tmp_path / "ovs-ofctl"
    counter.write_text(f'#!/bin/sh\necho >> {counted}\nexec {shutil.which("ovs-ofctl")} "$@"\n')
    counter.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    calls = []
    for ifname, keys in (
        ("n0", {}),
        ("n1", {"segment": "s"}),
        ("n2", {"segment": "s", "antiSpoofing": True}),
    ):
        for verb in (plugin.add, plugin.delete) if not keys else (plugin.add,):
            verb(plugin.conf(**keys), "c1", netns.path, ifname=ifname).succeeded()
            calls.append(len(counted.read_text().splitlines()) if counted.exists() else 0)
    plugin.delete(plugin.conf(), "c1", netns.path, ifname="n2").succeeded()
    calls.append(len(counted.read_text().splitlines()))
    assert calls == [0, 0, 1, 2, 3]
