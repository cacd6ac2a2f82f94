"""Calls that end too early, killed, without a place to write, or held up: everything comes home."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sriov.steps import ADDRESS, MAC, MTU, VLAN, netconf
from tests.support.faults import broken
from tests.support.guest.nic import addresses, link
from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sriov.steps import Steps
    from tests.support.faults import Point
    from tests.support.guest.nic import Vf
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin

KILL = "signal=KILL"  # before the system call does anything
AT_HOME, SET, INSIDE, ADDRESSED = "at home", "set", "inside", "addressed"


def killed(plugin: Plugin, verb: str, vf: Vf, netns: Netns, point: Point) -> None:
    words, conf = plugin.words(verb, "one", netns.path), json.dumps(netconf(plugin, vf))
    outcome: Outcome = broken(plugin, words, conf.encode(), point, KILL)
    assert outcome.returncode, point  # strace ends as the call did
    assert outcome.stdout == ""


def progress(vf: Vf, netns: Netns) -> str:
    """Return how far an ADD has come, as ip(8) tells it."""
    if vf.netdev:
        whole = (vf.settings()["vlan_list"], vf.settings()["address"]) == ([{"vlan": VLAN}], MAC)
        return SET if whole else AT_HOME
    whole = (link("net1", netns.name)["mtu"], addresses("net1", netns.name)) == (MTU, [ADDRESS])
    return ADDRESSED if whole else INSIDE


def is_as_before(plugin: Plugin, vf: Vf, netns: Netns, name: str) -> bool:
    told = vf.settings()
    assert (vf.netdev, netns.links(), told["vlan_list"]) == (name, [], [{}])
    assert MAC not in (told["address"], vf.link["address"])
    assert vf.link["mtu"] == 1500
    return remains(plugin) == []


@pytest.mark.parametrize(("step", "far"), [("allocates", AT_HOME), ("moves", SET), ("sets_mtu", INSIDE)])
def test_del_brings_home_what_a_killed_add_had_taken(  # noqa: PLR0913, PLR0917  two are parameters
    plugin: Plugin, vf: Vf, netns: Netns, steps: Steps, step: str, far: str
) -> None:
    name = vf.netdev
    killed(plugin, "ADD", vf, netns, getattr(steps, step))
    assert progress(vf, netns) == far
    plugin.delete(netconf(plugin, vf), "one", netns.path).succeeded()
    assert is_as_before(plugin, vf, netns, name)


def test_a_killed_add_is_made_anew_and_a_killed_del_finished_by_the_same_call(
    plugin: Plugin, vf: Vf, netns: Netns, steps: Steps
) -> None:
    """The ADD dies before its last word on record, the DEL with the VF in a temporary namespace."""
    name, conf = vf.netdev, netconf(plugin, vf)
    killed(plugin, "ADD", vf, netns, steps.records_the_end)
    assert progress(vf, netns) == ADDRESSED
    plugin.add(conf, "one", netns.path).succeeded()
    assert progress(vf, netns) == ADDRESSED
    killed(plugin, "DEL", vf, netns, steps.goes_home)
    assert netns.links() == []
    plugin.delete(conf, "one", netns.path).succeeded()
    assert is_as_before(plugin, vf, netns, name)


# --- no place to write


@contextmanager
def read_only(place: str) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", place], check=True)


@contextmanager
def a_disk_of_its_own(place: str) -> Iterator[str]:
    subprocess.run(["mount", "-t", "tmpfs", "state", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_where_no_state_can_be_written_no_device_is_taken_and_none_is_lost(
    plugin: Plugin, vf: Vf, netns: Netns
) -> None:
    name, conf = vf.netdev, netconf(plugin, vf)
    with a_disk_of_its_own(plugin.state) as state:
        with open(f"{state}/devices", "w", encoding="utf-8"):  # only allocations cannot be written
            refused = plugin.add(conf, "one", netns.path)
        assert refused.code == 5, refused
        os.unlink(f"{state}/devices")
        with read_only(state):
            refused = plugin.add(conf, "one", netns.path)
        assert refused.code == 5, refused
        assert is_as_before(plugin, vf, netns, name)
        plugin.add(conf, "one", netns.path).succeeded()
        with read_only(state):
            failed = plugin.delete(conf, "one", netns.path)
        assert failed.code in (5, 11), failed
        assert "Read-only file system" in failed.words
        assert progress(vf, netns) == AT_HOME
        plugin.delete(conf, "one", netns.path).succeeded()
        assert is_as_before(plugin, vf, netns, name)


def test_a_del_that_cannot_finish_is_owed_and_settled_by_the_next_call(
    plugin: Plugin, vf: Vf, netns: Netns
) -> None:
    name, conf = vf.netdev, netconf(plugin, vf)
    plugin.add(conf, "one", netns.path).succeeded()
    subprocess.run(["ip", "link", "add", name, "type", "dummy"], check=True)

    failed = plugin.delete(conf, "one", netns.path)

    subprocess.run(["ip", "link", "delete", name], check=True)
    assert failed.code == 11
    assert f"its name {name} is another's at home" in failed.words
    assert len(os.listdir(f"{plugin.state}/owed")) == 1
    assert netns.links() == []  # what could be done was done
    assert vf.settings()["vlan_list"] == [{}]
    plugin.delete(conf, "another").succeeded()
    assert is_as_before(plugin, vf, netns, name)
