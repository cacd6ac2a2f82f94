"""Rebinding for DPDK, on real devices: vfio-pci and uio_pci_generic, in and out, and from every half-way.

What QEMU's igb carries (10.0, DPDK 22.11, behind intel-iommu with iommu=pt): the
link is up for net_e1000_igb_vf on a VF and for net_e1000_igb on the PF, on
vfio-pci. Frames pass between two VFs of one PF (some 40,000 a second here), by
the MACs that the PF has for them, and do not pass between different VLANs of
the PF's setting; frames that the PF sends reach the other PF's kernel. Nothing
needs hugepages with vfio (`--no-huge`: addresses are virtual). On
uio_pci_generic DPDK wants physical addresses, hence hugepages: binding is
tested, not traffic. Debian's kernel has no no-IOMMU mode of vfio
(CONFIG_VFIO_NOIOMMU), so that is shown by made-up trees alone.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cni_userspace.engines.sriov import driver, netdev
from cni_userspace.errors import ConflictError, TryAgainError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Netlink
from cni_userspace.host.sysfs import Sysfs
from tests.support.child import wait_for
from tests.support.need import need
from tests.support.testpmd import Pci, Testpmd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cni_userspace.engines.sriov.driver import Binding
    from tests.support.guest.nic import Device, Pf, Vf

SYSFS = Sysfs()
VFIO, UIO = "vfio-pci", "uio_pci_generic"
SECONDS = 60.0
VFIO_GROUP_GET_STATUS = 0x3B67  # linux/vfio.h: _IO(';', 103)
VFIO_GROUP_FLAGS_VIABLE = 1
FIRST_MAC, SECOND_MAC = "02:00:00:00:00:10", "02:00:00:00:00:11"
NO_MAC = "00:00:00:00:00:00"
ENOUGH = 1000  # frames: more than what was under way when something changed
BURST = 32  # frames that testpmd sends at `tx_first`
RESTORE = """
import json, sys
from cni_userspace.engines.sriov import driver
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.sysfs import Sysfs
print(driver.restore(Sysfs(), driver.Binding(**json.loads(sys.argv[1])), Deadline(3)))
"""


def look(device: Device, target: str = VFIO) -> Binding:
    return driver.look(SYSFS, device.address, target, Deadline(SECONDS))


def rebind(device: Device, target: str = VFIO) -> Binding:
    binding = look(device, target)
    driver.bind(SYSFS, binding, Deadline(SECONDS))
    return binding


def restore(binding: Binding) -> list[str]:
    return driver.restore(SYSFS, binding, Deadline(SECONDS))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def home() -> Iterator[Netlink]:
    with Netlink(Deadline(SECONDS)) as netlink:
        yield netlink


@pytest.fixture
def pair(sharing: tuple[Device, ...]) -> Iterator[tuple[Device, ...]]:
    """Give two devices of one IOMMU group, on their driver."""
    subprocess.run(["modprobe", "e1000"], check=True)
    assert [device.driver for device in sharing] == ["e1000", "e1000"]
    yield sharing
    for device in sharing:
        SYSFS.set_driver_override(device.address, "", Deadline(SECONDS))
        SYSFS.unbind(device.address, Deadline(SECONDS))
    subprocess.run(["modprobe", "-r", "e1000"], check=True)


def is_viable(device: Device) -> bool:
    """Ask vfio itself whether an application could have the device's group."""
    group = os.open(driver.device_nodes(SYSFS, device.address)[1], os.O_RDWR)
    try:
        answer = fcntl.ioctl(group, VFIO_GROUP_GET_STATUS, struct.pack("II", 8, 0))
    finally:
        os.close(group)
    return bool(struct.unpack("II", answer)[1] & VFIO_GROUP_FLAGS_VIABLE)


def test_a_vf_goes_to_vfio_and_comes_back(vf: Vf) -> None:
    binding = rebind(vf)
    assert (vf.driver, vf.override, vf.netdev) == (VFIO, VFIO, "")
    assert all(map(os.path.exists, driver.device_nodes(SYSFS, vf.address)))
    assert is_viable(vf)
    assert driver.note(SYSFS, vf.address) == ""
    assert restore(binding) == []
    assert (vf.driver, vf.override) == ("igbvf", "")


