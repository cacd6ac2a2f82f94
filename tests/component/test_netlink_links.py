"""Links through rtnetlink, in real namespaces; ip(8) says what is true."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Link, Netlink
from cni_userspace.host.netlink_links import RTMGRP_LINK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeNetns
    from tests.support.netns import Netns

OWN = "/proc/self/ns/net"
MAC = "02:00:00:00:12:34"
LONG = "a-name-of-" + "x" * 117  # ALTIFNAMSIZ is 128, with the zero at its end


@pytest.fixture
def container(netns: Netns) -> Netns:
    """Give a namespace with a veth pair, p0 and p1, both down."""
    netns.run("ip", "link", "add", "name", "p0", "mtu", "2000", "type", "veth", "peer", "name", "p1")
    return netns


@pytest.fixture
def there(container: Netns) -> Iterator[Netlink]:
    """Give the conversation with that namespace's kernel."""
    with within(container) as netlink:
        yield netlink


def within(netns: Netns, seconds: float = 20) -> Netlink:
    with open(netns.path, "rb") as target:
        return Netlink(Deadline(seconds), target.fileno())


def shown(netns: Netns, name: str) -> dict[str, Any]:
    (found,) = json.loads(netns.run("ip", "-d", "-j", "link", "show", "dev", name))
    return dict(found)


def index(netlink: Netlink, name: str) -> int:
    link = netlink.link(name)
    assert link is not None
    return link.index


# --- looking


def test_a_link_is_told_as_ip_tells_it(container: Netns, there: Netlink) -> None:
    container.run("ip", "link", "property", "add", "dev", "p0", "altname", LONG, "altname", "other")
    container.run("ip", "link", "set", "p0", "address", MAC, "alias", "what é is", "up")
    container.run("ip", "link", "set", "p1", "up")
    true = shown(container, "p0")
    assert there.link("p0") == Link(
        index=true["ifindex"],
        name="p0",
        mac=MAC,
        permanent_mac="",
        mtu=2000,
        min_mtu=true["min_mtu"],
        max_mtu=true["max_mtu"],
        up=True,
        carrier=True,
        altnames=(LONG, "other"),
        alias="what é is",
        master=0,
        pci="",
        kind="veth",
    )


def test_up_and_carrier_are_told_apart(container: Netns, there: Netlink) -> None:
    states = []
    for end in ("p0", "p1"):
        link = there.link("p0")
        assert link is not None
        states.append((link.up, link.carrier, there.carries(link.index)))
        container.run("ip", "link", "set", end, "up")
    states.append((True, True, there.carries(index(there, "p0"))))
    assert states == [(False, False, False), (True, False, False), (True, True, True)]


def test_a_bridges_port_names_its_master(container: Netns, there: Netlink) -> None:
    container.run("ip", "link", "add", "name", "br", "type", "bridge")
    container.run("ip", "link", "set", "p0", "master", "br")
    link = there.link("p0")
    assert link is not None
    assert link.master == index(there, "br")


def test_links_of_every_kind_are_listed(container: Netns, there: Netlink) -> None:
    container.run("ip", "tuntap", "add", "tun9", "mode", "tun")
    true = json.loads(container.run("ip", "-j", "link"))
    assert [(link.index, link.name) for link in there.links()] == [(x["ifindex"], x["ifname"]) for x in true]
    tun = there.link("tun9")
    assert tun is not None
    assert (tun.mac, tun.kind) == ("", "tun")


def test_a_link_is_found_by_each_of_its_names(container: Netns, there: Netlink) -> None:
    container.run("ip", "link", "property", "add", "dev", "p0", "altname", LONG, "altname", "other")
    found = [there.link(name) for name in ("p0", "other", LONG)] + [there.link_at(index(there, "p0"))]
    assert [link and link.name for link in found] == ["p0"] * 4


@pytest.mark.parametrize("name", ["c", "p", "p00", "P0", LONG])
def test_a_name_that_nothing_has_is_none(there: Netlink, name: str) -> None:
    assert there.link(name) is None


