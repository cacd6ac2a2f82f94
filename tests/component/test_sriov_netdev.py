"""A device's way home, on a veth that stands in for it; the guest shows it with real ones (tests/sriov)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cni_userspace.engines.sriov import netdev
from cni_userspace.engines.sriov.netdev import Before
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Netlink
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.host.netlink import Link
    from tests.support.netns import Netns

PCI = "0000:01:10.0"


def within(netns: Netns) -> Netlink:
    with open(netns.path, "rb") as target:
        return Netlink(Deadline(20), target.fileno())


def the(link: Link | None) -> Link:
    assert link is not None
    return link


def test_where_the_kernel_does_not_tell_a_links_device_sysfs_does(netns: Netns, tmp_path: Path) -> None:
    """Kernels before 5.14 do not, and no kernel does for a veth."""
    netns.run("ip", "link", "add", "name", "p0", "type", "veth", "peer", "name", "p1")
    tree = MadeUpSysfs(str(tmp_path / "sys"))
    tree.device(PCI, netdevs=["p1"])
    with within(netns) as home:
        assert netdev.await_new(home, PCI, tree.seam, Deadline(20)) == home.link("p1")
        assert netdev.at_home(home, PCI, tree.seam) == home.link("p1")


def test_a_name_that_the_container_has_added_does_not_stay_on_the_node(netns: Netns) -> None:
    netns.run("ip", "link", "add", "name", "p0", "type", "veth", "peer", "name", "p1")
    with within(netns) as home:
        link = the(home.link("p0"))
        before = Before(name="p0", mac=link.mac, mtu=link.mtu, up=False, altnames=("uplink0",))
        netns.run("ip", "link", "property", "add", "dev", "p0", "altname", "eth0", "altname", "uplink0")
        for _ in range(2):
            assert netdev.settle(home, the(home.link("p0")), before, Deadline(20)) == []
            assert the(home.link("p0")).altnames == ("uplink0",)


def test_a_name_of_its_own_that_udev_has_given_it_as_another_becomes_its_name(netns: Netns) -> None:
    netns.run("ip", "link", "add", "name", "net1", "type", "veth", "peer", "name", "p1")
    netns.run("ip", "link", "property", "add", "dev", "net1", "altname", "p0")
    with within(netns) as home:
        link = the(home.link("net1"))
        before = Before(name="p0", mac=link.mac, mtu=link.mtu, up=True)
        assert netdev.settle(home, link, before, Deadline(20)) == []
        found = the(home.link("p0"))
        assert (found.name, found.altnames, found.up) == ("p0", (), True)