def test_a_pf_without_vfs_goes_to_vfio_and_comes_back(other_pf: Pf) -> None:
    binding = rebind(other_pf)
    assert (other_pf.driver, other_pf.netdev) == (VFIO, "")
    assert is_viable(other_pf)
    assert restore(binding) == []
    assert (other_pf.driver, other_pf.override) == ("igb", "")


def test_a_pf_with_vfs_keeps_them(pf: Pf, vfs: tuple[Vf, ...]) -> None:
    with pytest.raises(ConflictError, match="has VFs"):
        rebind(pf)
    assert pf.driver == "igb"
    assert pf.vfs() == vfs


def test_a_driver_that_is_not_loaded_is_loaded_and_gets_the_device(other_pf: Pf) -> None:
    subprocess.run(["modprobe", "-r", UIO], check=True)
    assert not SYSFS.has_driver(UIO)
    binding = rebind(other_pf, UIO)
    assert other_pf.driver == UIO
    (node,) = driver.device_nodes(SYSFS, other_pf.address)
    assert os.path.exists(node)
    assert "all of the node's memory" in driver.note(SYSFS, other_pf.address)
    assert restore(binding) == []
    assert (other_pf.driver, other_pf.override) == ("igb", "")


def test_a_uio_driver_behind_a_translating_iommu_is_refused(vf: Vf) -> None:
    kind = f"/sys/kernel/iommu_groups/{SYSFS.iommu_group(vf.address)}/type"
    SYSFS.unbind(vf.address, Deadline(SECONDS))  # else the type cannot change
    with open(kind, "w", encoding="ascii") as file:
        file.write("DMA")
    try:
        with pytest.raises(ConflictError, match="translates"):
            rebind(vf, UIO)
    finally:
        with open(kind, "w", encoding="ascii") as file:
            file.write("identity")
        SYSFS.bind(vf.address, "igbvf", Deadline(SECONDS))


BIND = ("override", "unbind", "bind")
HALF_WAYS = [BIND[:n] for n in (1, 2, 3)] + [(*BIND, "clear"), (*BIND, "clear", "unbind")]


def test_from_wherever_a_call_was_killed_the_device_comes_back(vf: Vf) -> None:
    """Do the steps of a bind, and then of a way back, that calls got to before they were killed."""
    binding = look(vf)
    soon, pci = Deadline(SECONDS), vf.address
    does = {
        "override": lambda: SYSFS.set_driver_override(pci, VFIO, soon),
        "unbind": lambda: SYSFS.unbind(pci, soon),
        "bind": lambda: SYSFS.bind(pci, VFIO, soon),
        "clear": lambda: SYSFS.set_driver_override(pci, "", soon),
    }
    found = {}
    for steps in HALF_WAYS:
        for step in steps:
            does[step]()
        found[steps] = (restore(binding), vf.driver, vf.override)
    assert found == dict.fromkeys(HALF_WAYS, ([], "igbvf", ""))


def test_both_ways_may_be_gone_twice(vf: Vf) -> None:
    binding = rebind(vf)
    driver.bind(SYSFS, binding, Deadline(SECONDS))
    assert vf.driver == VFIO
    assert restore(binding) == []
    assert restore(binding) == []
    assert (vf.driver, vf.override) == ("igbvf", "")


def test_a_device_that_is_on_the_driver_already_stays_there(vf: Vf) -> None:
    first = rebind(vf)
    second = rebind(vf)
    assert second.stays
    assert restore(second) == []
    assert (vf.driver, vf.override) == (VFIO, VFIO)
    assert restore(first) == []


def test_a_device_goes_from_one_driver_for_dpdk_to_another_and_back(vf: Vf) -> None:
    first = rebind(vf)
    second = rebind(vf, UIO)
    assert (vf.driver, vf.override) == (UIO, UIO)
    assert restore(second) == []
    assert (vf.driver, vf.override) == (VFIO, VFIO)
    assert restore(first) == []


