"""Debts: what a call could not finish is on record, said with code 11, and settled by a later call.

Many runtimes call DEL only once, so any later call of the plugin settles.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import caller
from tests.support.child import wait_for
from tests.support.node import BRIDGE, new_container
from tests.support.remains import device_info_file, host_local, leases

if TYPE_CHECKING:
    from tests.support.node import Node

pytestmark = pytest.mark.runtime

SECONDS = 30.0
Later = Callable[["Node"], object]


def state(node: Node) -> dict[str, Any]:
    with open(node.record(), encoding="utf-8") as file:
        record: dict[str, Any] = json.load(file)
    return record


@contextmanager
def hung_database(node: Node) -> Iterator[None]:
    """Stop the database server where it stands: it accepts connections and answers nothing."""
    pid = int(Path(node.switch.directory, "ovsdb-server.pid").read_text(encoding="ascii"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def no_database(node: Node) -> Iterator[None]:
    """Hide the server's socket: nothing answers, and vswitchd need not find a new server afterwards."""
    os.rename(node.switch.socket, f"{node.switch.socket}.away")
    try:
        yield
    finally:
        os.rename(f"{node.switch.socket}.away", node.switch.socket)


# --- the switch is away at DEL


def add_of_another(node: Node) -> None:
    other = new_container()
    node.add(container=other).succeeded()
    node.delete(container=other).succeeded()


def del_of_another(node: Node) -> None:
    node.delete(container=new_container()).succeeded()


def gc_of_another_network(node: Node) -> None:
    node.plugin.gc(node.plugin.conf(name="other"), []).succeeded()


def the_same_del(node: Node) -> None:
    node.delete().succeeded()


def the_same_add(node: Node) -> None:
    answer = node.add().succeeded()
    node.check(prevResult=answer).succeeded()
    node.delete().succeeded()


LATER = (add_of_another, del_of_another, gc_of_another_network, the_same_del, the_same_add)


@pytest.mark.parametrize("later", LATER)
def test_a_del_without_the_database_is_owed_and_settled_by(node: Node, later: Later) -> None:
    conf = node.plugin.conf(bridge="auto", createBridge=True, deleteBridge=True)
    node.add(conf=conf).succeeded()

    with no_database(node):
        failed = node.delete(conf=conf)

    assert failed.code == 11
    assert node.switch.remote in failed.words
    assert state(node)["state"] == "owed"
    assert node.switch.remote in state(node)["reason"]
    assert len(node.debts()) == 1
    assert not os.path.exists(node.directory())  # what could be done was done
    later(node)
    assert node.debts() == []
    assert node.left() == []


def test_a_del_while_the_database_hangs_is_owed_and_holds_up_no_other_switch(node: Node) -> None:
    node.add().succeeded()
    with hung_database(node):
        assert node.delete().code == 11
        assert state(node)["state"] == "owed"
        node.delete(socket_file="unix:/nowhere/db.sock", container=new_container()).succeeded()
        assert len(node.debts()) == 1
    del_of_another(node)
    assert node.left() == []


def test_a_del_while_vswitchd_hangs_is_done(node: Node) -> None:
    node.add().succeeded()
    node.switch.stop_answering()
    node.delete().succeeded()
    assert node.switch.ports() == set()
    node.switch.resume()
    assert node.left() == []


def test_a_del_while_vswitchd_is_dead_is_done(node: Node) -> None:
    for number, kind in enumerate(("dpdkvhostuserclient", "dpdkvhostuser")):
        node.add(interface_type=kind, ifname=f"net{number}").succeeded()
    node.switch.kill_vswitchd()
    for number in (0, 1):
        node.delete(ifname=f"net{number}").succeeded()
    node.switch.restart_vswitchd()
    assert node.left() == []


