"""Anti-spoofing: which frames of a container the switch takes, judged by the switch; CHECK; DEL.

Frames that are really sent: tests/system/test_frames_*.py.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.engines.ovs_dpdk.flows import link_local
from tests.support import flows
from tests.support.flows import fate

if TYPE_CHECKING:
    from tests.plugin.conftest import Attach
    from tests.support.attached import Attached
    from tests.support.netns import Netns
    from tests.support.plugin import Outcome, Plugin
    from tests.support.switch import Switch

pytestmark = pytest.mark.runtime

MAC = "02:00:00:00:00:11"
OTHER = "02:00:00:00:00:12"
LLA = link_local(MAC)
IPS = ("10.0.0.5", "fd00::5")
NONE = "00:00:00:00:00:00"

SENT = f"dl_src={MAC},dl_dst=ff:ff:ff:ff:ff:ff"
ARP = f"arp,{SENT},arp_op=1"
V6 = f"ipv6,{SENT}"
NS = f"icmp6,{SENT},icmpv6_type=135,icmpv6_code=0"
NA = f"icmp6,{SENT},icmpv6_type=136,icmpv6_code=0"

OWN = {
    "IPv4": f"ip,{SENT},nw_src=10.0.0.5",
    "IPv4 in a VLAN tag": f"dl_vlan=7,ip,{SENT},nw_src=10.0.0.5",
    "UDP": f"udp,{SENT},nw_src=10.0.0.5",
    "ARP": f"{ARP},arp_spa=10.0.0.5,arp_sha={MAC}",
    "ARP probe": f"{ARP},arp_spa=0.0.0.0,arp_tpa=10.0.0.5,arp_sha={MAC}",
    "IPv6": f"{V6},ipv6_src=fd00::5",
    "IPv6 link-local": f"{V6},ipv6_src={LLA}",
    "solicitation": f"{NS},ipv6_src=fd00::5,nd_target=fd00::1,nd_sll={MAC}",
    "solicitation without the option": f"{NS},ipv6_src={LLA},nd_target=fd00::1",
    "duplicate address detection": f"{NS},ipv6_src=::,nd_target=fd00::5",
    "advertisement": f"{NA},ipv6_src={LLA},nd_target=fd00::5,nd_tll={MAC}",
    "multicast report": f"icmp6,{SENT},ipv6_src=::,icmpv6_type=143,icmpv6_code=0",
}
SPOOFED = {
    "MAC": f"ip,dl_src={OTHER},nw_src=10.0.0.5",
    "MAC with another protocol": f"dl_src={OTHER},dl_type=0x88cc",
    "IPv4": f"ip,{SENT},nw_src=10.0.0.6",
    "IPv4 in a VLAN tag": f"dl_vlan=7,ip,{SENT},nw_src=10.0.0.6",
    "IPv4 in two VLAN tags": f"dl_vlan=7,dl_type=0x8100,{SENT}",
    "ARP's address": f"{ARP},arp_spa=10.0.0.1,arp_sha={MAC}",
    "ARP's MAC": f"{ARP},arp_spa=10.0.0.5,arp_sha={OTHER}",
    "ARP probe for another": f"{ARP},arp_spa=0.0.0.0,arp_tpa=10.0.0.1,arp_sha={MAC}",
    "IPv6": f"{V6},ipv6_src=fd00::6",
    "IPv6 link-local": f"{V6},ipv6_src=fe80::1",
    "advertisement for another": f"{NA},ipv6_src=fd00::5,nd_target=fd00::1,nd_tll={MAC}",
    "advertisement with another MAC": f"{NA},ipv6_src=fd00::5,nd_target=fd00::5,nd_tll={OTHER}",
    "solicitation with another MAC": f"{NS},ipv6_src=fd00::5,nd_target=fd00::1,nd_sll={OTHER}",
    "detection for another": f"{NS},ipv6_src=::,nd_target=fd00::1",
    "another protocol": f"{SENT},dl_type=0x88cc",
}
BY_MAC_OWN = {
    "IPv4": f"ip,{SENT},nw_src=10.9.9.9",
    "another protocol": f"{SENT},dl_type=0x88cc",
    "ARP": f"{ARP},arp_spa=10.9.9.9,arp_sha={MAC}",
    "advertisement": f"{NA},ipv6_src=fd00::9,nd_target=fd00::9,nd_tll={MAC}",
    "solicitation": f"{NS},ipv6_src=fd00::9,nd_target=fd00::1,nd_sll={MAC}",
    "duplicate address detection": f"{NS},ipv6_src=::,nd_target=fd00::9",
    "echo request": f"icmp6,{SENT},ipv6_src=fd00::9,icmpv6_type=128,icmpv6_code=0",
}
BY_MAC_SPOOFED = {
    "MAC": f"ip,dl_src={OTHER},nw_src=10.0.0.5",
    "ARP's MAC": f"{ARP},arp_spa=10.0.0.5,arp_sha={OTHER}",
    "advertisement with another MAC": f"{NA},ipv6_src=fd00::9,nd_target=fd00::9,nd_tll={OTHER}",
    "solicitation with another MAC": f"{NS},ipv6_src=fd00::9,nd_target=fd00::1,nd_sll={OTHER}",
}


def static(*addresses: str) -> dict[str, Any]:
    return {"type": "static", "addresses": [{"address": a} for a in addresses]}


@pytest.fixture
def guarded(attach: Attach) -> Attached:
    """Give an attachment with addresses of both families that may not lie."""
    ipam = static("10.0.0.5/24", "FD00:0::5/64")
    return attach(cniVersion="1.0.0", antiSpoofing=True, mac=MAC, ipam=ipam)


def test_what_is_its_own_passes_and_what_is_spoofed_is_dropped(guarded: Attached, switch: Switch) -> None:
    judged = {name: fate(switch, guarded.port, frame) for name, frame in OWN.items()}
    assert [name for name, actions in judged.items() if actions == "drop"] == []
    judged = {name: fate(switch, guarded.port, frame) for name, frame in SPOOFED.items()}
    assert {name: actions for name, actions in judged.items() if actions != "drop"} == {}


def test_without_addresses_only_the_mac_counts(attach: Attach, switch: Switch) -> None:
    a = attach(antiSpoofing=True, mac=MAC)
    assert "drop" not in {fate(switch, a.port, frame) for frame in BY_MAC_OWN.values()}
    assert {fate(switch, a.port, frame) for frame in BY_MAC_SPOOFED.values()} == {"drop"}
    a.check().succeeded()


def test_an_attachment_with_ipv4_alone_sends_no_ipv6(attach: Attach, switch: Switch) -> None:
    a = attach(cniVersion="1.0.0", antiSpoofing=True, mac=MAC, ipam=static("10.0.0.5/24"))
    assert fate(switch, a.port, OWN["IPv4"]) != "drop"
    assert fate(switch, a.port, OWN["IPv6 link-local"]) == "drop"


def test_check_agrees_with_the_switchs_own_words(guarded: Attached) -> None:
    guarded.check().succeeded()


def test_what_it_is_sent_is_not_judged(guarded: Attached, switch: Switch) -> None:
    assert flows.number(switch, guarded.port) in fate(switch, "br0", SPOOFED["IPv4"]).split(",")


def test_it_goes_with_a_segment(attach: Attach, switch: Switch) -> None:
    a = attach(ifname="net1", segment="s", antiSpoofing=True, mac=MAC)
    assert fate(switch, a.port, BY_MAC_OWN["IPv4"]) == "drop", "a lone end"
    b = attach(ifname="net2", segment="s")
    assert fate(switch, a.port, BY_MAC_OWN["IPv4"]) == flows.number(switch, b.port)
    assert fate(switch, a.port, BY_MAC_SPOOFED["MAC"]) == "drop"
    a.check().succeeded()
    b.check().succeeded()


def test_del_takes_the_flows_away_and_no_others(attach: Attach, switch: Switch) -> None:
    a, b = attach(ifname="net1", antiSpoofing=True), attach(ifname="net10", antiSpoofing=True)
    a.delete().succeeded()
    a.delete().succeeded()
    b.check().succeeded()
    b.delete().succeeded()
    assert flows.flows(switch) == ["priority=0 actions=NORMAL"]


def test_the_flows_stand_before_the_port_does(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    switch.add_bridge("br0")
    a = attach(antiSpoofing=True, mac=MAC)
    number = flows.ofport(switch, a.port)
    assert switch.row("Interface", a.port)["ofport_request"] == number
    assert number >= 32768
    assert plugin.files()


def test_a_number_that_another_port_has_is_refused(attach: Attach, plugin: Plugin, switch: Switch) -> None:
    a = attach(ofport_request=77)
    conf = plugin.conf(antiSpoofing=True, ofport_request=77)
    outcome = plugin.add(conf, "c2", a.netns.path, ifname="net2")
    assert outcome.code == 103
    assert "ofport 77" in outcome.words
    assert not flows.ours(switch)
    assert switch.ports() == {a.port}


def test_an_add_that_asks_for_the_number_of_a_guarded_port_leaves_it_guarded(
    guarded: Attached, plugin: Plugin, switch: Switch
) -> None:
    before = sorted(flows.flows(switch))
    conf = plugin.conf(antiSpoofing=True, ofport_request=flows.ofport(switch, guarded.port))
    outcome = plugin.add(conf, "c2", guarded.netns.path, ifname="net2")
    assert outcome.code == 103
    assert sorted(flows.flows(switch)) == before
    assert fate(switch, guarded.port, SPOOFED["another protocol"]) == "drop"
    guarded.check().succeeded()


def test_of_adds_at_once_that_ask_for_one_number_one_is_made_and_is_guarded(
    plugin: Plugin, switch: Switch, netns: Netns
) -> None:
    switch.add_bridge("br0")
    outcomes: dict[str, Outcome] = {}

    def add(name: str) -> None:
        conf = plugin.conf(antiSpoofing=True, ofport_request=4711)
        outcomes[name] = plugin.add(conf, name, netns.path, ifname=name)

    threads = [threading.Thread(target=add, args=(f"n{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (made,) = (o.answer["interfaces"][0]["name"] for o in outcomes.values() if not o.returncode)
    assert {o.code for o in outcomes.values() if o.returncode} == {103}
    assert switch.ports() == {made}
    assert fate(switch, made, SPOOFED["MAC"]) == "drop"


def test_a_hung_vswitchd_keeps_add_from_leaving_anything(
    plugin: Plugin, switch: Switch, attach: Attach
) -> None:
    a = attach()
    switch.stop_answering()
    outcome = plugin.add(plugin.conf(antiSpoofing=True, timeout=1), "c2", a.netns.path, ifname="net2")
    assert outcome.returncode
    switch.resume()
    assert switch.ports() == {a.port}


def test_with_a_remote_database_it_is_refused_with_the_reason(
    plugin: Plugin, switch: Switch, attach: Attach
) -> None:
    a = attach()
    switch.vsctl("--no-wait", "show")
    conf = plugin.conf(antiSpoofing=True, socket_file="tcp:127.0.0.1:1")
    outcome = plugin.add(conf, "c2", a.netns.path, ifname="net2")
    assert outcome.returncode
    assert switch.ports() == {a.port}
