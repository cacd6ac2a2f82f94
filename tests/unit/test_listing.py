"""`userspace list` and `show`: tables, words, and which attachment an ID means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cni_userspace.attach.store import ATTACHED, OWED, Key, Record
from cni_userspace.errors import InvalidConfigError, UnknownContainerError
from cni_userspace.node import listing, show, view
from cni_userspace.node.devices import Device, Devices
from cni_userspace.node.switchview import Port, ranges, vlan_text
from cni_userspace.node.view import Attachment
from tests.support import allocated

NOW = 1_700_000_000
A, B = "ab" * 32, "ab" + "cd" * 31
STATISTICS = {"rx_packets": "12", "tx_packets": "34", "rx_dropped": "5", "tx_dropped": "6"}


def attachment(
    container: str, ifname: str = "net1", *, state: str = ATTACHED, port: bool = True
) -> Attachment:
    """Return an attachment as `view.look` joins it."""
    key = Key(network="fast", container_id=container, ifname=ifname)
    name = f"vhu{container[:4]}{ifname}"
    plan = {"port": name, "bridge": "br0", "vlan": 7, "directory": f"/s/{container}", "socket_name": ifname}
    record = Record(key=key, state=state, engine="ovs-dpdk", created=NOW - 3700, plan=plan, reason="why")
    row = {"name": name, "tag": [7], "trunks": [], "vlan_mode": [], "cvlans": [], "external_ids": {}}
    interface = {"ofport": [3], "link_state": ["up"], "statistics": STATISTICS, "type": "dpdkvhostuserclient"}
    found = Port(bridge="br0", port=row, interface=interface) if port else None
    return Attachment(key=key, place="unix:/db", record=record, port=found, answered=port)


DEVICE = Device(
    pci="0000:01:10.6",
    pf="0000:01:00.0",
    vf=3,
    mode="kernel",
    pf_name="enp1s0",
    driver="igbvf",
    link="up",
    mac="02:00:00:00:00:01",
    mtu=1500,
    settings={"vlan": [7, 0, "802.1q"]},
    counters={"rx_packets": 12, "tx_packets": 34, "rx_dropped": 5, "tx_dropped": 0},
)


def of_device() -> Attachment:
    """Return an attachment of a VF."""
    key = Key(network="fast", container_id=A, ifname="net1")
    record = allocated.record("/s", key).replace(created=NOW - 3700)
    return Attachment(key=key, record=record, device=DEVICE)


def test_a_row_tells_everything_at_a_glance() -> None:
    head, row = listing.render([attachment(A)], NOW).splitlines()
    assert head.split() == list(listing.COLUMNS)
    assert row.split() == [
        *(A[:12], "net1", "fast", "br0", "vhuababnet1", "7", "connected"),
        *("12", "34", "11", "1h1m", f"/s/{A}/net1"),
    ]


def test_without_its_database_an_attachment_is_listed_with_what_the_record_knows() -> None:
    _, row = listing.render([attachment(A, port=False)], NOW).splitlines()
    assert row.split()[3:10] == ["br0", "vhuababnet1", "7", "unknown", "-", "-", "-"]


def test_what_is_owed_says_so() -> None:
    assert "connected, owed" in listing.render([attachment(A, state=OWED)], NOW)
    assert "owed: why" in "\n".join(show.text(attachment(A, state=OWED), NOW))


def test_the_json_has_these_keys() -> None:
    told = listing.as_json(attachment(A))
    assert list(told) == [
        *("container", "interface", "network", "pod", "state", "reason", "created", "database", "bridge"),
        *("port", "ofport", "vlan", "wire", "socket", "link", "connected"),
        *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped", "engine", "device"),
    ]
    assert (told["engine"], told["device"]) == ("ovs-dpdk", None)


def test_a_device_is_listed_in_the_same_table() -> None:
    _, row = listing.render([of_device()], NOW).splitlines()
    assert [cell.strip() for cell in row.split("  ") if cell] == [
        *(A[:12], "net1", "fast", "enp1s0 vf 3", "0000:01:10.6", "7", "up"),
        *("12", "34", "5", "1h1m", "igbvf"),
    ]


def test_the_json_tells_of_a_device() -> None:
    told = listing.as_json(of_device())
    assert told["engine"] == "sriov"
    assert told["device"] == {
        "pci": "0000:01:10.6",
        "pf": "0000:01:00.0",
        "pf_name": "enp1s0",
        "vf": 3,
        "driver": "igbvf",
        "mode": "kernel",
        "mac": "02:00:00:00:00:01",
        "mtu": 1500,
    }
    assert [told[key] for key in ("database", "bridge", "port", "ofport", "socket", "wire")] == [
        *("", "", "", None, "", ""),
    ]
    assert (told["vlan"], told["link"], told["connected"], told["rx_packets"]) == ("7", "up", True, 12)


def test_a_device_without_a_record_is_listed_by_its_allocation() -> None:
    taken = allocated.taken(pod={"namespace": "lab", "name": "tester"})
    device = replace(DEVICE, allocation=taken)
    told = listing.as_json(Attachment(key=taken.key, device=device))
    assert (told["state"], told["engine"], told["created"]) == ("unrecorded", "sriov", None)
    assert told["pod"] == {"namespace": "lab", "name": "tester"}


def test_a_record_gets_its_device() -> None:
    record = allocated.record("/s")
    devices = Devices(recorded={record.key: DEVICE}, left=(replace(DEVICE, allocation=allocated.taken()),))
    recorded, left = view.join([record], {}, devices)
    assert (recorded.record, recorded.device) == (record, DEVICE)
    assert (left.record, left.key) == (None, allocated.key())


def test_show_tells_of_a_device() -> None:
    found = replace(of_device(), device=replace(DEVICE, allocation=allocated.taken()))
    told = "\n".join(show.text(found, NOW))
    for words in (
        "device     0000:01:10.6, VF 3",
        "PF         enp1s0 (0000:01:00.0)",
        "driver     igbvf (for the kernel)",
        "MAC        02:00:00:00:00:01",
        f"namespace  {allocated.GONE} (gone)",
        "set at the PF:",
        "before:",
        allocated.BEFORE["name"],
    ):
        assert str(words) in told
    everything = show.as_json(found)["device"]
    assert everything["settings"] == {"vlan": [7, 0, "802.1q"]}
    assert everything["allocation"]["netdev"] == allocated.BEFORE
    json.dumps(everything)


@pytest.mark.parametrize("name", ["0000:01:10.6", "01:10.6"])
def test_an_id_may_be_a_pci_address(name: str) -> None:
    wanted = of_device()
    assert show.choose(name, [attachment(A), wanted]) is wanted


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (725, "12m5s"), (3600, "1h"), (273_600, "3d4h"), (-5, "0s")],
)
def test_an_age_has_at_most_two_units(seconds: int, shown: str) -> None:
    assert listing.age(seconds) == shown


@pytest.mark.parametrize("name", [A, A[:10], f"{A[:10]}/net1", "vhuababnet1"])
def test_an_id_is_a_beginning_a_beginning_with_interface_or_a_port(name: str) -> None:
    wanted = attachment(A)
    assert show.choose(name, [wanted, attachment(B, "net2")]) is wanted


def test_a_whole_id_counts_before_a_beginning() -> None:
    wanted = attachment("ab")
    assert show.choose("ab", [wanted, attachment(A)]) is wanted


@pytest.mark.parametrize("name", ["ab", "abab"])
def test_an_ambiguous_id_is_refused_with_what_it_may_mean(name: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        show.choose(name, [attachment(A), attachment(A, "net2"), attachment(B)])
    assert f"{A}/net2" in caught.value.details


@pytest.mark.parametrize("name", ["zz", "", "/net1", f"{A}/net9"])
def test_an_id_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(UnknownContainerError):
        show.choose(name, [attachment(A)])


@pytest.mark.parametrize(
    ("mode", "tag", "trunks", "customers", "shown"),
    [
        ("", None, [], [], ""),
        ("trunk", None, [4095], [], ""),  # a wired port: shut to the learning switch
        ("", 7, [], [], "7"),
        ("trunk", None, [20, 10, 21, 22], [], "trunk 10,20-22"),
        ("native-untagged", 7, [10], [], "native 7, trunk 10"),
        ("native-tagged", 7, [], [], "native-tagged 7, trunk all"),
        ("dot1q-tunnel", 7, [], [42, 43], "tunnel 7 of 42-43"),
    ],
)
def test_tags_are_told_in_words(
    mode: str, tag: int | None, trunks: list[int], customers: list[int], shown: str
) -> None:
    assert vlan_text(mode, tag, trunks, customers) == shown


def test_ranges_are_short() -> None:
    assert ranges([3, 1, 2, 9, 7]) == "1-3,7,9"