@pytest.mark.usefixtures("reference_plugins")
def test_all_but_the_switchs_part_is_done_at_once(node: Node) -> None:
    conf = node.plugin.conf(
        ipam=host_local(node.plugin),
        sharedDir=os.path.join(node.plugin.shared, "d" * 60),
        runtimeConfig={"CNIDeviceInfoFile": device_info_file(node.plugin)},
    )
    node.add(conf=conf).succeeded()
    with no_database(node):
        assert node.delete(conf=conf).code == 11
    assert leases(node.plugin) == os.listdir(node.plugin.links) == []
    assert not os.path.exists(device_info_file(node.plugin))
    assert not os.path.exists(os.path.join(conf["sharedDir"], node.container))
    del_of_another(node)
    os.rmdir(conf["sharedDir"])
    assert node.left() == []


# --- the switch fails ADD


def test_an_add_while_vswitchd_hangs_fails_in_time_and_leaves_no_row(node: Node) -> None:
    for keys in ({}, {"bridge": "auto", "createBridge": True}):
        node.switch.stop_answering()
        failed = node.add(timeout=1, **keys)
        assert failed.code == 101
        assert "ovs-vswitchd did not answer" in failed.words
        assert node.switch.ports() == set()
        node.switch.resume()
        assert node.left() == []


def test_an_add_while_vswitchd_is_dead_fails_in_time_and_leaves_no_row(node: Node) -> None:
    node.switch.kill_vswitchd()
    failed = node.add(timeout=1)
    assert failed.code == 101
    assert node.switch.ports() == set()
    node.switch.restart_vswitchd()
    assert node.left() == []


def test_an_add_while_the_database_hangs_fails_in_time_and_leaves_nothing(node: Node) -> None:
    with hung_database(node):
        failed = node.add(timeout=1)
    assert failed.code in (11, 101)
    assert node.left() == []


@pytest.mark.parametrize("later", [add_of_another, the_same_add])
def test_an_add_that_loses_the_database_halfway_is_owed_and_settled_by(node: Node, later: Later) -> None:
    node.switch.stop_answering()  # so that ADD waits with its rows in the database
    process = caller.start(node.plugin, node.words("ADD"))
    assert process.stdin is not None
    process.stdin.write(json.dumps(node.plugin.conf(createBridge=True)).encode())
    process.stdin.close()
    process.stdin = None
    wait_for("the row stands", lambda: node.switch.ports(BRIDGE), SECONDS, proof=node.switch.log)
    node.switch.kill_ovsdb()

    failed = caller.finish(process)

    assert failed.code == 101
    assert "owed" in failed.words
    assert state(node)["state"] == "owed"
    node.switch.start_ovsdb()
    assert len(node.switch.ports(BRIDGE)) == 1
    node.switch.resume()
    later(node)
    assert node.left() == []


# --- the directory cannot be removed


@contextmanager
def mount(place: str) -> Iterator[None]:
    os.mkdir(place)
    subprocess.run(["mount", "-t", "tmpfs", "test", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_directory_with_a_mount_in_it_is_owed_and_settled(node: Node) -> None:
    node.add().succeeded()
    with mount(os.path.join(node.directory(), "inner")):
        failed = node.delete()
        assert failed.code == 11
        assert f"{node.directory()}: Device or resource busy (inner)" in failed.words
        assert node.switch.ports() == set()
        assert len(node.debts()) == 1
    del_of_another(node)
    assert node.left() == []


def test_a_debt_that_cannot_be_settled_holds_up_nobody(node: Node) -> None:
    node.add().succeeded()
    with mount(os.path.join(node.directory(), "inner")):
        assert node.delete().code == 11
        for _ in range(3):
            add_of_another(node)
        assert len(node.debts()) == 1
        assert node.delete().code == 11
    node.delete().succeeded()
    assert node.left() == []


def test_many_debts_are_settled_by_the_calls_that_follow(node: Node) -> None:
    containers = [new_container() for _ in range(10)]
    for container in containers:
        node.add(container=container).succeeded()
    with no_database(node):
        for container in containers:
            assert node.delete(container=container).code == 11
    for _ in range(2):
        del_of_another(node)
    assert node.left() == []
