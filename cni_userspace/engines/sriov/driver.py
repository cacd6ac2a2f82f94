"""The driver of a device: the one for DPDK while a container has it, then its own again.

Owns the order: `driver_override` first, so that no other driver can take the
device meanwhile, then unbind, then bind, then a look whether it is so. Never
touches the driver of a device that another hand has rebound since.

Facts that shape it:

- vfio gives out whole IOMMU groups, and only where no kernel driver has a device
  of the group (Documentation/driver-api/vfio.rst, "Groups").
- Unbinding from vfio-pci waits for the application: see `host.aside`.
- A PF that loses its driver loses its VFs.
- A network device that comes back is a new one: see `netdev.await_new`.
"""

from __future__ import annotations

from cni_userspace.engines.sriov.conf import DRIVERS
from cni_userspace.errors import ConflictError, TryAgainError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from cni_userspace.host.deadline import Deadline
    from cni_userspace.host.sysfs import Sysfs

VFIO = "vfio-pci"
MODPROBE_SECONDS = 10
_HARMLESS = ("", VFIO, "pci-stub")  # leave a group to vfio (driver_managed_dma of linux/pci.h)
_MODPROBE = "/proc/sys/kernel/modprobe"  # what the kernel itself runs (Documentation/admin-guide/sysctl)


class Binding(Value):
    """What drove a device before, and what shall: enough for the way back."""

    pci: str
    driver: str  # before; "": none
    override: str  # driver_override before; "": none
    target: str  # the driver that the container needs

    @property
    def stays(self) -> bool:
        """Tell whether nothing has to be done."""
        return self.driver == self.target


def look(sysfs: Sysfs, pci: str, target: str, deadline: Deadline) -> Binding:
    """Return how a device is bound now.

    To be asked before `bind` alone: in a device that a killed ADD has left
    half way, only that ADD's own Binding still knows what was before. Raises
    TryAgainError while somebody else is changing the driver.
    """
    try:
        override = sysfs.driver_override(pci, deadline)
    except TimeoutError as error:
        raise _busy(sysfs, pci, error) from None
    return Binding(pci=pci, driver=sysfs.driver(pci), override=override, target=target)


def refuse(sysfs: Sysfs, binding: Binding, taken: Collection[str] = ()) -> None:
    """Raise ConflictError where rebinding would fail, or harm others; change nothing.

    `taken` are the devices that containers have. What a driver that is not yet
    loaded would say is known after `bind` has loaded it: it asks again.
    """
    if binding.stays:
        return
    pci, target = binding.pci, binding.target
    if sysfs.num_vfs(pci):
        raise ConflictError(
            "a PF that has VFs cannot be given to another driver",
            details=f"{pci} has {sysfs.num_vfs(pci)} VFs, which would vanish",
            hint=f"first: echo 0 > /sys/bus/pci/devices/{pci}/sriov_numvfs; or give a VF",
        )
    if target != VFIO:
        _refuse_translated(sysfs, pci, target)
    elif sysfs.iommu_group(pci):
        _refuse_shared(sysfs, pci, taken)
    elif sysfs.has_module("vfio") and sysfs.no_iommu_mode() != "Y":
        raise _no_iommu(sysfs, pci)


def _refuse_translated(sysfs: Sysfs, pci: str, target: str) -> None:
    kind = sysfs.group_type(pci)
    if kind.startswith("DMA"):
        raise ConflictError(
            f"a device behind an IOMMU that translates does not work with {target}",
            details=f"{pci} is in the IOMMU group {sysfs.iommu_group(pci)} of type {kind}, and {target} "
            "sets up no translation",
            hint=f"`dpdkDriver`: {VFIO}, or boot with iommu=pt",
        )


