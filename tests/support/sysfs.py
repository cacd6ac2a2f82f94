"""A made-up tree of sysfs: for parsing and refusals, in any user's temporary directory.

Owns what the kernel's files and links look like (seen on Linux 6.1 with igb).
Serves no effect: what a write does is seen in the guest (tests/sriov) alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cni_userspace.host.sysfs import Sysfs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGB, IGBVF = "0x10c9", "0x10ca"
INTEL = "0x8086"
ETHERNET, BRIDGE = "0x020000", "0x060400"


class MadeUpSysfs:
    """A tree that grows as a test tells it; `seam` reads it."""

    def __init__(self, root: str) -> None:
        """Start an empty tree in a directory."""
        self.root = root
        self.seam = Sysfs(root)
        for below in ("bus/pci/devices", "bus/pci/drivers", "class/net", "kernel/iommu_groups", "module"):
            os.makedirs(f"{root}/{below}", exist_ok=True)

    def device(  # noqa: PLR0913  what a device has
        self,
        pci: str,
        *,
        driver: str = "",
        group: str = "",
        netdevs: Sequence[str] = (),
        virtio: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> str:
        """Add a PCI device, an Ethernet controller unless `attributes` say otherwise; return its directory.

        With `virtio` ("virtio0") its netdevs hang below that, as virtio-net's do.
        """
        place = f"{self.root}/devices/pci0000:00/{pci}"
        self._link(f"bus/pci/devices/{pci}", place)
        usual = {"class": ETHERNET, "vendor": INTEL, "device": IGB, "numa_node": "-1"}
        for name, value in {**usual, "driver_override": "(null)", **(attributes or {})}.items():
            self._write(f"{place}/{name}", value)
        if driver:
            self.driver(driver)
            self._link(f"{place}/driver", f"{self.root}/bus/pci/drivers/{driver}")
        if group:
            self._group(place, pci, group)
        for name in netdevs:
            self._netdev(name, f"{place}/{virtio}" if virtio else place)
        return place

    def pf(  # noqa: PLR0913  what a PF has
        self,
        pci: str,
        vfs: Sequence[str] = (),
        *,
        total: int = 7,
        driver: str = "igb",
        group: str = "",
        netdevs: Sequence[str] = (),
        vf_driver: str = "igbvf",
    ) -> str:
        """Add a PF with these VFs, which have the indices 0, 1, ... and a group each; return its directory.

        A VF's netdev, where it has one, is `device`'s to make: add that VF first.
        """
        counts = {"sriov_totalvfs": str(total), "sriov_numvfs": str(len(vfs))}
        place = self.device(pci, driver=driver, group=group, netdevs=netdevs, attributes=counts)
        for index, vf in enumerate(vfs):
            if not self.seam.is_device(vf):
                self.device(vf, driver=vf_driver, group=group and f"{group}{index}")
            function = os.path.realpath(f"{self.root}/bus/pci/devices/{vf}")
            self._write(f"{function}/device", IGBVF)
            self._link(f"{function}/physfn", place)
            self._link(f"{place}/virtfn{index}", function)
        return place

    def bridge(self, pci: str, *, group: str = "") -> str:
        """Add a PCI bridge with its driver; return its directory."""
        return self.device(pci, driver="pcieport", group=group, attributes={"class": BRIDGE})

    def driver(self, name: str) -> None:
        """Load a driver."""
        os.makedirs(f"{self.root}/bus/pci/drivers/{name}", exist_ok=True)

    def virtual_netdev(self, name: str) -> None:
        """Add a network device without hardware: veth, bond."""
        place = f"{self.root}/devices/virtual/net/{name}"
        os.makedirs(place)
        self._link(f"class/net/{name}", place)

    def name_group(self, group: str, name: str) -> None:
        """Name an IOMMU group; "vfio-noiommu" makes it vfio's own."""
        self._write(f"{self.root}/kernel/iommu_groups/{group}/name", name)

    def type_group(self, group: str, kind: str) -> None:
        """Say how the IOMMU treats a group: identity, DMA, DMA-FQ."""
        self._write(f"{self.root}/kernel/iommu_groups/{group}/type", kind)

    def vfio(self, no_iommu: str = "") -> None:
        """Load vfio and vfio-pci; `no_iommu` is "Y", "N", or "" for a kernel without that mode."""
        self.driver("vfio-pci")
        os.makedirs(f"{self.root}/module/vfio/parameters", exist_ok=True)
        if no_iommu:
            self._write(f"{self.root}/module/vfio/parameters/enable_unsafe_noiommu_mode", no_iommu)

    def _group(self, place: str, pci: str, group: str) -> None:
        there = f"{self.root}/kernel/iommu_groups/{group}"
        self._link(f"{place}/iommu_group", there)
        self._link(f"kernel/iommu_groups/{group}/devices/{pci}", place)

    def _netdev(self, name: str, below: str) -> None:
        place = f"{below}/net/{name}"
        os.makedirs(place)
        self._link(f"{place}/device", below)
        self._link(f"class/net/{name}", place)

    def _link(self, path: str, target: str) -> None:
        path = os.path.join(self.root, path)
        for directory in (os.path.dirname(path), target):
            os.makedirs(directory, exist_ok=True)
        os.symlink(os.path.relpath(target, os.path.dirname(path)), path)

    def _write(self, path: str, text: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
