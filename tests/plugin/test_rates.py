"""Rates, retries and words for others: rows, their removal, CHECK.

What the switch then lets through is shown in tests/system/test_frames_*.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.plugin.conftest import Attach
    from tests.support.attached import Attached
    from tests.support.netns import Netns
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

ALL: dict[str, Any] = {
    "ingressPolicing": {"rate": 10_000, "burst": 1_000},
    "egressShaping": {"rate": 20_000, "burst": 2_000},
    "txRetriesMax": 3,
    "externalIds": {"tenant": "blue"},
    "ovnPort": "lsp1",
}


@pytest.fixture(autouse=True)
def _no_qos_is_left(switch: Switch) -> Iterator[None]:
    """Take away the QoS rows: no bridge takes them along."""
    yield
    switch.clean()
    switch.vsctl("--no-wait", "--all", "destroy", "QoS")


def test_rates_become_columns_and_a_qos_row_in_the_switchs_units(attach: Attach, switch: Switch) -> None:
    attached = attach(**ALL)
    interface, port = (switch.row(table, attached.port) for table in ("Interface", "Port"))
    (qos,) = switch.rows("QoS")
    assert (interface["ingress_policing_rate"], interface["ingress_policing_burst"]) == (10_000, 1_000)
    assert (qos["type"], qos["other_config"]) == ("egress-policer", {"cir": "2500000", "cbs": "250000"})
    assert port["qos"] == qos["_uuid"]
    assert qos["external_ids"]["owner"] == "cni-userspace"
    assert interface["options"]["tx-retries-max"] == "3"
    assert interface["external_ids"]["iface-id"] == "lsp1"
    assert interface["external_ids"]["tenant"] == port["external_ids"]["tenant"] == "blue"
    attached.check().succeeded()


def test_a_limit_without_a_burst_has_the_switchs_own(attach: Attach, switch: Switch) -> None:
    attached = attach(ingressPolicing={"rate": 5}, egressShaping={"rate": 5})
    assert switch.row("Interface", attached.port)["ingress_policing_burst"] == 8000
    assert switch.rows("QoS")[0]["other_config"] == {"cir": "625", "cbs": "1000000"}


def test_del_removes_the_qos_row_with_the_port_and_leaves_others(attach: Attach, switch: Switch) -> None:
    first, second = attach(ifname="net1", **ALL), attach(ifname="net10", **ALL)
    switch.vsctl("--no-wait", "--", "--id=@q", "create", "QoS", "type=linux-noop")
    first.delete().succeeded()
    assert sorted(row["type"] for row in switch.rows("QoS")) == ["egress-policer", "linux-noop"]
    second.check().succeeded()
    second.delete().succeeded()
    assert [row["type"] for row in switch.rows("QoS")] == ["linux-noop"]


def test_del_removes_the_qos_row_of_a_port_that_somebody_removed(attach: Attach, switch: Switch) -> None:
    attached = attach(**ALL)
    switch.vsctl("del-port", attached.port)
    attached.delete().succeeded()
    assert not switch.rows("QoS")


def test_del_without_a_record_removes_the_qos_row_by_its_marks(
    attach: Attach, switch: Switch, plugin: Plugin
) -> None:
    attached = attach(**ALL)
    plugin.set_node(stateDir=f"{plugin.directory}/other")
    attached.delete().succeeded()
    assert not switch.rows("QoS")
    assert not switch.ports()


def test_a_port_that_vswitchd_refuses_leaves_no_qos_row(plugin: Plugin, switch: Switch, netns: Netns) -> None:
    switch.add_bridge("br0")
    switch.stop_answering()
    outcome = plugin.add(plugin.conf(timeout=1, **ALL), "c1", netns.path)
    assert outcome.code == 101
    assert not switch.rows("QoS")
    switch.resume()


def forget(a: Attached) -> None:
    a.switch.vsctl("--no-wait", "clear", "Port", a.port, "qos", "--", "--all", "destroy", "QoS")


BROKEN: dict[str, tuple[Callable[[Attached], object], str]] = {
    "rate": (lambda a: a.set("Interface", "ingress_policing_rate", "9"), "ingress_policing_rate is 9"),
    "burst": (lambda a: a.set("Interface", "ingress_policing_burst", "9"), "ingress_policing_burst is 9"),
    "retries": (lambda a: a.set("Interface", "options:tx-retries-max", "9"), "tx-retries-max is '9'"),
    "own id": (lambda a: a.set("Port", "external_ids:tenant", "red"), "Port external_ids:tenant is 'red'"),
    "OVN's": (lambda a: a.set("Interface", "external_ids:iface-id", "x"), "iface-id is 'x'"),
    "QoS gone": (forget, "the QoS row of the port does not exist"),
    "QoS unused": (lambda a: a.clear("Port", "qos"), "the port does not use its QoS row"),
    "QoS rate": (
        lambda a: a.switch.vsctl("set", "QoS", a.switch.rows("QoS")[0]["_uuid"], "other_config:cir=1"),
        "QoS other_config:cir is '1'",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_check_names_each_thing_broken_alone(attach: Attach, what: str) -> None:
    attached = attach(**ALL)
    do, words = BROKEN[what]
    do(attached)
    outcome = attached.check()
    assert (outcome.code, outcome.answer["details"].count("; ")) == (104, 0)
    assert words in outcome.words
    attached.delete().succeeded()
    assert not attached.switch.rows("QoS")


def test_limits_that_nobody_asked_for_are_faults(attach: Attach, switch: Switch) -> None:
    attached = attach()
    attached.set("Interface", "ingress_policing_rate", "9")
    switch.vsctl("set", "Port", attached.port, "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-noop")
    words = attached.check().words
    assert "ingress_policing_rate is 9" in words
    assert "the port has a QoS row, and ADD made none" in words


def test_cni_args_name_the_logical_port_and_the_bridge_is_then_ovns(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br-int")
    conf = plugin.conf(bridge=None, ovnPort="from-netconf", args={"cni": {"OvnPort": "from-args"}})
    plugin.add(conf, "c1", netns.path, args="IgnoreUnknown=1;OvnPort=from-cni-args").succeeded()
    plugin.add(conf, "c2", netns.path, ifname="net2").succeeded()
    ids = {row["external_ids"].get("iface-id") for row in switch.rows("Interface")}
    assert ids - {None} == {"from-cni-args", "from-args"}
    assert len(switch.ports("br-int")) == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"ingressPolicing": {"rate": 0}}, "$.ingressPolicing.rate: 0 is no rate"),
        ({"egressShaping": {"rate": 0, "burst": 50}}, "$.egressShaping.rate: 0 is no rate"),
        ({"egressShaping": {"rate": 1, "burst": 12}}, "$.egressShaping.burst: 12 is not within 13"),
        ({"mtu": 9000, "egressShaping": {"rate": 1, "burst": 72}}, "less than a frame of this MTU, 73 kbit"),
        ({"txRetriesMax": 33}, "$.txRetriesMax: 33 is not within 0 and 32"),
        ({"txRetriesMax": 3, "interface_type": "dpdkvhostuser"}, "$.txRetriesMax: 3 goes with"),
        ({"externalIds": {"cni-ifname": "x"}}, "is a key of this plugin's own"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_made(
    plugin: Plugin, switch: Switch, netns: Netns, keys: dict[str, Any], words: str
) -> None:
    outcome = plugin.add(plugin.conf(createBridge=True, **keys), "c1", netns.path)
    assert outcome.code == 7
    assert words in outcome.words
    assert not switch.bridges()
    assert not plugin.files()
