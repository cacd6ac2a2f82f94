"""Which device a netconf means: from its words to PCI addresses that are there.

Owns the look at sysfs before anything is decided, and what is said of a device
that is not there or is of another kind. Changes nothing, takes no lock: whether
a device is free is known only to whoever holds its lock.
"""

from __future__ import annotations

from cni_userspace.cni import bounds
from cni_userspace.engines.sriov import allocation
from cni_userspace.engines.sriov.conf import DRIVERS
from cni_userspace.errors import BoundsError, ConflictError, InvalidConfigError, NotAvailableError
from cni_userspace.host import sysfs as names
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.engines.sriov.conf import SriovConf
    from cni_userspace.host.sysfs import Sysfs

_FIRST_VFS = "echo 4 > /sys/bus/pci/devices/{pf}/sriov_numvfs"


class Target(Value):
    """The devices that would do for a netconf."""

    pf: str  # PCI address
    whole: bool  # the PF itself
    candidates: tuple[str, ...]  # PCI addresses, never none
    chosen: bool  # the netconf names the device


def resolve(conf: NetConf, node: NodeFile, sysfs: Sysfs) -> Target:
    """Find the devices; raise InvalidConfigError, BoundsError or ConflictError where there is none."""
    options: SriovConf = conf.options  # type: ignore[assignment]  # this engine's own
    place = f"{node.state_dir}/{allocation.DEVICES}"
    if options.device:
        target = _named(options, sysfs, place)
    elif options.master:
        target = _of_master(options, sysfs, place)
    else:
        raise InvalidConfigError(
            "the network configuration names no device",
            mistakes=["$.deviceID: missing; Multus puts it in for a resource; else name the PF in `master`"],
        )
    bounds.refuse_pf((*sysfs.netdevs(target.pf), target.pf), node)
    return target


def _named(options: SriovConf, sysfs: Sysfs, place: str) -> Target:
    """Return the device that `deviceID` names."""
    pci = options.device
    if not sysfs.is_device(pci):
        raise _wrong("deviceID", pci, "there is no such PCI device on this node")
    pf = sysfs.physfn(pci)
    if options.master and _master(options, sysfs, place) != (pf or pci):
        raise _wrong("deviceID", pci, f"is no VF of `master` {options.master}")
    if not pf and not (options.pf_only or options.dpdk or sysfs.driver(pci) in DRIVERS):
        raise _wrong("deviceID", pci, "is no VF", "`pfOnly` hands over a whole PF")
    if pf and options.pf_only:
        raise _wrong("pfOnly", pci, f"is a VF of {pf}, and no PF")
    return Target(pf=pf or pci, whole=not pf, candidates=(pci,), chosen=True)


def _of_master(options: SriovConf, sysfs: Sysfs, place: str) -> Target:
    """Return the PF, the VF of that index, or all its VFs."""
    pf = _master(options, sysfs, place)
    if options.pf_only:
        return Target(pf=pf, whole=True, candidates=(pf,), chosen=True)
    vfs = sysfs.vfs(pf)
    if not vfs:
        if sysfs.total_vfs(pf) <= 0:
            raise _wrong("master", options.master, "has no SR-IOV", "`pfOnly` hands over the whole device")
        raise _wrong("master", options.master, "has no VFs yet", _FIRST_VFS.format(pf=pf))
    if options.vf is None:
        return Target(pf=pf, whole=False, candidates=vfs, chosen=False)
    if options.vf >= len(vfs):
        raise _wrong("vf", str(options.vf), f"{options.master} has the VFs 0 to {len(vfs) - 1}")
    return Target(pf=pf, whole=False, candidates=(vfs[options.vf],), chosen=True)


def _master(options: SriovConf, sysfs: Sysfs, place: str) -> str:
    """Return the PCI address of `master`."""
    master = options.master
    if names.is_address(master):
        if not sysfs.is_device(master):
            raise _wrong("master", master, "there is no such PCI device on this node")
        pf = sysfs.physfn(master)
        if pf:
            raise _wrong("master", master, f"is a VF of {pf}, and no PF", "name a VF in `deviceID`")
        return master
    found = sysfs.pci_of(master)
    if found and sysfs.physfn(found):
        raise _wrong("master", master, f"is a VF ({found}), and no PF", "name a VF in `deviceID`")
    if found:
        return found
    for taken in allocation.every(place):
        if taken.netdev.get("name") == master and not taken.pf:
            if taken.lives:
                raise ConflictError(
                    f"the PF {master} is given away", details=f"{taken.pci} belongs to {taken.holder}"
                )
            return taken.pci
    raise _wrong("master", master, "is no network device of a PCI card on this node")


def _wrong(key: str, value: str, reason: str, hint: str = "") -> InvalidConfigError:
    return InvalidConfigError(
        "the device that the network configuration asks for is not to be had",
        hint=hint,
        mistakes=[f"{key}: {value}: {reason}"],
    )


def status(conf: NetConf, node: NodeFile, sysfs: Sysfs) -> None:
    """Raise NotAvailableError (code 50) where an ADD with this config cannot work.

    A config whose device the runtime puts in at ADD cannot be judged before.
    """
    options: SriovConf = conf.options  # type: ignore[assignment]  # this engine's own
    if not options.device and not options.master:
        return
    try:
        target = resolve(conf, node, sysfs)
    except (InvalidConfigError, ConflictError, BoundsError) as error:
        raise NotAvailableError(error.msg, details=error.details, hint=error.hint) from None
    place = f"{node.state_dir}/{allocation.DEVICES}"
    taken = [found for pci in target.candidates if (found := allocation.read(place, pci)) and found.lives]
    if len(taken) == len(target.candidates):
        what = "the device is" if target.chosen else f"all {len(taken)} VFs of {target.pf} are"
        raise NotAvailableError(
            f"{what} given away",
            details="; ".join(f"{found.pci} belongs to {found.holder}" for found in taken),
        )
