"""A device's way home, on a veth that stands in for it; the guest shows it with real ones (tests/sriov)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cni_userspace.engines.sriov import netdev
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
