"""Refusals to rebind a device, and what is said of it, on made-up trees; effects are in tests/sriov."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cni_userspace.engines.sriov import driver
from cni_userspace.engines.sriov.driver import Binding
from cni_userspace.errors import ConflictError, PluginError
from cni_userspace.host.deadline import Deadline
from tests.support.sysfs import MadeUpSysfs

if TYPE_CHECKING:
    from pathlib import Path

PF, VF0, VF1, OTHER = "0000:01:00.0", "0000:01:10.0", "0000:01:10.2", "0000:02:00.0"
VFIO, UIO = "vfio-pci", "uio_pci_generic"


@pytest.fixture
def tree(tmp_path: Path) -> MadeUpSysfs:
    return MadeUpSysfs(str(tmp_path))


def refusal(
    tree: MadeUpSysfs, pci: str, target: str = VFIO, taken: tuple[str, ...] = ()
) -> PluginError | None:
    """Return why a device may not be rebound, None where it may."""
    binding = driver.look(tree.seam, pci, target, Deadline(5))
    try:
        driver.refuse(tree.seam, binding, taken)
    except ConflictError as error:
        return error
    return None


def test_a_binding_survives_the_way_through_a_record(tree: MadeUpSysfs) -> None:
    tree.device(VF0, driver="igbvf", attributes={"driver_override": "igbvf"})
    binding = driver.look(tree.seam, VF0, VFIO, Deadline(5))
    assert binding == Binding(pci=VF0, driver="igbvf", override="igbvf", target=VFIO)
    assert Binding(**binding.as_dict()) == binding


def test_a_vf_alone_in_its_group_may_be_rebound(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.pf(PF, [VF0], group="11")
    assert refusal(tree, VF0) is None


def test_a_pf_with_vfs_may_not(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.pf(PF, [VF0, VF1], group="11")
    error = refusal(tree, PF)
    assert error is not None
    assert "2 VFs" in error.details
    assert "sriov_numvfs" in error.hint


def test_a_pf_without_vfs_may(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.pf(PF, group="11")
    assert refusal(tree, PF) is None


def test_a_group_with_another_device_on_a_kernel_driver_is_refused_and_names_it(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.device(PF, driver="e1000", group="3")
    tree.device(OTHER, driver="e1000", group="3")
    error = refusal(tree, PF)
    assert error is not None
    assert f"{OTHER} is with e1000" in error.details


@pytest.mark.parametrize("other", ["", VFIO, "pci-stub"])
def test_a_group_whose_other_device_leaves_it_to_vfio_is_fine(tree: MadeUpSysfs, other: str) -> None:
    tree.vfio()
    tree.device(PF, driver="e1000", group="3")
    tree.device(OTHER, driver=other, group="3")
    assert refusal(tree, PF) is None


def test_a_group_whose_other_device_another_container_has_is_refused(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.device(PF, driver="e1000", group="3")
    tree.device(OTHER, driver=VFIO, group="3")
    error = refusal(tree, PF, taken=(PF, OTHER))
    assert error is not None
    assert OTHER in error.details
    assert f"{PF} is with" not in error.details


def test_a_bridge_in_the_group_is_no_device_in_use(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.device(PF, driver="e1000", group="3")
    tree.bridge("0000:00:1c.0", group="3")
    assert refusal(tree, PF) is None


def test_without_an_iommu_vfio_takes_a_device_in_its_unsafe_mode_only(tree: MadeUpSysfs) -> None:
    tree.vfio("N")
    tree.device(PF, driver="igb")
    error = refusal(tree, PF)
    assert error is not None
    assert "mode is off" in error.details
    assert "echo Y" in error.hint


def test_in_its_unsafe_mode_it_does(tree: MadeUpSysfs) -> None:
    tree.vfio("Y")
    tree.device(PF, driver="igb")
    assert refusal(tree, PF) is None


def test_a_kernel_that_lacks_the_unsafe_mode_leads_to_another_driver(tree: MadeUpSysfs) -> None:
    tree.vfio()
    tree.device(PF, driver="igb")
    error = refusal(tree, PF)
    assert error is not None
    assert "has no no-IOMMU mode" in error.details
    assert UIO in error.hint


def test_a_uio_driver_needs_no_iommu(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver="igb")
    assert refusal(tree, PF, UIO) is None


def test_a_uio_driver_behind_a_translating_iommu_is_refused(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver="igb", group="4")
    tree.type_group("4", "DMA-FQ")
    error = refusal(tree, PF, UIO)
    assert error is not None
    assert "DMA-FQ" in error.details
    tree.type_group("4", "identity")
    assert refusal(tree, PF, UIO) is None


def test_a_device_that_is_on_the_driver_already_is_never_refused(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver=VFIO, group="3")
    tree.device(OTHER, driver="e1000", group="3")
    assert refusal(tree, PF) is None


def test_what_uio_hands_over_is_said_to_see_all_memory(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver=UIO)
    assert f"by {UIO}" in driver.note(tree.seam, PF)


def test_what_vfio_hands_over_is_said_to_see_all_memory_only_without_an_iommu(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver=VFIO, group="0")
    assert driver.note(tree.seam, PF) == ""
    tree.name_group("0", "vfio-noiommu")
    assert "no-IOMMU mode" in driver.note(tree.seam, PF)


def test_a_device_of_the_kernel_needs_no_note(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver="igb")
    assert driver.note(tree.seam, PF) == ""


def test_the_files_of_a_group_are_named_after_it(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver=VFIO, group="12")
    assert driver.device_nodes(tree.seam, PF) == ("/dev/vfio/vfio", "/dev/vfio/12")
    tree.name_group("12", "vfio-noiommu")
    assert driver.device_nodes(tree.seam, PF) == ("/dev/vfio/vfio", "/dev/vfio/noiommu-12")


def test_a_device_of_the_kernel_has_no_files_for_applications(tree: MadeUpSysfs) -> None:
    tree.device(PF, driver="igb", group="12")
    assert driver.device_nodes(tree.seam, PF) == ()


def test_a_device_that_is_gone_is_as_good_as_restored(tree: MadeUpSysfs) -> None:
    binding = Binding(pci=PF, driver="igb", override="", target=VFIO)
    assert driver.restore(tree.seam, binding, Deadline(5)) == []


def test_a_part_of_a_group_goes_to_no_second_container(tree: MadeUpSysfs) -> None:
    tree.vfio()
    for pci in (VF0, VF1):
        tree.device(pci, driver=VFIO, group="7")
    driver.refuse_divided(tree.seam, VF0, [OTHER])
    with pytest.raises(ConflictError) as caught:
        driver.refuse_divided(tree.seam, VF0, [VF1])
    assert VF1 in caught.value.details
