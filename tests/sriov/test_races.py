"""Calls that meet: whoever gets a device gets it whole, and nobody else touches it.

Real processes at once. Where the meeting must be at one certain moment, the
first of them is halted there from outside (strace).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.sriov.steps import ADDRESS, MAC, MTU, VLAN, netconf
from tests.support import caller
from tests.support.child import wait_for
from tests.support.faults import halted
from tests.support.guest.nic import addresses, link
from tests.support.remains import remains

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from tests.sriov.steps import Steps
    from tests.support.guest.nic import Device, Pf, Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin

    MakeNetns = Callable[[], Netns]

SECONDS = 30.0
TEN = 10


def bare(plugin: Plugin, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of a netconf
    return plugin.conf(bridge=None, **keys)


def begin(plugin: Plugin, verb: str, conf: dict[str, Any], netns: Netns) -> subprocess.Popen[bytes]:
    return caller.begin(plugin, plugin.words(verb, netns.name, netns.path), conf)


def at_once(plugin: Plugin, verb: str, asked: Mapping[Netns, dict[str, Any]]) -> dict[Netns, Outcome]:
    """Make a call for several containers; each is named as its namespace."""
    begun = {netns: begin(plugin, verb, conf, netns) for netns, conf in asked.items()}
    return {netns: caller.finish(process) for netns, process in begun.items()}


def come_home(device: Device) -> str:
    return wait_for("the device is at home", lambda: device.netdev, SECONDS, proof=lambda: device.address)


def is_whole(vf: Vf, netns: Netns) -> bool:
    """Tell whether a container has the VF with all that was asked for it, as ip(8) and the PF tell it."""
    told = link("net1", netns.name)
    assert (told["address"], told["mtu"]) == (MAC, MTU)
    assert addresses("net1", netns.name) == [ADDRESS]
    assert vf.settings()["address"] == MAC
    return "UP" in told["flags"] and vf.settings()["vlan_list"] == [{"vlan": VLAN}]


def test_of_two_adds_for_one_device_one_wins_and_the_other_has_nothing(
    plugin: Plugin, vf: Vf, other_pf: Pf, make_netns: MakeNetns
) -> None:
    names = vf.netdev, other_pf.netdev
    pairs = [(make_netns(), make_netns()), (make_netns(), make_netns())]
    for_vf, for_pf = netconf(plugin, vf), bare(plugin, master=other_pf.netdev, pfOnly=True)
    asked = dict.fromkeys(pairs[0], for_vf) | dict.fromkeys(pairs[1], for_pf)

    outcomes = at_once(plugin, "ADD", asked)

    winners = [netns for netns in asked if not outcomes[netns].returncode]
    losers = [netns for netns in asked if netns not in winners]
    for pair in pairs:
        (winner,), (loser,) = set(pair) & set(winners), set(pair) & set(losers)
        assert outcomes[loser].code == 103
        assert f"{winner.name} (net1 of fast)" in outcomes[loser].words
        assert (winner.links(), loser.links()) == (["net1"], [])
    assert is_whole(vf, next(netns for netns in winners if netns in pairs[0]))
    assert sorted(os.listdir(f"{plugin.state}/attachments")) == sorted(netns.name for netns in winners)
    at_once(plugin, "DEL", {netns: asked[netns] for netns in losers})  # as after each failed ADD
    assert [netns.links() for netns in winners] == [["net1"], ["net1"]]
    ends = at_once(plugin, "DEL", {netns: asked[netns] for netns in winners})
    assert [end.code for end in ends.values()] == [0, 0]
    assert (vf.netdev, other_pf.netdev) == names


def test_each_free_vf_goes_to_one_of_all_who_ask_and_the_last_one_to_one_of_ten(
    plugin: Plugin, pf: Pf, vfs: tuple[Vf, ...], make_netns: MakeNetns
) -> None:
    asked = {make_netns(): bare(plugin, master=pf.netdev) for _ in range(len(vfs) - 1 + TEN)}

    outcomes = at_once(plugin, "ADD", asked)

    winners = [netns for netns in asked if not outcomes[netns].returncode]
    losers = [netns for netns in asked if netns not in winners]
    got = [outcomes[netns].answer["interfaces"][0]["pciID"] for netns in winners]
    assert sorted(got) == sorted(vf.address for vf in vfs)
    assert [netns.links() for netns in winners] == [["net1"]] * len(vfs)
    assert not any(vf.netdev for vf in vfs)
    assert {outcomes[netns].code for netns in losers} == {103}
    assert all(f"no VF of {pf.address} is free" in outcomes[netns].words for netns in losers)
    assert not any(netns.links() for netns in losers)
    ends = at_once(plugin, "DEL", {netns: asked[netns] for netns in winners})
    assert [end.code for end in ends.values()] == [0] * len(vfs)


def test_an_add_that_meets_the_last_ones_del_gets_the_vf_whole_or_not_at_all(
    plugin: Plugin, vf: Vf, make_netns: MakeNetns
) -> None:
    old, new = make_netns(), make_netns()
    former = bare(plugin, deviceID=vf.address, vlan=9, trust="on")
    conf = netconf(plugin, vf)
    plugin.add(former, old.name, old.path).succeeded()

    leaving, coming = begin(plugin, "DEL", former, old), begin(plugin, "ADD", conf, new)
    caller.finish(leaving).succeeded()
    outcome = caller.finish(coming)

    if outcome.returncode:
        assert outcome.code in (11, 103), outcome
        assert f"{vf.address} belongs to {old.name}" in outcome.words
        assert new.links() == []
        plugin.add(conf, new.name, new.path).succeeded()
    assert is_whole(vf, new)
    assert vf.settings()["trust"] is False
    plugin.delete(conf, new.name, new.path).succeeded()


def test_a_late_del_that_comes_while_the_next_one_is_given_the_vf_waits_and_touches_nothing(
    plugin: Plugin, vf: Vf, make_netns: MakeNetns, steps: Steps
) -> None:
    old, new = make_netns(), make_netns()
    former = bare(plugin, deviceID=vf.address, vlan=9)
    plugin.add(former, old.name, old.path).succeeded()
    old.close()

    with halted(plugin, plugin.words("ADD", new.name, new.path), netconf(plugin, vf), steps.moves) as adding:
        late = begin(plugin, "DEL", former, old)
    adding.outcome.succeeded()
    caller.finish(late).succeeded()

    assert is_whole(vf, new)
    assert os.listdir(f"{plugin.state}/attachments") == [new.name]
    plugin.delete(netconf(plugin, vf), new.name, new.path).succeeded()


@pytest.mark.parametrize("step", ["sets_vlan", "moves"])
def test_a_netns_deleted_under_a_running_add_costs_no_device(
    plugin: Plugin, vf: Vf, netns: Netns, steps: Steps, step: str
) -> None:
    name, conf = vf.netdev, netconf(plugin, vf)

    with halted(plugin, plugin.words("ADD", "one", netns.path), conf, getattr(steps, step)) as adding:
        netns.close()

    if adding.outcome.returncode:
        assert adding.outcome.code == 3
        assert come_home(vf) == name
        assert vf.settings()["vlan_list"] == [{}]
        assert remains(plugin) == []
    plugin.delete(conf, "one", netns.path).succeeded()
    assert come_home(vf) == name
