"""Which device a netconf means, and what is said of one that is not to be had, on made-up trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cni_userspace.attach.store import Key
from cni_userspace.cni import netconf
from cni_userspace.cni.nodefile import Allow, NodeFile
from cni_userspace.engines.sriov import allocation, look
from cni_userspace.engines.sriov.allocation import Allocation
from cni_userspace.engines.sriov.conf import parse_options
from cni_userspace.engines.sriov.look import Target
from cni_userspace.errors import BoundsError, ConflictError, InvalidConfigError, NotAvailableError
from cni_userspace.host import netns
from cni_userspace.host.deadline import Deadline
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.cni.netconf import NetConf

PF, PLAIN = "0000:01:00.0", "0000:02:00.0"
VFS = ("0000:01:10.0", "0000:01:10.2", "0000:01:10.4")


@pytest.fixture
def tree(tmp_path: Path) -> MadeUpSysfs:
    tree = MadeUpSysfs(str(tmp_path / "sys"))
    tree.pf(PF, VFS, netdevs=["eth1"])
    tree.device(PLAIN, driver="e1000", netdevs=["eth2"])
    tree.virtual_netdev("veth3")
    return tree


@pytest.fixture
def node(tmp_path: Path) -> NodeFile:
    return NodeFile(state_dir=str(tmp_path / "state"))


def conf(**keys: Any) -> NetConf:  # noqa: ANN401  any JSON value
    config = {"cniVersion": "1.0.0", "name": "n", "type": "sriov", **keys}
    return netconf.parse(
        config, {}, NodeFile(), strict=False, engine_parser=lambda _, getter: parse_options(getter)
    )


def refusal(tree: MadeUpSysfs, node: NodeFile, **keys: Any) -> str:  # noqa: ANN401  any JSON value
    with pytest.raises(InvalidConfigError) as caught:
        look.resolve(conf(**keys), node, tree.seam)
    return caught.value.details


def take(node: NodeFile, pci: str, *, alive: bool, name: str = "", pf: str = PF) -> None:
    """Give a device away, to our own namespace or to one that never was."""
    space = netns.SELF if alive else "/run/netns/never"
    place = f"{node.state_dir}/{allocation.DEVICES}"
    given = Allocation(
        pci=pci,
        key=Key(network="n", container_id="other", ifname="net1"),
        netns=space,
        netns_id=netns.identity(netns.SELF),
        netdev={"name": name} if name else {},
        pf=pf,
    )
    with allocation.hold(place, pci, Deadline(5)):
        allocation.write(place, given)


def test_a_vf_is_named_by_its_address(tree: MadeUpSysfs, node: NodeFile) -> None:
    found = look.resolve(conf(deviceID=VFS[1]), node, tree.seam)
    assert found == Target(pf=PF, whole=False, candidates=(VFS[1],), chosen=True)


@pytest.mark.parametrize("master", ["eth1", PF])
def test_a_vf_is_named_by_its_pf_and_index(tree: MadeUpSysfs, node: NodeFile, master: str) -> None:
    found = look.resolve(conf(master=master, vf=2), node, tree.seam)
    assert found == Target(pf=PF, whole=False, candidates=(VFS[2],), chosen=True)


def test_without_an_index_any_vf_of_the_pf_does(tree: MadeUpSysfs, node: NodeFile) -> None:
    found = look.resolve(conf(master="eth1"), node, tree.seam)
    assert found == Target(pf=PF, whole=False, candidates=VFS, chosen=False)


@pytest.mark.parametrize("keys", [{"master": "eth2"}, {"deviceID": PLAIN}])
def test_a_card_without_sriov_can_be_handed_over_whole(
    tree: MadeUpSysfs, node: NodeFile, keys: dict[str, str]
) -> None:
    found = look.resolve(conf(pfOnly=True, **keys), node, tree.seam)
    assert found == Target(pf=PLAIN, whole=True, candidates=(PLAIN,), chosen=True)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"deviceID": "0000:09:00.0"}, "deviceID: 0000:09:00.0: there is no such PCI device"),
        ({"deviceID": PF}, f"deviceID: {PF}: is no VF"),
        ({"deviceID": VFS[0], "pfOnly": True}, f"is a VF of {PF}, and no PF"),
        ({"deviceID": VFS[0], "master": "eth2"}, "is no VF of `master` eth2"),
        ({"master": "eth9"}, "master: eth9: is no network device of a PCI card"),
        ({"master": "veth3"}, "master: veth3: is no network device of a PCI card"),
        ({"master": "0000:09:00.0"}, "there is no such PCI device"),
        ({"master": VFS[0]}, f"is a VF of {PF}, and no PF"),
        ({"master": "eth2"}, "master: eth2: has no SR-IOV"),
        ({"master": "eth1", "vf": 3}, "vf: 3: eth1 has the VFs 0 to 2"),
        ({}, "deviceID: missing"),
    ],
)
def test_a_device_that_is_not_to_be_had_is_told_with_its_key(
    tree: MadeUpSysfs, node: NodeFile, keys: dict[str, Any], words: str
) -> None:
    assert words in refusal(tree, node, **keys)


def test_a_pf_that_could_have_vfs_and_has_none_is_told_with_the_way_to_make_them(
    tree: MadeUpSysfs, node: NodeFile
) -> None:
    tree.pf("0000:03:00.0", netdevs=["eth3"])
    with pytest.raises(InvalidConfigError, match="not to be had") as caught:
        look.resolve(conf(master="eth3"), node, tree.seam)
    assert "has no VFs yet" in caught.value.details
    assert caught.value.hint == "echo 4 > /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs"


@pytest.mark.parametrize("allowed", ["eth1", PF, "eth*"])
def test_a_pf_is_allowed_by_its_name_or_its_address(tree: MadeUpSysfs, node: NodeFile, allowed: str) -> None:
    bounded = node.replace(allow=Allow(pfs=(allowed,)))
    assert look.resolve(conf(deviceID=VFS[0]), bounded, tree.seam).pf == PF


def test_a_vf_of_a_pf_that_is_not_allowed_is_refused(tree: MadeUpSysfs, node: NodeFile) -> None:
    with pytest.raises(BoundsError):
        look.resolve(conf(deviceID=VFS[0]), node.replace(allow=Allow(pfs=("eth2",))), tree.seam)


def test_a_pf_that_a_container_has_is_told_with_its_holder(tree: MadeUpSysfs, node: NodeFile) -> None:
    take(node, "0000:04:00.0", alive=True, name="eth4", pf="")
    with pytest.raises(ConflictError) as caught:
        look.resolve(conf(master="eth4", pfOnly=True), node, tree.seam)
    assert caught.value.details == "0000:04:00.0 belongs to other (net1 of n)"


def test_a_pf_on_its_way_home_is_found_by_the_name_that_it_had(tree: MadeUpSysfs, node: NodeFile) -> None:
    take(node, "0000:04:00.0", alive=False, name="eth4", pf="")
    assert look.resolve(conf(master="eth4", pfOnly=True), node, tree.seam).pf == "0000:04:00.0"


def test_status_says_why_an_add_cannot_work(tree: MadeUpSysfs, node: NodeFile) -> None:
    for keys, words in (
        ({"master": "eth9"}, "no network device"),
        ({"master": "eth2"}, "no SR-IOV"),
        ({"master": "eth1", "vf": 7}, "VFs 0 to 2"),
    ):
        with pytest.raises(NotAvailableError) as caught:
            look.status(conf(**keys), node, tree.seam)
        assert words in caught.value.details


def test_status_says_when_no_vf_is_free(tree: MadeUpSysfs, node: NodeFile) -> None:
    look.status(conf(master="eth1"), node, tree.seam)
    for pci in VFS[:2]:
        take(node, pci, alive=True)
    take(node, VFS[2], alive=False)
    look.status(conf(master="eth1"), node, tree.seam)
    take(node, VFS[2], alive=True)
    with pytest.raises(NotAvailableError) as caught:
        look.status(conf(master="eth1"), node, tree.seam)
    assert caught.value.msg == f"all 3 VFs of {PF} are given away"
    assert caught.value.code == 50


def test_status_cannot_judge_a_network_whose_device_comes_with_the_pod(
    tree: MadeUpSysfs, node: NodeFile
) -> None:
    look.status(conf(), node, tree.seam)
    assert not allocation.read(f"{node.state_dir}/{allocation.DEVICES}", PF)