def _refuse_shared(sysfs: Sysfs, pci: str, taken: Collection[str]) -> None:
    others = [other for other in sysfs.group_members(pci) if other != pci and not sysfs.is_bridge(other)]
    used = {other: sysfs.driver(other) for other in others}
    reasons = [
        f"{other} is with {driver or 'a container'}"
        for other, driver in used.items()
        if driver not in _HARMLESS or other in taken
    ]
    if reasons:
        raise ConflictError(
            "the device's IOMMU group holds other devices that are in use",
            details=f"{pci} is in group {sysfs.iommu_group(pci)}: {', '.join(reasons)}",
            hint=f"vfio gives out whole groups: put all of its devices on {VFIO}, or use another device",
        )


def refuse_divided(sysfs: Sysfs, pci: str, taken: Collection[str]) -> None:
    """Raise ConflictError where another container has a device of the same IOMMU group.

    For a device that is bound already: a group can be opened by one process.
    """
    others = [other for other in sysfs.group_members(pci) if other != pci and other in taken]
    if others:
        raise ConflictError(
            "another container has a part of the device's IOMMU group",
            details=f"{pci} is in group {sysfs.iommu_group(pci)} with {', '.join(others)}",
            hint="vfio gives out whole groups: give both to one container, or use another device",
        )


def _no_iommu(sysfs: Sysfs, pci: str) -> ConflictError:
    switch = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    can = sysfs.no_iommu_mode()
    return ConflictError(
        f"without an IOMMU, {VFIO} takes no device",
        details=f"{pci} is in no IOMMU group, "
        + ("and vfio's no-IOMMU mode is off" if can else "and this kernel's vfio has no no-IOMMU mode"),
        hint="switch the IOMMU on (firmware; intel_iommu=on), or, without protection of the node's memory: "
        + (f"echo Y > {switch}" if can else "`dpdkDriver`: uio_pci_generic"),
    )


def note(sysfs: Sysfs, pci: str) -> str:
    """Return what a node's administrator should know of a device as it is bound, "" for nothing."""
    driver = sysfs.driver(pci)
    if driver in DRIVERS and (driver != VFIO or sysfs.has_made_up_group(pci)):
        mode = "in no-IOMMU mode" if driver == VFIO else f"by {driver}"
        return f"{pci} is handed over {mode}: whoever has it can read and write all of the node's memory"
    return ""


def device_nodes(sysfs: Sysfs, pci: str) -> tuple[str, ...]:
    """Return the files in /dev that an application needs for a device on a driver for DPDK."""
    if sysfs.driver(pci) != VFIO:
        return tuple(f"/dev/{name}" for name in sysfs.uio_devices(pci))
    group = _group_file(sysfs, pci)
    return ("/dev/vfio/vfio", group) if group else ()


def _group_file(sysfs: Sysfs, pci: str) -> str:
    group = sysfs.iommu_group(pci)
    kind = "noiommu-" if sysfs.has_made_up_group(pci) else ""
    return f"/dev/vfio/{kind}{group}" if group else ""


def bind(sysfs: Sysfs, binding: Binding, deadline: Deadline, taken: Collection[str] = ()) -> None:
    """Give the device to `binding.target`, whose module is loaded if it is not there.

    The way back of all of it, finished or not, is `restore`. A repeat is success.
    Raises ConflictError where it cannot be or the driver refuses,
    TryAgainError where the kernel does not finish within the deadline.
    """
    if binding.stays:
        return
    _load(sysfs, binding.target, deadline)
    refuse(sysfs, binding, taken)
    pci, target = binding.pci, binding.target
    try:
        sysfs.set_driver_override(pci, target, deadline)
        if sysfs.driver(pci) != target:
            sysfs.unbind(pci, deadline)
            sysfs.bind(pci, target, deadline)
    except TimeoutError as error:
        raise _busy(sysfs, pci, error) from None
    except OSError as error:
        raise _refused(pci, target, error) from None
    if sysfs.driver(pci) != target:
        raise ConflictError(
            f"{target} did not take the device",
            details=f"{pci} is with {sysfs.driver(pci) or 'no driver'}",
            hint="does something else on this node rebind devices (driverctl, udev)?",
        )


