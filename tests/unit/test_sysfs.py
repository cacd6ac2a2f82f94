"""Reading sysfs, on made-up trees: parsing and refusals. What writes do is shown in tests/sriov."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cni_userspace.errors import InvalidConfigError
from cni_userspace.host import aside
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.sysfs import Sysfs, address, is_address, is_interface
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

PF, VF0, VF1, VF2 = "0000:01:00.0", "0000:01:10.0", "0000:01:10.2", "0000:01:10.4"
GONE = "0000:ff:1f.7"
NO_ADDRESSES = ("", ".", "..", "../../net", "01:00.0", "0000:01:00", "0000:01:00.8", "0000:01:20.0")
MORE_NO_ADDRESSES = (
    "0000:01:00.0/..",
    "0000:01:0G.0",
    "0000:1A:00.0",
    "0000:01:00.0\n",
    "000g:01:00.0",
    "eth0",
)


@pytest.fixture
def tree(tmp_path: Path) -> MadeUpSysfs:
    return MadeUpSysfs(str(tmp_path))


@pytest.mark.parametrize("text", NO_ADDRESSES + MORE_NO_ADDRESSES)
def test_what_is_no_pci_address_never_becomes_a_path(tree: MadeUpSysfs, text: str) -> None:
    assert not is_address(text)
    with pytest.raises(InvalidConfigError, match="no PCI address"):
        tree.seam.is_device(text)
    with pytest.raises(InvalidConfigError, match="no PCI address"):
        tree.seam.bind(text, "igb", Deadline(1))


@pytest.mark.parametrize("text", ["0000:01:00.0", "ffff:ff:1f.7", "10000:e1:00.0"])
def test_addresses_as_the_kernel_writes_them_are_addresses(text: str) -> None:
    assert is_address(text)
    assert address(text) == text


def test_a_person_may_write_an_address_in_upper_case_and_without_domain() -> None:
    assert address("1A:00.1") == "0000:1a:00.1"
    assert address("0000:1A:00.1") == "0000:1a:00.1"
    assert address("eth0") == ""
    assert address("1:2:3:4") == ""


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../../x", "a b", "a:b", "a\tb", "a\0b", "x" * 16])
def test_what_is_no_interface_name_never_becomes_a_path(tree: MadeUpSysfs, text: str) -> None:
    assert not is_interface(text)
    with pytest.raises(InvalidConfigError, match="network device"):
        tree.seam.pci_of(text)


@pytest.mark.parametrize("text", ["eth0", "enp1s0f0v1", "x" * 15, "eth0.100", "..."])
def test_names_that_the_kernel_takes_are_interface_names(text: str) -> None:
    assert is_interface(text)


@pytest.mark.parametrize("text", ["..", "a/b", "."])
def test_what_is_no_driver_name_never_becomes_a_path(tree: MadeUpSysfs, text: str) -> None:
    for call in (
        lambda: tree.seam.has_driver(text),
        lambda: tree.seam.bind(PF, text, Deadline(1)),
        lambda: tree.seam.set_driver_override(PF, text, Deadline(1)),
    ):
        with pytest.raises(InvalidConfigError, match="name of a driver"):
            call()


def test_a_pf_its_vfs_and_their_indices_are_found(tree: MadeUpSysfs) -> None:
    tree.pf(PF, [VF0, VF1, VF2], netdevs=["enp1s0"])
    seam = tree.seam
    assert seam.is_device(PF)
    assert seam.vfs(PF) == (VF0, VF1, VF2)
    assert (seam.num_vfs(PF), seam.total_vfs(PF)) == (3, 7)
    assert [seam.vf_index(PF, vf) for vf in (VF0, VF1, VF2, GONE)] == [0, 1, 2, None]
    assert [seam.physfn(pci) for pci in (VF2, PF)] == [PF, ""]
    assert seam.netdevs(PF) == ("enp1s0",)
    assert seam.pci_of("enp1s0") == PF
    assert [seam.driver(pci) for pci in (PF, VF0)] == ["igb", "igbvf"]


def test_twelve_vfs_are_in_the_order_of_their_indices_not_of_their_names(tree: MadeUpSysfs) -> None:
    vfs = [f"0000:01:{16 + i // 4:02x}.{i % 4}" for i in range(12)]
    tree.pf(PF, vfs, total=12)
    assert tree.seam.vfs(PF) == tuple(vfs)
    assert tree.seam.vf_index(PF, vfs[10]) == 10


def test_a_device_without_sriov_has_no_vfs_and_no_limit_of_them(tree: MadeUpSysfs) -> None:
    tree.device(PF)
    assert (tree.seam.total_vfs(PF), tree.seam.num_vfs(PF), tree.seam.vfs(PF)) == (-1, 0, ())


def test_a_virtual_network_device_has_no_pci_device(tree: MadeUpSysfs) -> None:
    tree.virtual_netdev("veth0")
    assert tree.seam.pci_of("veth0") == ""
    assert tree.seam.pci_of("missing") == ""


def test_virtio_hangs_its_network_device_one_step_lower(tree: MadeUpSysfs) -> None:
    tree.device(PF, netdevs=["eth0"], virtio="virtio3")
    assert tree.seam.pci_of("eth0") == PF
    assert tree.seam.netdevs(PF) == ("eth0",)


def test_a_device_that_is_gone_reads_as_nothing(tree: MadeUpSysfs) -> None:
    seam = tree.seam
    assert not seam.is_device(GONE)
    texts = (seam.driver, seam.physfn, seam.vendor, seam.device, seam.pci_class, seam.iommu_group)
    assert [read(GONE) for read in texts] == [""] * len(texts)
    lists = (seam.netdevs, seam.vfs, seam.rdma_devices, seam.uio_devices, seam.group_members)
    assert [read(GONE) for read in lists] == [()] * len(lists)
    assert (seam.total_vfs(GONE), seam.numa_node(GONE)) == (-1, -1)
    assert seam.driver_override(GONE, Deadline(5)) == ""
    seam.unbind(GONE, Deadline(5))


def test_class_ids_and_numa_node_are_read_as_they_stand(tree: MadeUpSysfs) -> None:
    tree.device(PF, attributes={"numa_node": "1", "vendor": "0x15b3", "device": "0x101e"})
    tree.bridge("0000:00:01.0")
    seam = tree.seam
    assert (seam.vendor(PF), seam.device(PF), seam.numa_node(PF)) == ("0x15b3", "0x101e", 1)
    assert (seam.is_ethernet(PF), seam.is_bridge(PF)) == (True, False)
    assert (seam.is_ethernet("0000:00:01.0"), seam.is_bridge("0000:00:01.0")) == (False, True)


def test_all_devices_of_a_group_are_its_members(tree: MadeUpSysfs) -> None:
    tree.device(PF, group="7")
    tree.bridge("0000:00:01.0", group="7")
    assert tree.seam.iommu_group(PF) == "7"
    assert tree.seam.group_members(PF) == ("0000:00:01.0", PF)
    assert not tree.seam.has_made_up_group(PF)


def test_a_group_that_vfio_made_up_is_told_from_a_real_one(tree: MadeUpSysfs) -> None:
    tree.device(PF, group="0")
    tree.name_group("0", "vfio-noiommu")
    assert tree.seam.has_made_up_group(PF)


def test_no_driver_override_is_what_the_kernel_prints_as_null(tree: MadeUpSysfs) -> None:
    place = tree.device(PF)
    assert tree.seam.driver_override(PF, Deadline(5)) == ""
    tree.seam.set_driver_override(PF, "vfio-pci", Deadline(5))
    assert tree.seam.driver_override(PF, Deadline(5)) == "vfio-pci"
    with open(f"{place}/driver_override", encoding="ascii") as file:
        assert file.read() == "vfio-pci\n"


def test_rdma_and_uio_devices_are_listed(tree: MadeUpSysfs) -> None:
    place = tree.device(PF)
    os.makedirs(f"{place}/infiniband/mlx5_1")
    os.makedirs(f"{place}/infiniband/mlx5_0")
    os.makedirs(f"{place}/uio/uio3")
    assert tree.seam.rdma_devices(PF) == ("mlx5_0", "mlx5_1")
    assert tree.seam.uio_devices(PF) == ("uio3",)


def test_vfio_says_whether_it_takes_devices_without_an_iommu(tree: MadeUpSysfs) -> None:
    assert not tree.seam.has_module("vfio")
    assert tree.seam.no_iommu_mode() == ""
    tree.vfio("N")
    assert tree.seam.has_module("vfio")
    assert tree.seam.no_iommu_mode() == "N"


def test_binding_to_a_driver_that_is_not_there_is_no_such_device(tree: MadeUpSysfs) -> None:
    tree.device(PF)
    with pytest.raises(OSError, match="No such device"):
        tree.seam.bind(PF, "igb", Deadline(5))


def test_the_product_reads_the_kernels_own_tree() -> None:
    assert Sysfs().root == "/sys"


def test_a_file_that_never_answers_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    """A FIFO without another end blocks as a device's lock does, but for a kill."""
    for name in ("stuck-read", "stuck-write"):  # a killed child may hold its end a moment longer
        os.mkfifo(tmp_path / name)
    for call in (
        lambda: aside.read(str(tmp_path / "stuck-read"), Deadline(0.2)),
        lambda: aside.write(str(tmp_path / "stuck-write"), b"x", Deadline(0.2)),
    ):
        with pytest.raises(TimeoutError, match="stuck"):
            call()


def test_an_error_of_the_kernel_comes_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        aside.write(str(tmp_path / "missing"), b"x", Deadline(5))
    with pytest.raises(IsADirectoryError):
        aside.read(str(tmp_path), Deadline(5))


def test_a_read_returns_what_is_in_the_file_and_an_empty_one_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"vfio-pci\n")
    (tmp_path / "empty").write_bytes(b"")
    assert aside.read(str(tmp_path / "full"), Deadline(5)) == b"vfio-pci\n"
    assert aside.read(str(tmp_path / "empty"), Deadline(5)) == b""
