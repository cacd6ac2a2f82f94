"""CHECK of what was kept and told: record, prevResult, namespace, addresses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attached import CONTAINER
from tests.support.remains import host_local, leases

if TYPE_CHECKING:
    from tests.conftest import MakeNetns
    from tests.plugin.conftest import Attach
    from tests.support.attached import Attached
    from tests.support.plugin import Plugin

pytestmark = pytest.mark.runtime

Change = Callable[[dict[str, Any]], object]
MAC = "02:00:00:00:00:98"


@pytest.fixture
def addressed(attach: Attach, plugin: Plugin) -> Attached:
    """Give an attachment with addresses; Debian 12's host-local knows CNI 1.0.0 at most."""
    return attach(cniVersion="1.0.0", ipam=host_local(plugin))


# --- the record -------------------------------------------------------------


def test_a_lost_record_is_an_unknown_container(attach: Attach) -> None:
    attached = attach()
    os.unlink(attached.record)
    outcome = attached.check()
    assert outcome.code == 3
    assert "there is no record of this attachment" in outcome.words


def test_a_torn_record_is_an_unknown_container(attach: Attach) -> None:
    attached = attach()
    with open(attached.record, "r+", encoding="utf-8") as file:
        file.truncate(100)
    assert attached.check().code == 3


@pytest.mark.parametrize("state", ["adding", "owed"])
def test_a_record_of_what_is_not_attached_is_a_fault(attach: Attach, state: str) -> None:
    attached = attach()
    change(attached.record, state=state, reason="the switch was down")
    words = attached.check().words
    assert f"the record says '{state}'" in words
    assert "the switch was down" in words


def test_a_record_that_says_something_else_is_a_fault(attach: Attach) -> None:
    attached = attach()
    plan = read(attached.record)["plan"]
    change(attached.record, plan={**plan, "mac": MAC})
    assert "attached-mac" in attached.check().words


def test_an_entry_of_the_record_that_says_something_else_is_a_fault(attach: Attach) -> None:
    attached = attach()
    entry = read(attached.record)["entry"]
    change(attached.record, entry={**entry, "mac": MAC})
    assert "userspace.json does not say what ADD wrote" in attached.check().words


def read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def change(path: str, **fields: object) -> None:
    found = {**read(path), **fields}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


# --- prevResult -------------------------------------------------------------


def container_interface(result: dict[str, Any]) -> dict[str, Any]:
    (found,) = (i for i in result["interfaces"] if i.get("sandbox"))
    return found  # type: ignore[no-any-return]


BROKEN: dict[str, tuple[Change, str]] = {
    "mac": (lambda r: container_interface(r).update(mac=MAC), f"net1 has the MAC {MAC}, ADD gave it"),
    "no mac": (lambda r: container_interface(r).pop("mac"), "net1 has the MAC -, ADD gave it"),
    "socket": (
        lambda r: container_interface(r).update(socketPath="/x"),
        "net1 has the socket /x, ADD made /",
    ),
    "interface": (lambda r: r["interfaces"].pop(1), "prevResult has no interface net1"),
    "sandbox": (lambda r: container_interface(r).update(sandbox="/x"), "prevResult has no interface net1"),
    "name": (lambda r: container_interface(r).update(name="net2"), "prevResult has no interface net1"),
    "port": (lambda r: r["interfaces"].pop(0), "prevResult has no interface vhu"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_thing_of_prev_result_broken_alone_is_named(attach: Attach, what: str) -> None:
    attached = attach()
    do, words = BROKEN[what]
    previous = deepcopy(attached.result)
    do(previous)
    outcome = attached.check(previous)
    assert outcome.code == 104
    assert words in outcome.words
    assert "; " not in outcome.answer["details"], "nothing else is reported"


BROKEN_ADDRESS: dict[str, Change] = {
    "no addresses": lambda r: r.pop("ips"),
    "one missing": lambda r: r["ips"].pop(0),
    "another": lambda r: r["ips"][0].update(address="10.9.0.99/24"),
    "another prefix": lambda r: r["ips"][0].update(address="10.9.0.2/16"),
    "another gateway": lambda r: r["ips"][0].update(gateway="10.9.0.254"),
}


@pytest.mark.parametrize("what", BROKEN_ADDRESS)
def test_each_address_of_prev_result_broken_alone_is_named(addressed: Attached, what: str) -> None:
    previous = deepcopy(addressed.result)
    BROKEN_ADDRESS[what](previous)
    outcome = addressed.check(previous)
    assert outcome.code == 104
    assert "prevResult has no address 10.9.0.2/24 with the gateway 10.9.0.1" in outcome.words


def test_what_another_plugin_of_the_chain_added_to_prev_result_is_no_fault(attach: Attach) -> None:
    attached = attach()
    previous = deepcopy(attached.result)
    previous["interfaces"].append({"name": "eth9", "sandbox": attached.netns.path})
    previous["ips"] = [{"address": "192.0.2.7/24"}]
    attached.check(previous).succeeded()


def test_check_without_prev_result_is_an_invalid_config(attach: Attach) -> None:
    attached = attach()
    outcome = attached.plugin.check(attached.conf, CONTAINER, attached.netns.path)
    assert outcome.code == 7
    assert "prevResult" in outcome.words


# --- the namespace ----------------------------------------------------------


def test_another_namespace_is_a_fault(attach: Attach, make_netns: MakeNetns) -> None:
    attached, other = attach(), make_netns()
    conf = {**attached.conf, "prevResult": attached.result}
    words = attached.plugin.check(conf, CONTAINER, other.path).words
    assert f"{other.path} is not the network namespace that ADD was given" in words


def test_a_namespace_that_has_gone_is_a_fault(attach: Attach) -> None:
    attached = attach()
    attached.netns.close()
    outcome = attached.check()
    assert outcome.code == 104
    assert "is not the network namespace that ADD was given" in outcome.words


# --- addresses --------------------------------------------------------------


def test_a_lease_that_has_gone_is_a_fault_in_the_ipam_plugins_words(addressed: Attached) -> None:
    for lease in leases(addressed.plugin):
        os.unlink(lease)
    outcome = addressed.check()
    assert outcome.code == 104
    assert "the IPAM plugin host-local failed at CHECK" in outcome.words


def test_every_fault_is_reported_at_once(addressed: Attached) -> None:
    for lease in leases(addressed.plugin):
        os.unlink(lease)
    os.unlink(f"{addressed.directory}/userspace.json")
    addressed.set("Port", "tag", "7")
    previous = deepcopy(addressed.result)
    container_interface(previous)["mac"] = MAC
    words = addressed.check(previous).words
    for fault in ("IPAM", "userspace.json", "VLAN tag is 7", MAC):
        assert fault in words
