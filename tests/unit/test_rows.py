"""Rows: the one transaction that makes a port, and those that take things away."""

from __future__ import annotations

from typing import Any

import pytest

from cni_userspace.engines.ovs_dpdk import rows
from tests.support.plans import plan

Operation = dict[str, Any]
SERVER = "dpdkvhostuser"


def inserts(operations: list[Operation], table: str) -> list[Operation]:
    return [o["row"] for o in operations if o["op"] == "insert" and o["table"] == table]


def of(operations: list[Operation], op: str) -> list[Operation]:
    return [o for o in operations if o["op"] == op]


def test_what_must_not_be_there_is_proven_before_anything_is_made() -> None:
    operations, meanings = rows.insertion(plan(), create_bridge=False)
    kinds = [o["op"] for o in operations]
    assert kinds == ["wait"] * 4 + ["insert", "insert", "mutate", "comment"]
    assert all(o["timeout"] == 0 for o in of(operations, "wait"))  # at once, or not at all
    assert meanings == [rows.BRIDGE, rows.PORT, rows.PORT, rows.PATH, "", "", "", ""]


def test_the_guards_ask_for_name_and_path() -> None:
    made = plan()
    operations, _ = rows.insertion(made, create_bridge=False)
    asked = [(o["table"], o["where"][0], o["rows"]) for o in of(operations, "wait")]
    path = ["map", [["vhost-server-path", made.switch_path]]]
    assert asked == [
        ("Bridge", ["name", "==", "br0"], [{"name": "br0"}]),
        ("Port", ["name", "==", made.port], []),
        ("Interface", ["name", "==", made.port], []),
        ("Interface", ["options", "includes", path], []),
    ]


def test_the_ports_of_a_bridge_are_never_rewritten() -> None:
    operations, _ = rows.insertion(plan(), create_bridge=False)
    assert not of(operations, "update")
    (mutation,) = of(operations, "mutate")
    assert mutation["table"] == "Bridge"
    assert mutation["mutations"] == [["ports", "insert", ["set", [["named-uuid", "port"]]]]]


def test_a_bridge_that_is_to_be_made_must_not_be_there() -> None:
    operations, meanings = rows.insertion(plan(), create_bridge=True)
    assert operations[0]["rows"] == []
    assert (len(operations), meanings[0]) == (len(meanings), rows.BRIDGE)


def test_a_bridge_is_made_with_its_own_port_and_our_mark() -> None:
    operations, _ = rows.insertion(plan(bridge="br7"), create_bridge=True)
    (bridge,) = inserts(operations, "Bridge")
    assert bridge["name"] == "br7"
    assert bridge["datapath_type"] == "netdev"
    assert bridge["external_ids"] == ["map", [["owner", "cni-userspace"]]]
    assert {p["name"] for p in inserts(operations, "Port")} == {"br7", plan().port}
    assert {i["type"] for i in inserts(operations, "Interface")} == {"internal", "dpdkvhostuserclient"}
    (mutation,) = of(operations, "mutate")
    assert mutation["table"] == "Open_vSwitch"


def test_a_client_port_is_told_its_path() -> None:
    made = plan()
    row = rows.interface_row(made)
    assert row["type"] == "dpdkvhostuserclient"
    assert row["options"] == ["map", [["vhost-server-path", made.switch_path]]]


def test_a_server_port_names_its_own_socket() -> None:
    row = rows.interface_row(plan(interface_type=SERVER))
    assert row["type"] == SERVER
    assert "options" not in row


def test_what_is_not_asked_is_left_to_the_switch() -> None:
    assert set(rows.interface_row(plan())) == {"name", "type", "external_ids", "options"}
    assert set(rows.port_row(plan())) == {"name", "external_ids"}


def test_mtu_and_ofport_are_requests() -> None:
    row = rows.interface_row(plan(mtu=9000, ofport_request=17))
    assert (row["mtu_request"], row["ofport_request"]) == (9000, 17)


@pytest.mark.parametrize(
    ("vlan", "trunk", "columns"),
    [
        (None, (), {}),
        (7, (), {"tag": 7}),
        (0, (), {"tag": 0}),
        (None, (1, 2), {"trunks": ["set", [1, 2]], "vlan_mode": "trunk"}),
        (7, (1, 2), {"tag": 7, "trunks": ["set", [1, 2]], "vlan_mode": "native-untagged"}),
    ],
)
def test_vlans(vlan: int | None, trunk: tuple[int, ...], columns: dict[str, Any]) -> None:
    row = rows.port_row(plan(vlan=vlan, trunk=trunk))
    assert {k: v for k, v in row.items() if k not in ("name", "external_ids")} == columns


def test_a_port_is_taken_out_of_whatever_bridge_holds_it() -> None:
    (one, two) = rows.removal(["u1", "u2"], [])
    assert one == {
        "op": "mutate",
        "table": "Bridge",
        "where": [["ports", "includes", ["set", [["uuid", "u1"]]]]],
        "mutations": [["ports", "delete", ["set", [["uuid", "u1"]]]]],
    }
    assert two["where"] == [["ports", "includes", ["set", [["uuid", "u2"]]]]]


def test_a_bridge_goes_only_with_just_the_ports_that_were_seen() -> None:
    operations = rows.bridge_removal("br7", "b1", [["uuid", "p1"]])
    wait = operations[0]
    assert (wait["op"], wait["where"]) == ("wait", [["_uuid", "==", ["uuid", "b1"]]])
    assert (wait["rows"], wait["until"], wait["timeout"]) == ([{"ports": ["set", [["uuid", "p1"]]]}], "==", 0)
    assert operations[1]["mutations"] == [["bridges", "delete", ["set", [["uuid", "b1"]]]]]


def test_only_a_bridge_of_ours_is_looked_for() -> None:
    assert rows.own_bridge("br7")["where"] == [
        ["name", "==", "br7"],
        ["external_ids", "includes", ["map", [["owner", "cni-userspace"]]]],
    ]
