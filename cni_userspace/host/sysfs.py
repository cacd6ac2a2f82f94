"""Sysfs: what the kernel knows of PCI devices and their drivers, and the three writes that rebind one.

Owns every read and write of sysfs. A test points it at a made-up tree; the
product always uses /sys, and no environment variable changes that. Names become
paths only after a check of their form, because they come from a netconf.

Facts that shape it:

- A mount of sysfs shows the network devices of the namespace that it was
  mounted in, not of the reader's: setns(2) changes nothing here, and a netdev
  that was moved into a pod is in none of our directories.
- Some attributes take the device's lock, which its driver holds while it is
  bound or unbound. These are `driver_override` and `sriov_numvfs`
  (drivers/pci/pci-sysfs.c, iov.c), and all writes: they have a deadline, and
  `aside` says what one that has passed means. VFs are counted by their links.
- A device may go at any moment: what is gone reads as what is not there.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENODEV, ENOENT, ENOTDIR

from cni_userspace.errors import InvalidConfigError
from cni_userspace.host import aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.host.deadline import Deadline

_HEX = frozenset("0123456789abcdef")
_DOMAIN = range(4, 9)  # digits: %04x, and more behind Intel's VMD
_NAME_BYTES = 15  # IFNAMSIZ of linux/if.h less the NUL
_GONE = (ENOENT, ENODEV, ENOTDIR, EINVAL)  # EINVAL: readlink(2) of what is no link
_NO_OVERRIDE = "(null)"  # how the kernel prints it
_ETHERNET = "0x0200"  # class codes: linux/pci_ids.h
_BRIDGE = "0x0604"
_NO_IOMMU_GROUP = "vfio-noiommu"  # the name of groups that vfio makes up (drivers/vfio)


def is_address(text: str) -> bool:
    """Tell whether a text is a PCI address as the kernel writes it: 0000:01:10.7."""
    domain, _, rest = text.partition(":")
    bus, _, rest = rest.partition(":")
    slot, _, function = rest.partition(".")
    widths = len(domain) in _DOMAIN and len(bus) == len(slot) == 2 and len(function) == 1  # noqa: PLR2004
    return widths and _HEX.issuperset(domain + bus + slot) and slot < "20" and "0" <= function <= "7"


def address(text: str) -> str:
    """Return a person's PCI address in the kernel's form, "" if it is none: 1A:00.1 is 0000:1a:00.1."""
    folded = text.lower()
    if folded.count(":") == 1:
        folded = f"0000:{folded}"
    return folded if is_address(folded) else ""


def is_interface(text: str) -> bool:
    """Tell whether a text can name a network device (dev_valid_name of net/core/dev.c)."""
    plain = text not in ("", ".", "..") and not any(c in "/:" or c.isspace() for c in text)
    return plain and "\0" not in text and len(os.fsencode(text)) <= _NAME_BYTES


class Sysfs:
    """One mount of sysfs. PCI addresses are in the kernel's form, lower case, with the domain.

    Everything raises InvalidConfigError for what is no PCI address or no name,
    and OSError where reading fails for another reason than that nothing is there.
    """

    __slots__ = ("root",)

    def __init__(self, root: str = "/sys") -> None:
        """Name the mount point."""
        self.root = root

    def is_device(self, pci: str) -> bool:
        """Tell whether the PCI device is there."""
        return os.path.isdir(self._pci(pci))

    def is_ethernet(self, pci: str) -> bool:
        """Tell whether its class is that of an Ethernet controller (0x0200xx)."""
        return self.pci_class(pci).startswith(_ETHERNET)

    def is_bridge(self, pci: str) -> bool:
        """Tell whether it is a PCI bridge (0x0604xx): no device that somebody could use."""
        return self.pci_class(pci).startswith(_BRIDGE)

    def pci_class(self, pci: str) -> str:
        """Return its class code, as 0x020000; "" if it is gone."""
        return _read(f"{self._pci(pci)}/class")

    def vendor(self, pci: str) -> str:
        """Return its vendor id, as 0x8086."""
        return _read(f"{self._pci(pci)}/vendor")

    def device(self, pci: str) -> str:
        """Return its device id, as 0x10c9."""
        return _read(f"{self._pci(pci)}/device")

    def numa_node(self, pci: str) -> int:
        """Return its NUMA node, -1 for none."""
        return _number(_read(f"{self._pci(pci)}/numa_node"))

    def netdevs(self, pci: str) -> tuple[str, ...]:
        """Return its network devices that are in this mount's namespace, sorted.

        A device in a pod's namespace is not among them. Those of a virtio
        device hang one step lower, under `virtioN`.
        """
        below = self._pci(pci)
        places = [below, *(f"{below}/{n}" for n in _names(below) if n.startswith("virtio"))]
        return tuple(sorted(name for place in places for name in _names(f"{place}/net")))

    def pci_of(self, netdev: str) -> str:
        """Return the PCI device of a network device, "" if it has none (veth, bond) or is not there."""
        if not is_interface(netdev):
            raise InvalidConfigError("a name cannot be that of a network device", details=repr(netdev))
        below = os.path.realpath(f"{self.root}/class/net/{netdev}/device")
        found = os.path.basename(below)
        if found.startswith("virtio"):
            found = os.path.basename(os.path.dirname(below))
        return found if is_address(found) else ""

    def uppers(self, netdev: str) -> tuple[str, ...]:
        """Return the network devices above one that is here: bond, bridge, VLANs; sorted."""
        if not is_interface(netdev):
            raise InvalidConfigError("a name cannot be that of a network device", details=repr(netdev))
        names = _names(f"{self.root}/class/net/{netdev}")
        return tuple(name.removeprefix("upper_") for name in names if name.startswith("upper_"))

    def physfn(self, pci: str) -> str:
        """Return the PF of a VF, "" for a device that is no VF."""
        return _link(f"{self._pci(pci)}/physfn")

    def vfs(self, pf: str) -> tuple[str, ...]:
        """Return the VFs of a PF in the order of their indices, which have no gap."""
        return tuple(vf for _, vf in self._virtfns(pf))

    def num_vfs(self, pf: str) -> int:
        """Return how many VFs a PF has now, counted by their links: `sriov_numvfs` takes a lock."""
        return len(self._virtfns(pf))

    def vf_index(self, pf: str, vf: str) -> int | None:
        """Return the index of a VF as `ip link set PF vf N` counts, None if it is not the PF's."""
        self._pci(vf)
        return next((index for index, found in self._virtfns(pf) if found == vf), None)

    def total_vfs(self, pf: str) -> int:
        """Return how many VFs a PF could have; -1: it has no SR-IOV."""
        return _number(_read(f"{self._pci(pf)}/sriov_totalvfs"))

    def _virtfns(self, pf: str) -> list[tuple[int, str]]:
        below = self._pci(pf)
        indices = [name[6:] for name in _names(below) if name.startswith("virtfn")]
        found = [(int(i), _link(f"{below}/virtfn{i}")) for i in indices if i.isdecimal()]
        return sorted((index, vf) for index, vf in found if vf)

    def rdma_devices(self, pci: str) -> tuple[str, ...]:
        """Return its RDMA devices, sorted: mlx5_0."""
        return _names(f"{self._pci(pci)}/infiniband")

    def uio_devices(self, pci: str) -> tuple[str, ...]:
        """Return its UIO devices, sorted; the files are of the same name in /dev."""
        return _names(f"{self._pci(pci)}/uio")

    def iommu_group(self, pci: str) -> str:
        """Return the number of its IOMMU group, "" without an IOMMU.

        Without one, vfio makes up a group for a device that is bound to it:
        see `has_made_up_group`.
        """
        return _link(f"{self._pci(pci)}/iommu_group")

    def has_made_up_group(self, pci: str) -> bool:
        """Tell whether its group is vfio's own: no IOMMU guards the memory from the device."""
        return _read(f"{self._pci(pci)}/iommu_group/name") == _NO_IOMMU_GROUP

    def group_members(self, pci: str) -> tuple[str, ...]:
        """Return all PCI devices of its IOMMU group, itself among them, sorted."""
        return tuple(name for name in _names(f"{self._pci(pci)}/iommu_group/devices") if is_address(name))

    def group_type(self, pci: str) -> str:
        """Return how the IOMMU treats its group: "identity", "DMA", "DMA-FQ"; "" without one.

        Documentation/ABI/testing/sysfs-kernel-iommu_groups.
        """
        return _read(f"{self._pci(pci)}/iommu_group/type")

    def no_iommu_mode(self) -> str:
        """Return whether vfio takes devices that no IOMMU guards: "Y" or "N".

        "": vfio is not loaded, or built without (CONFIG_VFIO_NOIOMMU; Debian's is).
        """
        return _read(f"{self.root}/module/vfio/parameters/enable_unsafe_noiommu_mode")

    def has_module(self, name: str) -> bool:
        """Tell whether a module is loaded, or built in and has parameters."""
        return os.path.isdir(f"{self.root}/module/{_driver_name(name)}")

    def has_driver(self, name: str) -> bool:
        """Tell whether a PCI driver of that name is loaded."""
        return os.path.isdir(self._driver(name))

    def driver(self, pci: str) -> str:
        """Return the driver that the device is bound to, "" for none."""
        return _link(f"{self._pci(pci)}/driver")

    def driver_override(self, pci: str, deadline: Deadline) -> str:
        """Return the one driver that may take the device, "" for whichever fits.

        Takes the device's lock: raises TimeoutError while its driver is being changed.
        """
        try:
            found = aside.read(f"{self._pci(pci)}/driver_override", deadline).decode().strip()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return ""
        return "" if found == _NO_OVERRIDE else found

    def set_driver_override(self, pci: str, name: str, deadline: Deadline) -> None:
        """Let only this driver take the device from now on; "": whichever fits.

        Changes nothing about the driver that has it. Raises OSError, TimeoutError.
        """
        if name:
            _driver_name(name)
        aside.write(f"{self._pci(pci)}/driver_override", f"{name}\n".encode(), deadline)

    def unbind(self, pci: str, deadline: Deadline) -> None:
        """Take the device from its driver; one that has none is success.

        vfio-pci lets go when the application has closed the device. Raises
        OSError, TimeoutError: it may then still happen.
        """
        try:
            aside.write(f"{self._pci(pci)}/driver/unbind", pci.encode(), deadline)
        except OSError as error:
            if error.errno not in _GONE or self.driver(pci):
                raise

    def bind(self, pci: str, name: str, deadline: Deadline) -> None:
        """Give a device without driver to a loaded one.

        The driver must be for such a device, or `driver_override` must name it.
        By the driver's own file, because `drivers_probe` says success for a
        probe that failed. Raises OSError with the errno of the probe (ENODEV:
        the driver is not for it, or is not loaded; EBUSY: another has it), TimeoutError.
        """
        self._pci(pci)
        try:
            aside.write(f"{self._driver(name)}/bind", pci.encode(), deadline)
        except OSError as error:
            if error.errno == ENOENT:
                raise OSError(ENODEV, os.strerror(ENODEV), error.filename) from None
            raise

    def _pci(self, pci: str) -> str:
        if not is_address(pci):
            raise InvalidConfigError("a text is no PCI address", details=repr(pci))
        return f"{self.root}/bus/pci/devices/{pci}"

    def _driver(self, name: str) -> str:
        return f"{self.root}/bus/pci/drivers/{_driver_name(name)}"


def _driver_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InvalidConfigError("a text cannot be the name of a driver", details=repr(name))
    return name


def _read(path: str) -> str:
    """Return an attribute without its line's end, "" where there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return (file.read(4096) or b"").decode(errors="replace").strip()
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return ""


def _link(path: str) -> str:
    """Return the last part of where a link points, "" where there is none."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return ""


def _names(path: str) -> tuple[str, ...]:
    """Return the sorted names in a directory, none where there is no such directory."""
    try:
        return tuple(sorted(os.listdir(path)))
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return ()


def _number(text: str) -> int:
    return int(text) if text.removeprefix("-").isdecimal() else -1
