"""Many calls at once: no port lost, none left, no lock for ever."""

from __future__ import annotations

import fcntl
import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import CONTAINER
from tests.support.child import wait_for
from tests.support.need import ROOT, need
from tests.support.netns import Netns
from tests.support.plugin import Outcome, Plugin
from tests.support.remains import host_local, leases, remains

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

PROCESSES = 8
ADDS = 100
PAIRS = 6
HELD = "held"
SECONDS = 10.0


@contextmanager
def lock_of(plugin: Plugin, container: str) -> Iterator[None]:
    """Hold a container's lock, as a call does that hangs."""
    path = f"{plugin.state}/attachments/{container}"
    os.makedirs(path, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@pytest.fixture(scope="module", autouse=True)
def blocked(session_switch: Switch) -> Iterator[dict[str, Future[Outcome]]]:
    """Start calls that wait for a lock which nobody gives back; they wait while other tests run."""
    need(ROOT)
    with (
        Netns() as netns,
        Plugin(session_switch) as plugin,
        lock_of(plugin, HELD),
        ThreadPoolExecutor(PROCESSES) as pool,
    ):
        conf = plugin.conf(createBridge=True)
        checked = {**conf, "prevResult": {"cniVersion": "1.1.0", "interfaces": []}}
        yield {
            "ADD": pool.submit(plugin.add, conf, HELD, netns.path),
            "DEL": pool.submit(plugin.delete, conf, HELD, netns.path),
            "CHECK": pool.submit(plugin.check, checked, HELD, netns.path),
        }


# --- one bridge -------------------------------------------------------------


def test_100_adds_by_8_processes_on_a_bridge_of_our_own_with_dels_between(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True, deleteBridge=True)

    def one(number: int) -> str:
        """ADD one; DEL every second one again at once; return the port that stays."""
        container = f"c{number:03}"
        result = plugin.add(conf, container, netns.path).succeeded()
        if number % 2:
            plugin.delete(conf, container, netns.path).succeeded()
            return ""
        return str(result["interfaces"][0]["name"])

    with ThreadPoolExecutor(PROCESSES) as pool:
        staying = {port for port in pool.map(one, range(ADDS)) if port}
        assert len(staying) == ADDS / 2
        assert switch.ports("br0") == staying
        served = {row["name"] for row in switch.rows("Interface") if row["ofport"] and row["ofport"] > 0}
        assert staying <= served
        gone = pool.map(lambda n: plugin.delete(conf, f"c{n:03}", netns.path), range(0, ADDS, 2))
        for outcome in gone:
            outcome.succeeded()
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


def test_a_bridge_that_comes_and_goes_all_the_time_loses_no_port(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True, deleteBridge=True)

    def pairs(worker: int) -> None:
        for number in range(PAIRS):
            container = f"c{worker}-{number}"
            result = plugin.add(conf, container, netns.path).succeeded()
            plugin.check({**conf, "prevResult": result}, container, netns.path).succeeded()
            plugin.delete(conf, container, netns.path).succeeded()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(pairs, range(3)))
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


def test_a_bridge_of_ours_that_nobody_asked_to_delete_stays(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True)

    def pair(number: int) -> None:
        plugin.add(conf, f"c{number}", netns.path).succeeded()
        plugin.delete(conf, f"c{number}", netns.path).succeeded()

    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(pair, range(PROCESSES)))
    assert switch.ports() == set()
    assert switch.bridges() == {"br0"}


# --- one container ----------------------------------------------------------


def test_interfaces_of_one_container_are_added_and_deleted_at_once(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(cniVersion="1.0.0", createBridge=True, deleteBridge=True, ipam=host_local(plugin))
    names = [f"net{number}" for number in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        added = pool.map(lambda n: plugin.add(conf, CONTAINER, netns.path, ifname=n), names)
        results = [outcome.succeeded() for outcome in added]
        assert len({ip["address"] for result in results for ip in result["ips"]}) == 2 * PROCESSES
        with open(f"{plugin.shared}/{CONTAINER}/userspace.json", encoding="utf-8") as file:
            assert sorted(json.load(file)["interfaces"]) == names
        for outcome in pool.map(lambda n: plugin.delete(conf, CONTAINER, ifname=n), names):
            outcome.succeeded()
    assert leases(plugin) == []
    assert remains(plugin, switch) == []


def test_of_many_adds_of_one_attachment_at_once_exactly_one_succeeds(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True, deleteBridge=True)
    with ThreadPoolExecutor(PROCESSES) as pool:
        outcomes = list(pool.map(lambda _: plugin.add(conf, CONTAINER, netns.path), range(PROCESSES)))
        assert sorted(outcome.code for outcome in outcomes) == [0] + [103] * (PROCESSES - 1)
        assert len(switch.ports("br0")) == 1
        for outcome in pool.map(lambda _: plugin.delete(conf, CONTAINER), range(PROCESSES)):
            outcome.succeeded()
    assert remains(plugin, switch) == []


def test_a_del_that_comes_while_the_add_is_at_work_waits_for_it_and_removes_everything(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True, deleteBridge=True)
    switch.stop_answering()
    with ThreadPoolExecutor() as pool:
        add = pool.submit(plugin.add, conf, CONTAINER, netns.path)
        wait_for("the port is committed", lambda: switch.ports() or None, SECONDS, proof=switch.log)
        delete = pool.submit(plugin.delete, conf, CONTAINER, netns.path)
        switch.resume()
        add.result().succeeded()
        delete.result().succeeded()
    assert remains(plugin, switch) == []
    assert switch.bridges() == set()


# --- a lock that is never given back ----------------------------------------


def test_a_lock_of_one_container_does_not_hold_up_another(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    conf = plugin.conf(createBridge=True, deleteBridge=True)
    with lock_of(plugin, HELD):
        plugin.add(conf, CONTAINER, netns.path).succeeded()
        plugin.delete(conf, CONTAINER, netns.path).succeeded()
    os.rmdir(f"{plugin.state}/attachments/{HELD}")
    assert remains(plugin, switch) == []


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_a_lock_holder_that_hangs_makes_the_others_say_try_again(
    blocked: dict[str, Future[Outcome]], command: str
) -> None:
    outcome = blocked[command].result()
    assert outcome.code == 11
    assert "another call works on the same container" in outcome.words
    assert "stayed held for" in outcome.words
