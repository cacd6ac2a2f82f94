"""The rig is what it promises: a real PF with VFs, an IOMMU, a wire, drivers to rebind to."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.support.guest.nic import Device, Pf, Vf, addresses, await_carrier, link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.netns import Netns

    MakeNetns = Callable[[], Netns]


def enter(netns: Netns, vf: Vf, address: str) -> str:
    """Move a VF into a namespace, up and with an address; return its name."""
    name = vf.netdev
    subprocess.run(["ip", "link", "set", name, "netns", netns.name], check=True)
    netns.run("ip", "address", "add", address, "dev", name)
    netns.run("ip", "link", "set", name, "up")
    await_carrier(name, netns.name)
    return name


def pings(netns: Netns, address: str) -> bool:
    command = netns.command(["busybox", "ping", "-c", "1", "-W", "3", address])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def leave(netns: Netns, name: str) -> None:
    netns.run("ip", "link", "set", name, "down")
    netns.run("ip", "link", "set", name, "netns", "1")


def test_the_pf_is_an_igb_with_a_name_of_udevs(pf: Pf) -> None:
    assert pf.driver == "igb"
    assert pf.netdev == "enp1s0"


def test_every_vf_is_on_igbvf_with_a_name_of_udevs(vfs: tuple[Vf, ...]) -> None:
    assert [vf.driver for vf in vfs] == ["igbvf"] * 4
    assert [vf.netdev for vf in vfs] == [f"enp1s0v{index}" for index in range(4)]
    assert [vf.settings()["vf"] for vf in vfs] == [0, 1, 2, 3]


def test_the_number_of_vfs_can_be_changed(pf: Pf) -> None:
    assert [vf.netdev for vf in pf.set_vfs(7)] == [f"enp1s0v{index}" for index in range(7)]


def test_each_function_has_an_iommu_group_of_its_own(pf: Pf, other_pf: Pf, vfs: tuple[Vf, ...]) -> None:
    for device in (pf, other_pf, *vfs):
        assert device.group == [device.address]


def test_behind_the_conventional_bridge_two_devices_share_a_group(sharing: tuple[Device, ...]) -> None:
    first, second = sharing
    assert {first.address, second.address} < set(first.group)
    assert [device.driver for device in sharing] == ["", ""]  # until a test loads e1000


def test_a_vf_goes_to_vfio_pci_and_comes_back(vf: Vf) -> None:
    mac = vf.link["address"]
    vf.rebind("vfio-pci")
    assert vf.driver == "vfio-pci"
    assert os.path.exists(f"/dev/vfio/{os.path.basename(os.readlink(f'{vf.path}/iommu_group'))}")
    vf.rebind("")
    assert vf.driver == "igbvf"
    assert vf.link["address"] == mac


def test_two_vfs_ping_each_other_and_on_different_vlans_do_not(
    pf: Pf, vfs: tuple[Vf, ...], make_netns: MakeNetns
) -> None:
    one, other = make_netns(), make_netns()
    names = enter(one, vfs[0], "192.0.2.1/24"), enter(other, vfs[1], "192.0.2.2/24")
    assert pings(one, "192.0.2.2")
    subprocess.run(["ip", "link", "set", pf.netdev, "vf", "1", "vlan", "7"], check=True)
    assert not pings(one, "192.0.2.2")
    subprocess.run(["ip", "link", "set", pf.netdev, "vf", "1", "vlan", "0"], check=True)
    assert pings(one, "192.0.2.2")
    leave(one, names[0])
    leave(other, names[1])


def test_a_wire_connects_the_pfs(other_pf: Pf, vf: Vf, make_netns: MakeNetns) -> None:
    netns = make_netns()
    name = enter(netns, vf, "192.0.2.1/24")
    subprocess.run(["ip", "address", "add", "192.0.2.9/24", "dev", other_pf.netdev], check=True)
    other_pf.up()
    assert addresses(other_pf.netdev) == ["192.0.2.9/24"]
    assert pings(netns, "192.0.2.9")
    subprocess.run(["ip", "link", "set", other_pf.netdev, "down"], check=True)
    subprocess.run(["ip", "address", "flush", "dev", other_pf.netdev], check=True)
    leave(netns, name)


def test_the_witness_reads_the_settings_of_a_vf(pf: Pf, vf: Vf) -> None:
    set_vf = ["ip", "link", "set", pf.netdev, "vf", "0"]
    subprocess.run([*set_vf, "vlan", "100", "qos", "3", "spoofchk", "off", "trust", "on"], check=True)
    told = vf.settings()
    assert told["vlan_list"] == [{"vlan": 100, "qos": 3}]
    assert (told["spoofchk"], told["trust"]) == (False, True)
    subprocess.run([*set_vf, "vlan", "0", "spoofchk", "on", "trust", "off"], check=True)
    assert "UP" in link(pf.netdev)["flags"]