def test_an_index_that_nothing_has_is_none(there: Netlink) -> None:
    assert there.link_at(2**31 - 1) is None


def test_a_virtual_device_is_no_pci_device_and_has_no_vfs(there: Netlink) -> None:
    assert there.by_pci("0000:00:00.0") is None
    assert there.by_pci("") is None
    assert there.vfs(index(there, "p0")) == []


def test_a_thousand_links_are_all_told(netns: Netns) -> None:
    lines = "".join(f"link add v{n} type veth peer name w{n}\n" for n in range(500))
    batch = ["ip", "-batch", "-"]
    subprocess.run(netns.command(batch), input=lines, text=True, check=True, capture_output=True)
    with within(netns) as netlink:
        names = [link.name for link in netlink.links()]
    assert len(names) == len(set(names)) == 1001


# --- changing


def test_a_link_is_renamed_where_it_is(container: Netns, there: Netlink) -> None:
    there.rename(index(there, "p0"), "é")
    assert shown(container, "é")["ifindex"] == index(there, "é")


def test_a_name_that_is_taken_is_eexist(container: Netns, there: Netlink) -> None:
    with pytest.raises(FileExistsError):
        there.rename(index(there, "p0"), "p1")
    assert sorted(container.links()) == ["p0", "p1"]


@pytest.mark.parametrize("name", ["a/b", ".", "x y", "n" * 16])
def test_a_name_that_can_be_none_is_refused(there: Netlink, name: str) -> None:
    with pytest.raises(OSError, match=r"Invalid argument|out of range") as caught:
        there.rename(index(there, "p0"), name)
    assert caught.value.errno in (errno.EINVAL, errno.ERANGE)


def test_the_kernels_own_words_are_in_the_error(there: Netlink) -> None:
    with pytest.raises(OSError, match="Invalid argument: mtu greater than device maximum") as caught:
        there.set_mtu(index(there, "p0"), 100000)
    assert caught.value.errno == errno.EINVAL


def test_a_link_gets_mac_mtu_and_alias(container: Netns, there: Netlink) -> None:
    number = index(there, "p0")
    there.set_mac(number, MAC)
    there.set_mtu(number, 1280)
    there.set_alias(number, "pod default/é")
    true = shown(container, "p0")
    assert (true["address"], true["mtu"], true["ifalias"]) == (MAC, 1280, "pod default/é")
    there.set_alias(number, "")
    assert not shown(container, "p0").get("ifalias")


def test_a_link_goes_up_and_down_and_keeps_its_other_flags(container: Netns, there: Netlink) -> None:
    number = index(there, "p0")
    container.run("ip", "link", "set", "p0", "promisc", "on")
    there.set_up(number, up=True)
    assert {"UP", "PROMISC"} <= set(shown(container, "p0")["flags"])
    there.set_up(number, up=False)
    assert "UP" not in shown(container, "p0")["flags"]
    assert "PROMISC" in shown(container, "p0")["flags"]


def test_alternative_names_come_and_go(container: Netns, there: Netlink) -> None:
    number = index(there, "p0")
    there.add_altname(number, LONG)
    there.add_altname(number, "other")
    assert shown(container, "p0")["altnames"] == [LONG, "other"]
    with pytest.raises(FileExistsError):
        there.add_altname(index(there, "p1"), "other")
    there.remove_altname(number, LONG)
    assert shown(container, "p0")["altnames"] == ["other"]
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        there.remove_altname(number, LONG)


def test_a_change_to_no_link_is_enodev(there: Netlink) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        there.set_up(2**31 - 1, up=True)


def test_a_vf_of_a_device_without_any_is_eopnotsupp(there: Netlink) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
        there.set_vf(index(there, "p0"), 0, trust=True)
    there.set_vf(index(there, "p0"), 0)  # nothing is asked for, and so nothing refused


# --- moving


