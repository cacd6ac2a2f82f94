"""What the operator's commands see of SR-IOV attachments: records, allocations, sysfs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.node import devices
from cni_userspace.node.devices import Device, Devices
from tests.support.allocated import BEFORE, PF, VF, keep, key, record, taken, tear
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.attach.store import Record

OTHER_VF = "0000:fe:10.2"


class Node:
    """A state directory and a made-up sysfs with a PF of two VFs."""

    def __init__(self, directory: str) -> None:
        """Make both."""
        self.state = f"{directory}/state"
        self.sysfs = MadeUpSysfs(f"{directory}/sys")
        self.sysfs.pf(PF, [VF, OTHER_VF])

    def look(self, *records: Record) -> Devices:
        """Look at the devices of these records, and at all allocations."""
        return devices.look(self.state, records, self.sysfs.seam)

    def bind(self, pci: str, driver: str) -> None:
        """Give a device to another driver."""
        self.sysfs.driver(driver)
        link = f"{self.sysfs.root}/bus/pci/devices/{pci}/driver"
        os.unlink(link)
        os.symlink(f"{self.sysfs.root}/bus/pci/drivers/{driver}", link)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Give a node."""
    return Node(str(tmp_path))


def test_a_node_without_devices_has_none(node: Node) -> None:
    assert node.look() == Devices()


def test_a_device_for_dpdk_is_bound_while_its_driver_is_one_for_dpdk(node: Node) -> None:
    made = record(node.state, kernel=False, bound="vfio-pci")
    keep(node.state, taken())
    node.bind(VF, "vfio-pci")
    found = node.look(made).recorded[made.key]
    assert (found.pci, found.pf, found.vf, found.pf_name) == (VF, PF, 0, "")
    assert (found.mode, found.driver, found.link, found.connected) == ("dpdk", "vfio-pci", "bound", None)
    node.bind(VF, "igbvf")
    assert node.look(made).recorded[made.key].link == "gone"


def test_where_the_pf_tells_nothing_the_vlan_is_the_one_that_was_asked_for(node: Node) -> None:
    made = record(node.state)
    keep(node.state, taken())
    assert node.look(made).recorded[made.key].vlan == "7"


def test_a_device_whose_namespace_is_gone_is_gone_from_its_container(node: Node) -> None:
    made = record(node.state)
    keep(node.state, taken())
    found = node.look(made).recorded[made.key]
    assert (found.mode, found.driver, found.link, found.connected) == ("kernel", "igbvf", "gone", None)


def test_a_device_that_was_unplugged_is_gone(node: Node) -> None:
    made = record(node.state, kernel=False)
    keep(node.state, taken())
    shutil.rmtree(f"{node.sysfs.root}/bus/pci/devices")
    found = node.look(made).recorded[made.key]
    assert (found.link, found.driver) == ("gone", "")


def test_a_device_that_another_attachment_has_by_now_is_gone_from_the_first(node: Node) -> None:
    first, second = record(node.state, key("c1")), record(node.state, key("c2"))
    keep(node.state, taken(key=key("c2")))
    found = node.look(first, second)
    assert found.recorded[first.key].allocation is None
    assert found.recorded[first.key].link == "gone"
    assert found.recorded[second.key].allocation is not None
    assert found.left == ()


def test_an_allocation_without_a_record_tells_what_it_is(node: Node) -> None:
    keep(node.state, taken(), taken(pci=PF, pf="", vf=-1, key=key("c2"), netdev={}))
    whole, vf = node.look().left
    assert (vf.pci, vf.pf, vf.vf, vf.mode) == (VF, PF, 0, "kernel")
    assert (whole.pci, whole.pf, whole.vf, whole.mode) == (PF, PF, None, "dpdk")


def test_of_two_devices_of_one_attachment_the_record_has_the_one_that_it_names(node: Node) -> None:
    made = record(node.state)
    keep(node.state, taken(pci=OTHER_VF, vf=1), taken())
    found = node.look(made)
    assert found.recorded[made.key].pci == VF
    assert [d.pci for d in found.left] == [OTHER_VF]


def test_a_record_of_an_add_that_died_early_has_no_device_yet(node: Node) -> None:
    made = record(node.state, pci="", vf=-1)
    found = node.look(made).recorded[made.key]
    assert (found.pci, found.pf, found.vf, found.link) == ("", PF, None, "gone")


def test_a_whole_pf_has_the_name_that_it_has_at_home(node: Node) -> None:
    made = record(node.state, pci=PF, whole=True, vf=-1, settings={})
    keep(node.state, taken(pci=PF, pf="", vf=-1, netdev={**BEFORE, "name": "eth1"}))
    found = node.look(made).recorded[made.key]
    assert (found.seat, found.vf, found.vlan) == ("eth1", None, "")


def test_a_torn_allocation_is_told(node: Node) -> None:
    path = tear(node.state)
    assert node.look().unread == (f"{path}: an allocation that cannot be read",)


def test_a_place_that_cannot_be_listed_is_told(node: Node) -> None:
    os.makedirs(node.state)
    with open(f"{node.state}/devices", "w", encoding="utf-8"):
        pass
    assert node.look().unread == (f"{node.state}/devices: Not a directory",)


@pytest.mark.parametrize(
    ("vlan", "shown"),
    [
        (None, ""),
        ([0, 0, "802.1q"], ""),
        ([100, 0, "802.1q"], "100"),
        ([100, 4, "802.1q"], "100 priority 4"),
        ([100, 4, "802.1ad"], "100 priority 4 802.1ad"),
    ],
)
def test_tags_are_told_in_words(vlan: list[Any] | None, shown: str) -> None:
    assert Device(pci=VF, pf=PF, vf=0, mode="kernel", settings={"vlan": vlan}).vlan == shown


@pytest.mark.parametrize(("name", "seat"), [("eth1", "eth1 vf 0"), ("", f"{PF} vf 0")])
def test_a_vf_is_named_as_ip_link_names_it(name: str, seat: str) -> None:
    assert Device(pci=VF, pf=PF, pf_name=name, vf=0, mode="kernel").seat == seat


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"pci": VF, "pf": PF, "vf": 3, "whole": False}, f"device {VF}, VF 3 of PF {PF}"),
        ({"pci": PF, "pf": PF, "vf": -1, "whole": True}, f"PF {PF}"),
        ({"pf": PF, "whole": True}, f"PF {PF}"),
        ({"pf": PF, "whole": False}, f"a VF of PF {PF}"),
    ],
)
def test_a_plan_is_told_in_words(plan: dict[str, Any], words: str) -> None:
    assert devices.words(plan) == words


def test_an_add_that_died_is_told_by_its_allocation(node: Node) -> None:
    made = record(node.state, pci="")
    assert devices.held(made) == f"a VF of PF {PF}"
    keep(node.state, taken(pci=OTHER_VF, vf=1), taken(key=key("c2")))
    assert devices.held(made) == f"device {OTHER_VF}, VF 1 of PF {PF}"


def test_a_device_is_at_home_where_no_container_can_have_it(node: Node) -> None:
    assert not devices.at_home(VF, node.sysfs.seam)  # igbvf has it, and its network device is not here
    assert devices.at_home("0000:fe:1f.0", node.sysfs.seam)
    node.sysfs.device("0000:fe:11.0", driver="igbvf", netdevs=["eth7"])
    assert devices.at_home("0000:fe:11.0", node.sysfs.seam)
    node.sysfs.device("0000:fe:11.1")
    assert devices.at_home("0000:fe:11.1", node.sysfs.seam)
