"""The way back of a device: from its allocation to as it was before.

Owns the order (the VF's settings first, for drivers refuse changes of a network
device that is no longer trusted; then driver, then network device; the
allocation last), that each step is tried although others fail, and that nobody
gives back what another attachment has by now. Works the same after DEL, after
a failed or killed ADD, in a sweep, and before the next ADD takes the device.
"""

from __future__ import annotations

from cni_userspace.attach import naming
from cni_userspace.attach.engine import Marked
from cni_userspace.attach.undo import describe
from cni_userspace.engines.sriov import allocation as allocations
from cni_userspace.errors import PluginError
from cni_userspace.host.netlink import Netlink
from cni_userspace.host.sysfs import Sysfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.engines.sriov.allocation import Allocation
    from cni_userspace.host.deadline import Deadline

STEP_SECONDS = 20  # for one device: the kernel alone may take ten to bring it home


def detach(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Give back every device that the attachment has; return what would not go. A repeat is success."""
    failures = []
    for found in allocations.every(plan["place"]):
        if found.key == key:
            failures += give_back(plan["place"], found.pci, key, deadline.within(STEP_SECONDS))
    allocations.discard_unfinished(plan["place"], deadline)
    return failures


def give_back(place: str, pci: str, key: Key, deadline: Deadline) -> list[str]:
    """Restore one device and free it, unless it is another's by now; return what would not go."""
    try:
        with allocations.hold(place, pci, deadline):
            current = allocations.read(place, pci)
            if current is None or current.key != key:
                return []
            return free(place, current, deadline)
    except (PluginError, OSError) as error:
        return [f"device {pci}: {describe(error)}"]


def free(place: str, current: Allocation, deadline: Deadline) -> list[str]:
    """Restore a device whose lock is held, and forget its allocation; return what would not go."""
    failures = [f"device {current.pci}: {failure}" for failure in _restore(current, deadline)]
    if not failures:
        allocations.delete(place, current.pci)
    return failures


def _restore(current: Allocation, deadline: Deadline) -> list[str]:
    sysfs = Sysfs()
    if current.outlived or not sysfs.is_device(current.pci):
        return []  # after a boot, unplugged, its PF without VFs: nothing of before is left to restore
    failures = []
    with Netlink(deadline) as home:
        if current.settings:
            failures += _attempt(lambda: _reset(home, current, sysfs))
        if current.binding:
            failures += _attempt(lambda: _rebind(home, current, sysfs, deadline))
        if current.netdev:
            failures += _attempt(lambda: _bring_home(home, current, sysfs, deadline))
    return failures


def _reset(home: Netlink, current: Allocation, sysfs: Sysfs) -> list[str]:
    from cni_userspace.engines.sriov import netdev, vf

    pf = netdev.at_home(home, current.pf, sysfs)
    if pf is None:
        return [f"its PF {current.pf} has no network device here"]
    seat = vf.Seat(home=home, pf=pf, index=current.vf)
    own = current.netdev.get("mac") or naming.stable_mac(current.pci, "")  # on vfio-pci it told none
    return vf.restore(seat, current.settings, own)


def _rebind(home: Netlink, current: Allocation, sysfs: Sysfs, deadline: Deadline) -> list[str]:
    from cni_userspace.engines.sriov import driver, netdev

    binding = driver.Binding(**current.binding)
    failures = driver.restore(sysfs, binding, deadline)
    if current.netdev and not failures:
        netdev.await_new(home, current.pci, sysfs, deadline)  # udev names a new one and gives it a MAC
    return failures


def _bring_home(home: Netlink, current: Allocation, sysfs: Sysfs, deadline: Deadline) -> list[str]:
    from cni_userspace.engines.sriov import netdev

    return netdev.bring_home(current, home, sysfs, deadline)


def _attempt(step: Any) -> list[str]:  # noqa: ANN401  any call without arguments
    try:
        return step()  # type: ignore[no-any-return]  # a list of failures
    except (PluginError, OSError) as error:
        return [describe(error)]


def marked(place: str) -> list[Marked]:
    """Return the attachments that have a device."""
    return [
        Marked(
            key=found.key,
            netns=found.netns,
            netns_id=found.netns_id,
            pod=found.pod,
            plan={
                "place": place,
                "pci": found.pci,
                "pf": found.pf or found.pci,
                "whole": not found.pf,
                "vf": found.vf,
            },
        )
        for found in allocations.every(place)
    ]
