"""OpenFlow through ovs-ofctl, and the database's locks, on a real switch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk.flows import End, additions, flows, removal
from cni_userspace.errors import SwitchError
from cni_userspace.host import openflow
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import Ovsdb

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.switch import Switch

KEY = Key(network="n", container_id="c", ifname="net1")
MAC = "02:00:00:00:00:11"
ENDS = {
    "the MAC alone": (End(key=KEY, port="p", ofport=5, mac=MAC, anti_spoofing=True), None),
    "IPv4": (End(key=KEY, port="p", ofport=5, mac=MAC, ips=("10.0.0.5",), anti_spoofing=True), None),
    "both": (
        End(key=KEY, port="p", ofport=5, mac=MAC, ips=("10.0.0.5", "fd00::5", "fd00::6"), anti_spoofing=True),
        None,
    ),
    "a lone end": (End(key=KEY, port="p", ofport=5, mac=MAC, segment="s"), None),
    "a segment": (End(key=KEY, port="p", ofport=5, mac=MAC, segment="s", anti_spoofing=True), 6),
    "a port": (End(key=KEY, port="p", ofport=5, mac=MAC, peer_port="dpdk0"), 7),
    "the bridge's own port": (End(key=KEY, port="p", ofport=5, mac=MAC, peer_port="br0"), 65534),
}


@pytest.fixture
def management(plain_switch: Switch) -> str:
    """Give the management socket of a bridge br0."""
    plain_switch.add_bridge("br0")
    return openflow.management(plain_switch.directory, "br0")


def soon() -> Deadline:
    return Deadline(10)


@pytest.mark.parametrize("which", ENDS)
def test_flows_are_written_in_the_words_in_which_the_switch_shows_them(management: str, which: str) -> None:
    end, other = ENDS[which]
    for _ in range(2):
        openflow.apply(management, additions(end, other), soon())
        found = openflow.dump(management, soon(), f"cookie={end.cookie}/-1")
        assert sorted(flow for _, flow in found) == sorted(flows(end, other))
        assert {cookie for cookie, _ in found} == {end.cookie}
    openflow.apply(management, [removal(end.cookie)], soon())
    assert openflow.dump(management, soon()) == [("0x0", "priority=0 actions=NORMAL")]


def test_a_bundle_with_one_bad_flow_changes_nothing(management: str) -> None:
    good = "add cookie=0x5,priority=1,in_port=1 actions=drop"
    with pytest.raises(SwitchError) as raised:
        openflow.apply(management, [good, "add cookie=0x5,priority=1,in_port=1 actions=nonsense"], soon())
    assert "nonsense" in raised.value.details
    assert openflow.dump(management, soon(), "cookie=0x5/-1") == []


def test_a_bridge_with_ten_thousands_of_flows_is_read_whole(management: str) -> None:
    adds = [
        f"add cookie=0x5,priority=1,in_port=1,ipv6,ipv6_src=fd00::{n:x} actions=drop" for n in range(1, 20001)
    ]
    openflow.apply(management, adds, soon())
    assert len(openflow.dump(management, soon(), "cookie=0x5/-1")) == len(adds)


def test_other_cookies_stay(management: str) -> None:
    adds = [f"add cookie=0x{n},priority={n},in_port=1 actions=drop" for n in (5, 6)]
    openflow.apply(management, adds, soon())
    openflow.apply(management, [removal("0x5")], soon())
    left = [cookie for cookie, _ in openflow.dump(management, soon()) if cookie != "0x0"]
    assert left == ["0x6"]


def test_a_bridge_that_does_not_allow_openflow_14_is_named_with_the_way_out(
    management: str, plain_switch: Switch
) -> None:
    plain_switch.vsctl("set", "Bridge", "br0", "protocols=OpenFlow10")
    with pytest.raises(SwitchError) as raised:
        openflow.apply(management, [removal("0x5")], soon())
    assert "`protocols`" in raised.value.hint


def test_a_bridge_that_nobody_serves_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(openflow.BridgeDownError) as raised:
        openflow.apply(f"{tmp_path}/none.mgmt", [], soon())
    assert "No such file" in raised.value.details


def test_a_hung_switch_ends_at_the_deadline(management: str, plain_switch: Switch) -> None:
    plain_switch.stop_answering()
    with pytest.raises(TimeoutError):
        openflow.apply(management, [removal("0x5")], Deadline(0.5))
    plain_switch.resume()


def test_without_ovs_ofctl_it_says_what_is_missing_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(openflow, "PLACES", (str(tmp_path),))
    with pytest.raises(SwitchError) as raised:
        openflow.program()
    assert "ovs-ofctl is not on this node" in raised.value.msg
    assert "`antiSpoofing`" in raised.value.hint


def test_a_lock_is_held_by_one_connection_until_it_ends(plain_switch: Switch) -> None:
    order: list[str] = []

    def second() -> None:
        with Ovsdb(plain_switch.remote, soon()) as database:
            database.lock("cni_userspace_a")
            order.append("second")

    with Ovsdb(plain_switch.remote, soon()) as database:
        database.lock("cni_userspace_a")
        waiting = threading.Thread(target=second)
        waiting.start()
        with Ovsdb(plain_switch.remote, soon()) as other:
            other.lock("cni_userspace_b")  # another lock is free
        database.transact([])
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_lock_that_stays_held_ends_at_the_deadline(plain_switch: Switch) -> None:
    with Ovsdb(plain_switch.remote, soon()) as database:
        database.lock("cni_userspace_a")
        with Ovsdb(plain_switch.remote, Deadline(0.3)) as other, pytest.raises(TimeoutError):
            other.lock("cni_userspace_a")
