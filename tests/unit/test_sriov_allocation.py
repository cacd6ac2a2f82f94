"""Allocations on disk, and the plan's settings: what the way back of a device is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cni_userspace.attach.store import Key
from cni_userspace.cni import request as requests
from cni_userspace.cni.netconf import NetConf
from cni_userspace.cni.nodefile import NodeFile
from cni_userspace.engines.sriov import allocation, planning, refuse, vf
from cni_userspace.engines.sriov.allocation import Allocation
from cni_userspace.engines.sriov.conf import SriovConf
from cni_userspace.engines.sriov.look import Target
from cni_userspace.errors import InputOutputError, InvalidConfigError, TryAgainError, UnknownContainerError
from cni_userspace.host import netns
from cni_userspace.host.deadline import Deadline

if TYPE_CHECKING:
    from pathlib import Path

PCI, PF = "0000:01:10.0", "0000:01:00.0"
MAC = "02:00:00:00:00:07"


def given(**more: object) -> Allocation:
    key = Key(network="n", container_id="c", ifname="net1")
    return Allocation(pci=PCI, key=key, netns="/run/netns/x", netns_id="", **more)  # type: ignore[arg-type]


def test_an_allocation_is_read_as_it_was_written(tmp_path: Path) -> None:
    place = str(tmp_path / "devices")
    wanted = given(
        pf=PF, vf=3, settings={"vlan": [1, 0, "802.1q"]}, netdev={"name": "eth1"}, pod={"name": "p"}
    )
    with allocation.hold(place, PCI, Deadline(5)):
        allocation.write(place, wanted)
    assert allocation.read(place, PCI) == wanted
    assert list(allocation.every(place)) == [wanted]


def test_a_device_whose_allocation_is_gone_leaves_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "devices")
    with allocation.hold(place, PCI, Deadline(5)):
        allocation.write(place, given())
        allocation.delete(place, PCI)
        allocation.delete(place, PCI)
    assert list((tmp_path / "devices").iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": {}}', '{"key": {"network": "n"}, "colour": 1}'])
def test_a_torn_allocation_counts_as_none(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "devices" / PCI
    folder.mkdir(parents=True)
    (folder / "allocation.json").write_text(text)
    assert allocation.read(str(tmp_path / "devices"), PCI) is None
    assert list(allocation.every(str(tmp_path / "devices"))) == []


def test_what_a_newer_version_has_written_is_an_allocation_too(tmp_path: Path) -> None:
    place = str(tmp_path / "devices")
    with allocation.hold(place, PCI, Deadline(5)):
        allocation.write(place, given())
    file = tmp_path / "devices" / PCI / "allocation.json"
    file.write_text(file.read_text().replace("{", '{"colour": 1, ', 1))
    assert allocation.read(place, PCI) == given()


def test_what_a_killed_write_left_is_removed_but_not_while_somebody_writes(tmp_path: Path) -> None:
    place = str(tmp_path / "devices")
    unfinished = tmp_path / "devices" / PCI / "allocation.json.new"
    with allocation.hold(place, PCI, Deadline(5)):
        unfinished.touch()
        allocation.discard_unfinished(place, Deadline(5))
        assert unfinished.exists()
    allocation.discard_unfinished(place, Deadline(5))
    assert list((tmp_path / "devices").iterdir()) == []
    allocation.discard_unfinished(str(tmp_path / "none"), Deadline(5))


def test_an_allocation_that_cannot_be_read_is_no_free_device(tmp_path: Path) -> None:
    (tmp_path / PCI / "allocation.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        allocation.read(str(tmp_path), PCI)


def test_a_device_has_one_lock(tmp_path: Path) -> None:
    place = str(tmp_path / "devices")
    with (
        allocation.hold(place, PCI, Deadline(5)),
        pytest.raises(TryAgainError, match="works on the same device"),
        allocation.hold(place, PCI, Deadline(0.01)),
    ):
        pass


def test_a_place_that_cannot_be_made_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputOutputError) as caught:
        allocation.hold(str(tmp_path / "file" / "devices"), PCI, Deadline(5))
    assert "stateDir" in caught.value.hint


def test_an_allocation_lives_with_its_namespace() -> None:
    ours = given().replace(netns=netns.SELF, netns_id=netns.identity(netns.SELF))
    assert ours.lives
    assert not ours.replace(netns_id="another boot's").lives
    assert not ours.replace(netns="/run/netns/never").lives


def test_what_is_not_asked_for_is_no_setting() -> None:
    assert planning.settings(SriovConf(), "") == {}
    asked = SriovConf(vlan=5, qos=2, max_tx_rate=0, spoofchk=False, trust=True, link_state="auto")
    assert list(planning.settings(asked, MAC).items()) == [
        ("vlan", [5, 2, "802.1q"]),
        ("mac", MAC),
        ("rates", [None, 0]),
        ("spoofchk", False),
        ("trust", True),
        ("link_state", "auto"),
    ]


def test_the_differences_name_the_keys_of_the_netconf() -> None:
    found = {"vlan": [5, 0, "802.1q"], "rates": [10, 20], "trust": None}
    assert vf.differences(found, {"vlan": [5, 0, "802.1q"], "rates": [None, 20]}) == []
    assert vf.differences(found, {"rates": [11, None], "trust": True}) == [
        "min_tx_rate, max_tx_rate is 10 20, and 11 20 was asked for",
        "trust is None, and on was asked for",
    ]


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("127.0.0.1/8", "0100007F"),
        ("198.51.100.7/24", "076433C6"),
        ("2001:db8::7/64", "B80D0120000000000000000007000000"),
    ],
)
def test_an_address_is_written_as_the_kernel_prints_it_on_this_machine(address: str, printed: str) -> None:
    assert refuse.hexadecimal(address) == printed


def test_an_older_name_of_the_interface_must_be_the_runtimes() -> None:
    request = requests.Request(
        command="ADD", container_id="c", netns=netns.SELF, ifname="net1", args={}, config={}
    )
    conf = NetConf(name="n", raw={}, options=SriovConf(ifname_asked="net0"))
    target = Target(pf=PF, whole=False, candidates=(PCI,), chosen=True)
    with pytest.raises(InvalidConfigError) as caught:
        planning.plan(request, conf, NodeFile(), target)
    assert "if0name: net0: CNI_IFNAME is net1" in caught.value.details
    agreed = conf.replace(options=SriovConf(ifname_asked="net1"))
    assert planning.plan(request, agreed, NodeFile(), target).key.ifname == "net1"


def test_no_device_is_planned_for_a_namespace_that_has_gone_meanwhile() -> None:
    """Its allocation would belong to nobody, and any namespace at that path would do."""
    request = requests.Request(
        command="ADD", container_id="c", netns="/run/netns/never", ifname="net1", args={}, config={}
    )
    conf = NetConf(name="n", raw={}, options=SriovConf())
    target = Target(pf=PF, whole=False, candidates=(PCI,), chosen=True)
    with pytest.raises(UnknownContainerError):
        planning.plan(request, conf, NodeFile(), target)


@pytest.mark.parametrize("mac", ["", MAC])
def test_what_a_pf_sets_on_its_vfs_is_refused_for_a_pf_that_a_device_plugin_names(mac: str) -> None:
    """A VLAN that was silently left out would have let the container into all of them."""
    request = requests.Request(
        command="ADD", container_id="c", netns=netns.SELF, ifname="net1", args={}, config={}
    )
    conf = NetConf(name="n", raw={}, mac=mac, options=SriovConf(device=PF, dpdk=True, vlan=7))
    target = Target(pf=PF, whole=True, candidates=(PF,), chosen=True)
    with pytest.raises(InvalidConfigError) as caught:
        planning.plan(request, conf, NodeFile(), target)
    assert f"vlan: {PF} is no VF" in caught.value.details
    assert (f"mac: {PF} is no VF" in caught.value.details) == bool(mac)
    plain = conf.replace(mac="", options=SriovConf(device=PF, dpdk=True))
    assert planning.plan(request, plain, NodeFile(), target).settings == {}