def test_a_device_without_driver_has_none_again(vf: Vf) -> None:
    SYSFS.unbind(vf.address, Deadline(SECONDS))
    binding = rebind(vf)
    assert vf.driver == VFIO
    assert restore(binding) == []
    assert (vf.driver, vf.override) == ("", "")
    SYSFS.bind(vf.address, "igbvf", Deadline(SECONDS))


def test_an_override_that_stood_there_before_stands_again(vf: Vf) -> None:
    """Also one that is not the driver's, which would keep the driver from taking the device back."""
    for override in ("igbvf", UIO):
        SYSFS.set_driver_override(vf.address, override, Deadline(SECONDS))
        binding = rebind(vf)
        assert vf.override == VFIO
        assert restore(binding) == []
        assert (vf.driver, vf.override) == ("igbvf", override)
    SYSFS.set_driver_override(vf.address, "", Deadline(SECONDS))


def test_a_device_that_somebody_else_has_rebound_since_is_left_to_them(vf: Vf) -> None:
    binding = rebind(vf)
    theirs = rebind(vf, UIO)
    assert restore(binding) == []
    assert (vf.driver, vf.override) == (UIO, UIO)
    assert restore(theirs) == []
    assert restore(binding) == []


def test_a_group_that_the_kernel_still_uses_is_refused_and_nothing_changed(pair: tuple[Device, ...]) -> None:
    one, other = pair
    with pytest.raises(ConflictError) as refused:
        rebind(one)
    assert f"{other.address} is with e1000" in refused.value.details
    assert (one.driver, one.override) == ("e1000", "")


def test_the_kernel_would_refuse_such_a_group_to_the_application(pair: tuple[Device, ...]) -> None:
    one, _ = pair
    SYSFS.set_driver_override(one.address, VFIO, Deadline(SECONDS))
    SYSFS.unbind(one.address, Deadline(SECONDS))
    try:
        SYSFS.bind(one.address, VFIO, Deadline(SECONDS))
    except OSError:  # newer kernels say so at once
        return
    assert not is_viable(one)


def test_a_group_whose_other_device_nobody_uses_is_given(pair: tuple[Device, ...]) -> None:
    one, other = pair
    SYSFS.unbind(other.address, Deadline(SECONDS))
    binding = rebind(one)
    assert is_viable(one)
    assert restore(binding) == []
    assert one.driver == "e1000"


def test_a_driver_that_fails_to_take_the_device_says_why_and_the_device_is_as_before(vf: Vf) -> None:
    """Igb, the PF's driver, does not take a VF."""
    binding = look(vf, "igb")
    with pytest.raises(ConflictError, match="given to igb") as refused:
        driver.bind(SYSFS, binding, Deadline(SECONDS))
    assert "Invalid argument" in refused.value.details
    assert restore(binding) == []
    assert (vf.driver, vf.override) == ("igbvf", "")


def test_a_driver_that_no_module_brings_is_named(vf: Vf) -> None:
    with pytest.raises(ConflictError, match="no driver igb_uio"):
        driver.bind(SYSFS, look(vf, "igb_uio"), Deadline(SECONDS))
    assert (vf.driver, vf.override) == ("igbvf", "")


def test_a_network_device_comes_back_as_a_new_one_and_udev_is_done_with_it(vf: Vf, home: Netlink) -> None:
    before = home.link(vf.netdev)
    assert before is not None
    assert restore(rebind(vf)) == []
    after = netdev.await_new(home, vf.address, SYSFS, Deadline(SECONDS))
    assert after.index != before.index
    assert (after.name, after.up) == (before.name, False)
    subprocess.run(["udevadm", "settle"], check=True)
    assert home.link_at(after.index) == after


