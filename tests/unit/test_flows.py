"""Flows as text: what is pure about them."""

from __future__ import annotations

import pytest

from cni_userspace.attach import naming
from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk.flows import End, additions, flows, link_local, plain

KEY = Key(network="n", container_id="c", ifname="net1")


def end(**keys: object) -> End:
    return End(key=KEY, port="p", ofport=5, mac="02:00:00:00:00:11").replace(**keys)


def of_ports(found: list[str]) -> list[str]:
    """Return the flows that speak of one port."""
    return [flow for flow in found if "in_port=" in flow]


def test_the_cookie_is_the_attachments_alone() -> None:
    cookies = {naming.cookie(n, c, i) for n in ("a", "b") for c in ("a", "b") for i in ("net1", "net10")}
    assert len(cookies) == 8
    assert all(0 < cookie < 1 << 63 for cookie in cookies)
    assert naming.cookie("n", "c", "net1") == naming.cookie("n", "c", "net1")


def test_a_lone_end_drops_whatever_else_it_asks_for() -> None:
    for lone in (end(segment="s", anti_spoofing=True), end(peer_port="dpdk0")):
        assert flows(lone, None)[0] == "priority=40000,in_port=5 actions=drop"
        assert all(flow.endswith("actions=drop") for flow in flows(lone, None))


def test_a_wire_to_a_port_has_a_flow_each_way() -> None:
    assert flows(end(peer_port="dpdk0"), 7)[:2] == [
        "priority=40000,in_port=5 actions=output:7",
        "priority=40000,in_port=7 actions=output:5",
    ]


def test_each_wired_end_drops_the_vlan_that_shuts_it_by_a_flow_of_its_own() -> None:
    other = KEY.replace(ifname="net2")
    shut = [flows(e, 7)[-1] for e in (end(segment="s"), end(key=other, segment="s"))]
    assert all("dl_vlan=4095 actions=drop" in flow for flow in shut)
    assert len(set(shut)) == 2
    assert "dl_vlan" not in "".join(flows(end(anti_spoofing=True), None))


def test_a_wired_end_has_a_drop_of_its_own_for_the_vlan_that_shuts_it() -> None:
    other = Key(network="n", container_id="d", ifname="net1")
    shut = {flow for e in (end(segment="s"), end(segment="s", key=other)) for flow in flows(e, 6)}
    assert len([flow for flow in shut if flow.endswith("dl_vlan=4095 actions=drop")]) == 2
    assert not [flow for flow in flows(end(anti_spoofing=True), None) if "dl_vlan" in flow]


def test_every_guarded_port_ends_in_a_drop() -> None:
    for ips in ((), ("10.0.0.5",), ("fd00::5",), ("10.0.0.5", "fd00::5")):
        assert "priority=40000,in_port=5 actions=drop" in flows(end(anti_spoofing=True, ips=ips), None)


def test_additions_replace_and_carry_the_cookie() -> None:
    first, *rest = additions(end(segment="s"), 6)
    assert first == f"delete cookie={end().cookie}/-1"
    assert all(line.startswith(f"add cookie={end().cookie},priority=") for line in rest)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("10.0.0.5/24", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5"),
        ("FD00:0:0::5/64", "fd00::5"),
        ("fd00:0000:0000:0000:0000:0000:0000:0005", "fd00::5"),
    ],
)
def test_addresses_are_written_as_the_switch_writes_them(given: str, shown: str) -> None:
    assert plain(given) == shown


def test_the_link_local_address_is_that_of_rfc_4291() -> None:
    assert link_local("34:56:78:9a:bc:de") == "fe80::3656:78ff:fe9a:bcde"