def restore(sysfs: Sysfs, binding: Binding, deadline: Deadline) -> list[str]:
    """Bring the device back to what it was before; return what would not go.

    From wherever `bind`, or an earlier `restore`, was stopped. A repeat is
    success, and so is a device that is gone or that another hand has given to
    a third driver. What failed may still happen later (`host.aside`), and
    then is what is wanted here.
    """
    if not sysfs.is_device(binding.pci):
        return []
    try:
        _restore(sysfs, binding, deadline)
    except TimeoutError as error:
        busy = _busy(sysfs, binding.pci, error)
        return [f"{busy.msg} ({'; '.join(filter(None, (busy.details, busy.hint)))})"]
    except ConflictError as error:
        return [f"{error.msg} ({error.details})"]
    except OSError as error:
        return [f"{binding.pci} does not go back to {binding.driver or 'no driver'}: {error}"]
    return []


def _restore(sysfs: Sysfs, binding: Binding, deadline: Deadline) -> None:
    pci, before, target = binding.pci, binding.driver, binding.target
    override = sysfs.driver_override(pci, deadline)
    ours = override in (target, "")
    now = sysfs.driver(pci)
    if now != before and now in (target, ""):
        meanwhile = binding.override if binding.override in (before, "") else ""
        if ours and override != meanwhile:  # only so will the driver before take it
            sysfs.set_driver_override(pci, meanwhile, deadline)
            override = meanwhile
        sysfs.unbind(pci, deadline)
        if before:
            _load(sysfs, before, deadline)
            _give_back(sysfs, pci, before, deadline)
    if ours and override != binding.override:
        sysfs.set_driver_override(pci, binding.override, deadline)


def _give_back(sysfs: Sysfs, pci: str, driver: str, deadline: Deadline) -> None:
    try:
        sysfs.bind(pci, driver, deadline)
    except OSError:
        if sysfs.driver(pci) != driver:  # else it was faster: a driver takes what fits when it is loaded
            raise


def _load(sysfs: Sysfs, driver: str, deadline: Deadline) -> None:
    """Load a driver's module if the driver is not there, with the kernel's own modprobe.

    driverctl(8) does so too: after a boot nothing else has loaded vfio-pci. It
    stays loaded. Raises ConflictError.
    """
    if sysfs.has_driver(driver):
        return
    from cni_userspace.host import processes

    with open(_MODPROBE, encoding="ascii") as file:
        program = file.read().strip()
    try:
        done = processes.run(
            (program, "--", driver),
            env=processes.given_environment(),
            deadline_seconds=deadline.within(MODPROBE_SECONDS).remaining(),
        )
        said = f"ended with {done.returncode}"
    except TimeoutError:
        said = "did not end in time"
    except OSError as error:
        said = f"cannot be run: {error.strerror}"
    if not sysfs.has_driver(driver):
        raise ConflictError(
            f"there is no driver {driver} on this node",
            details=f"{program} {driver} {said}, and /sys/bus/pci/drivers/{driver} is missing",
            hint=f"modprobe {driver}; the kernel's package of extra modules, or a DKMS package, may bring it",
        )


def _busy(sysfs: Sysfs, pci: str, error: TimeoutError) -> TryAgainError:
    """Say who to ask; the link to the driver is gone before the driver lets go (drivers/base/dd.c)."""
    group = _group_file(sysfs, pci)
    return TryAgainError(
        "the device's driver does not let go of it",
        details=f"{pci}: {error}",
        hint=f"`fuser -v {group}` names the application that has it open" if group else "",
    )


def _refused(pci: str, driver: str, error: OSError) -> ConflictError:
    return ConflictError(
        f"the device cannot be given to {driver}",
        details=f"{pci}: {error}",
        hint="dmesg may tell more; sysfs must be writable",
    )