def test_a_vf_comes_back_with_the_mac_and_the_settings_that_its_pf_has_for_it(
    pf: Pf, vf: Vf, home: Netlink
) -> None:
    ip("link", "set", pf.netdev, "vf", "0", "mac", FIRST_MAC, "vlan", "7")
    try:
        assert restore(rebind(vf)) == []
        assert netdev.await_new(home, vf.address, SYSFS, Deadline(SECONDS)).mac == FIRST_MAC
        assert [vf.settings()[key] for key in ("address", "vlan_list")] == [FIRST_MAC, [{"vlan": 7}]]
    finally:
        ip("link", "set", pf.netdev, "vf", "0", "mac", NO_MAC, "vlan", "0")
        restore(rebind(vf))


def test_a_device_that_an_application_has_open_is_given_up_at_the_deadline_and_comes_back_later(
    vf: Vf, tmp_path: Path
) -> None:
    """The unbind sleeps where no signal reaches it; what waits for our output must not wait for it."""
    from cni_userspace.jsontext import dumps

    need("dpdk-testpmd")
    binding = rebind(vf)
    group = driver.device_nodes(SYSFS, vf.address)[-1]
    testpmd = Testpmd([Pci(address=vf.address)], "rxonly", str(tmp_path / "testpmd")).start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", RESTORE, dumps(binding.as_dict())],
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert f"fuser -v {group}" in done.stdout
        with pytest.raises(TryAgainError, match="does not let go"):
            driver.look(SYSFS, vf.address, VFIO, Deadline(1))
    finally:
        testpmd.stop()
    assert restore(binding) == []
    assert (vf.driver, vf.override) == ("igbvf", "")


def test_testpmd_passes_frames_between_two_vfs_and_none_between_different_vlans(
    pf: Pf, vfs: tuple[Vf, ...], tmp_path: Path
) -> None:
    need("dpdk-testpmd")
    first, second = vfs[:2]
    for vf, mac in ((first, FIRST_MAC), (second, SECOND_MAC)):
        ip("link", "set", pf.netdev, "vf", str(vf.index), "mac", mac)
    bindings = [rebind(vf) for vf in (first, second)]
    options = ("--total-num-mbufs=4096", f"--eth-peer=0,{SECOND_MAC}", f"--eth-peer=1,{FIRST_MAC}")
    devices = [Pci(address=vf.address) for vf in (first, second)]
    try:
        with Testpmd(devices, "mac", str(tmp_path / "testpmd"), options=options) as testpmd:
            testpmd.tell("stop", "start tx_first")
            assert testpmd.await_received(ENOUGH, SECONDS, port=1) >= ENOUGH
            testpmd.stop_forwarding()
            ip("link", "set", pf.netdev, "vf", str(second.index), "vlan", "7")
            before = [testpmd.stats(port) for port in (0, 1)]
            testpmd.tell("start tx_first", "stop")
            after = [testpmd.stats(port) for port in (0, 1)]
            assert [b.sent - a.sent for a, b in zip(before, after, strict=True)] == [BURST, BURST]
            assert [b.received - a.received for a, b in zip(before, after, strict=True)] == [0, 0]
    finally:
        ip("link", "set", pf.netdev, "vf", str(second.index), "vlan", "0")
        for vf in (first, second):
            ip("link", "set", pf.netdev, "vf", str(vf.index), "mac", NO_MAC)
        assert [restore(binding) for binding in bindings] == [[], []]


def test_testpmd_on_a_whole_pf_sends_frames_that_arrive(pf: Pf, other_pf: Pf, tmp_path: Path) -> None:
    need("dpdk-testpmd")

    def arrived() -> int:
        with open(f"/sys/class/net/{pf.netdev}/statistics/rx_packets", encoding="ascii") as file:
            return int(file.read())

    mac = pf.link["address"]
    binding = rebind(other_pf)
    device = Pci(address=other_pf.address)
    try:
        before = arrived()
        with Testpmd([device], "txonly", str(tmp_path / "testpmd"), peer=mac):
            wait_for(
                "frames", lambda: arrived() - before > ENOUGH, SECONDS, proof=lambda: str(arrived() - before)
            )
    finally:
        assert restore(binding) == []