def test_a_link_moves_and_gets_a_name_on_the_way(
    container: Netns, there: Netlink, make_netns: MakeNetns
) -> None:
    pod = make_netns()
    pod.run("ip", "link", "add", "name", "p0", "type", "veth", "peer", "name", "taken")
    with open(pod.path, "rb") as target:
        with pytest.raises(FileExistsError):
            there.move(index(there, "p0"), target.fileno())
        with pytest.raises(FileExistsError):
            there.move(index(there, "p0"), target.fileno(), "taken")
        assert sorted(container.links()) == ["p0", "p1"]
        there.move(index(there, "p0"), target.fileno(), "net1")
        there.move(index(there, "p1"), target.fileno())
    assert container.links() == []
    assert sorted(pod.links()) == ["net1", "p0", "p1", "taken"]


def test_what_moves_keeps_mac_mtu_and_alternative_names_and_is_down(
    container: Netns, there: Netlink, make_netns: MakeNetns
) -> None:
    container.run("ip", "link", "property", "add", "dev", "p0", "altname", "other")
    container.run("ip", "link", "set", "p0", "address", MAC, "up")
    pod = make_netns()
    with open(pod.path, "rb") as target:
        there.move(index(there, "p0"), target.fileno())
    true = shown(pod, "p0")
    assert (true["address"], true["mtu"], true["altnames"]) == (MAC, 2000, ["other"])
    assert "UP" not in true["flags"]


def test_a_descriptor_that_is_no_namespace_is_refused(container: Netns, there: Netlink) -> None:
    with open(os.devnull, "rb") as nothing, pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        there.move(index(there, "p0"), nothing.fileno())
    assert sorted(container.links()) == ["p0", "p1"]


# --- where the conversation is


def test_a_conversation_elsewhere_leaves_us_where_we_were(container: Netns) -> None:
    before = os.readlink(OWN), len(os.listdir("/proc/self/fd"))
    with within(container) as netlink:
        assert netlink.link("p0") is not None
        assert os.readlink(OWN) == before[0]
    with Netlink(Deadline(20)) as here:
        assert here.link("p0") is None
    assert (os.readlink(OWN), len(os.listdir("/proc/self/fd"))) == before


def test_a_conversation_needs_no_descriptor_once_it_is_open(container: Netns) -> None:
    with within(container) as netlink:  # which has closed it
        assert netlink.await_link(lambda link: link.name == "p0", Deadline(20)).kind == "veth"


def test_nothing_is_asked_after_the_deadline(container: Netns) -> None:
    with within(container, seconds=0) as netlink, pytest.raises(TimeoutError):
        netlink.links()


# --- waiting


def test_a_link_that_is_there_is_not_waited_for(there: Netlink) -> None:
    assert there.await_link(lambda link: link.name == "p0", Deadline(20)).name == "p0"


def test_a_link_that_comes_later_ends_the_wait(container: Netns, there: Netlink) -> None:
    looked = threading.Event()

    def wanted(link: Link) -> bool:
        looked.set()
        return link.mac == MAC and link.name == "late"

    def bring() -> None:
        looked.wait()
        container.run("ip", "link", "set", "p0", "address", MAC)
        container.run("ip", "link", "set", "p0", "name", "late")

    helper = threading.Thread(target=bring)
    helper.start()
    found = there.await_link(wanted, Deadline(20))
    helper.join()
    assert found.index == shown(container, "late")["ifindex"]


def test_news_that_were_lost_ask_for_a_new_look(netns: Netns) -> None:
    with within(netns) as netlink, netlink.listen(RTMGRP_LINK) as news:
        lines = "".join(f"link set lo mtu {60000 + n}\n" for n in range(3000))
        batch = ["ip", "-batch", "-"]
        subprocess.run(netns.command(batch), input=lines, text=True, check=True)
        heard = [news.wait(Deadline(20)) for _ in range(2)]
        assert None in heard
        assert netlink.await_link(lambda link: link.mtu == 62999, Deadline(20)).name == "lo"


def test_a_link_that_does_not_come_is_a_timeout(there: Netlink) -> None:
    with pytest.raises(TimeoutError):
        there.await_link(lambda link: link.name == "never", Deadline(0.05))
