"""The result in every version: golden files, reading back, chains, and malformed input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cni_userspace.cni.result import IP, VERSIONS, Interface, Result, at_least, merge, parse, render
from cni_userspace.errors import DecodeError

GOLDEN = Path(__file__).with_name("golden")
NETNS = "/var/run/netns/blue"
SOCKET = "/var/lib/cni/userspace/4f1c/net1"

OWN = Result(
    interfaces=(
        Interface(name="vhu6a8a1c2f0f3", mtu=9000, socket_path=SOCKET),
        Interface(name="net1", mac="0a:58:0a:01:00:05", mtu=9000, sandbox=NETNS, socket_path=SOCKET),
    ),
)
IPV4 = IP(address="10.1.0.5/16", gateway="10.1.0.1")
IPV6 = IP(address="2001:db8::5/64", gateway="2001:db8::1")
IPAM4 = Result(ips=(IPV4,), routes=({"dst": "0.0.0.0/0"},), dns={"nameservers": ["10.1.0.1"]})
IPAM46 = Result(
    ips=(IPV4, IPV6),
    routes=(
        {"dst": "0.0.0.0/0", "gw": "10.1.0.254", "mtu": 1400, "advmss": 1360, "priority": 10},
        {"dst": "2001:db8:1::/48", "table": 0, "scope": 253},
    ),
    dns={"nameservers": ["10.1.0.1"], "domain": "lab", "search": ["lab", "test"], "options": ["ndots:2"]},
)
PREVIOUS = Result(
    interfaces=(Interface(name="cni0", mac="02:00:00:00:00:01"), Interface(name="eth0", sandbox=NETNS)),
    ips=(IP(address="192.168.7.9/24", gateway="192.168.7.1", interface=1),),
    routes=({"dst": "0.0.0.0/0", "gw": "192.168.7.1"},),
    dns={"nameservers": ["192.168.7.1"]},
)


def with_ipam(ipam: Result) -> Result:
    return OWN.replace(ips=ipam.ips, routes=ipam.routes, dns=ipam.dns)


CASES = {
    "no IPAM": merge(None, OWN),
    "IPv4": merge(None, with_ipam(IPAM4)),
    "IPv4 and IPv6": merge(None, with_ipam(IPAM46)),
    "chain": merge(PREVIOUS, with_ipam(IPAM46)),
}


def golden(version: str, case: str) -> dict[str, Any]:
    cases: dict[str, dict[str, Any]] = json.loads((GOLDEN / f"{version}.json").read_text())
    return cases[case]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_result_is_the_golden_one(version: str, case: str) -> None:
    assert render(CASES[case], version) == golden(version, case)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_read_is_written_again(version: str, case: str) -> None:
    assert render(parse(golden(version, case)), version) == golden(version, case)


@pytest.mark.parametrize("case", CASES)
def test_the_newest_version_loses_nothing(case: str) -> None:
    assert parse(golden("1.1.0", case)) == CASES[case]


def test_a_version_that_nobody_knows_is_not_written() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        render(OWN, "2.0.0")


# --- below 0.3.0


def test_of_two_ipv4_addresses_the_old_form_takes_the_first() -> None:
    two = Result(ips=(IPV4, IP(address="10.2.0.5/16")))
    assert render(two, "0.2.0")["ip4"] == {"ip": "10.1.0.5/16", "gateway": "10.1.0.1"}


def test_a_route_of_a_family_without_address_has_no_place_in_the_old_form() -> None:
    result = Result(ips=(IPV4,), routes=({"dst": "2001:db8::/32"},))
    assert render(result, "0.2.0") == {
        "cniVersion": "0.2.0",
        "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1"},
    }


def test_the_old_form_is_told_by_its_shape_too() -> None:
    assert parse({"ip6": {"ip": "2001:db8::5/64", "routes": [{"dst": "::/0"}]}}) == Result(
        ips=(IP(address="2001:db8::5/64"),),
        routes=({"dst": "::/0"},),
    )


def test_a_null_family_is_an_absent_one() -> None:
    assert parse({"cniVersion": "0.2.0", "ip4": None, "ip6": None, "dns": None}) == Result()


# --- routes


def test_an_unknown_key_of_a_route_lives_from_1_1_0_only() -> None:
    result = parse({"routes": [{"dst": "10.0.0.0/8", "gw": None, "metric": 5}]})
    assert render(result, "1.1.0")["routes"] == [{"dst": "10.0.0.0/8", "metric": 5}]
    assert render(result, "1.0.0")["routes"] == [{"dst": "10.0.0.0/8"}]


# --- chains


def test_own_addresses_point_to_the_own_container_interface() -> None:
    chained = merge(PREVIOUS, with_ipam(IPAM46))
    assert [ip.interface for ip in chained.ips] == [1, 3, 3]
    assert chained.interfaces[3].name == "net1"


def test_an_index_that_the_ipam_plugin_made_up_is_overruled() -> None:
    own = OWN.replace(ips=(IPV4.replace(interface=7),))
    assert merge(None, own).ips[0].interface == 1


def test_without_a_container_interface_own_indexes_are_shifted() -> None:
    own = Result(interfaces=(Interface(name="vhu0"),), ips=(IPV4.replace(interface=0), IPV6))
    assert [ip.interface for ip in merge(PREVIOUS, own).ips] == [1, 2, None]


def test_a_chain_joins_dns_servers_without_duplicates() -> None:
    first = Result(dns={"nameservers": ["10.1.0.1", "10.1.0.2"], "domain": "lab"})
    second = Result(dns={"nameservers": ["10.1.0.2", "10.1.0.3"], "domain": "other", "search": ["x"]})
    assert merge(first, second).dns == {
        "nameservers": ["10.1.0.1", "10.1.0.2", "10.1.0.3"],
        "domain": "lab",
        "search": ["x"],
    }


def test_a_previous_result_alone_passes_unchanged() -> None:
    assert merge(PREVIOUS, Result()) == PREVIOUS


# --- malformed


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (None, "prevResult: None"),
        ([], "prevResult: []"),
        ("text", "prevResult: 'text'"),
        ({"cniVersion": 1}, "cniVersion"),
        ({"cniVersion": "2.0.0"}, "cniVersion"),
        ({"interfaces": {}}, "interfaces"),
        ({"interfaces": [None]}, "interfaces[0]"),
        ({"interfaces": [{"name": 1}]}, "interfaces[0].name"),
        ({"interfaces": [{"name": "a"}, {"name": "b", "mtu": "1500"}]}, "interfaces[1].mtu"),
        ({"interfaces": [{"name": "a", "mtu": True}]}, "interfaces[0].mtu"),
        ({"ips": ["10.0.0.1/8"]}, "ips[0]"),
        ({"ips": [{}]}, "ips[0].address"),
        ({"ips": [{"address": "10.0.0.1"}]}, "ips[0].address"),
        ({"ips": [{"address": "10.0.0.1/33"}]}, "ips[0].address"),
        ({"ips": [{"address": "10.0.0.1/024"}]}, "ips[0].address"),
        ({"ips": [{"address": "banana/0"}]}, "ips[0].address"),
        ({"ips": [{"address": "10.0.0.1\x00/8"}]}, "ips[0].address"),
        ({"ips": [{"address": "\ud800::/8"}]}, "ips[0].address"),
        ({"ips": [{"address": "10.0.0.1/8", "gateway": "router"}]}, "ips[0].gateway"),
        ({"ips": [{"address": "10.0.0.1/8", "interface": -1}]}, "ips[0].interface"),
        ({"ips": [{"address": "10.0.0.1/8", "interface": 1.0}]}, "ips[0].interface"),
        ({"routes": [{}]}, "routes[0].dst"),
        ({"routes": [{"dst": "default"}]}, "routes[0].dst"),
        ({"routes": [{"dst": "0.0.0.0/0", "gw": 5}]}, "routes[0].gw"),
        ({"ip4": "10.0.0.1/8"}, "ip4"),
        ({"ip4": {"ip": 5}}, "ip4.ip"),
        ({"ip4": {"ip": "10.0.0.1/8", "routes": [{"dst": "x"}]}}, "ip4.routes[0].dst"),
        ({"dns": []}, "dns"),
        ({"dns": {"nameservers": "10.0.0.1"}}, "dns.nameservers"),
        ({"dns": {"search": [{}]}}, "dns.search[0]"),
        ({"dns": {"domain": 5}}, "dns.domain"),
    ],
)
def test_a_malformed_result_is_refused_with_its_path(raw: dict[str, Any], where: str) -> None:
    with pytest.raises(DecodeError) as refused:
        parse(raw, "prevResult")
    assert refused.value.msg == "prevResult is malformed"
    assert refused.value.details.startswith(where)


def test_versions_compare_by_their_order_not_their_letters() -> None:
    assert at_least("1.0.0", "0.4.0")
    assert at_least("0.4.0", "0.4.0")
    assert not at_least("0.3.1", "0.4.0")
