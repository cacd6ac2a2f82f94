"""Making an attachment: a device is taken, set up, moved, and given its addresses.

Owns the order, and that a device is looked at, changed and handed over under
its lock. One way back serves every failure: it is registered before the first
change, and works from the allocation, in which the device stands as it was.
"""

from __future__ import annotations

import os

from cni_userspace.attach import naming, publish
from cni_userspace.attach.engine import Attached
from cni_userspace.cni.result import Interface
from cni_userspace.engines.sriov import allocation as allocations
from cni_userspace.engines.sriov import kernel, netdev, refuse, remove, vf
from cni_userspace.engines.sriov.allocation import Allocation
from cni_userspace.engines.sriov.conf import DRIVERS
from cni_userspace.errors import ConflictError, InputOutputError, TryAgainError, UnsupportedFieldError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.netlink import Netlink
from cni_userspace.host.sysfs import Sysfs
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cni_userspace.attach.undo import Undo
    from cni_userspace.cni.result import Result
    from cni_userspace.engines.sriov.driver import Binding
    from cni_userspace.engines.sriov.planning import Plan
    from cni_userspace.host.netlink import Link

VHOST_NET = "/dev/vhost-net"
BACK_SECONDS = 8  # after a call's 45 and beside IPAM's 5: CRI-O kills a plugin after 60; the rest is owed
MAC_SECONDS = 5


class _Work(Value):
    """What one ADD has at hand."""

    plan: Plan
    undo: Undo
    deadline: Deadline
    assign: Callable[[], Result]
    sysfs: Sysfs


class _Device(Value):
    """A device whose lock is held, as it was found."""

    pci: str
    driver: str
    link: Link | None  # its network device
    seat: vf.Seat | None  # None for a PF, and for a VF whose PF has no network device here
    index: int  # of the VF; -1: it is the PF

    @property
    def for_dpdk(self) -> bool:
        """Tell whether a process can have it as it is."""
        return self.driver in DRIVERS


def attach(plan: Plan, undo: Undo, deadline: Deadline, assign: Callable[[], Result]) -> Attached:
    """Make what was planned with the first device that is free. Raises PluginError."""
    work = _Work(plan=plan, undo=undo, deadline=deadline, assign=assign, sysfs=Sysfs())
    reasons: list[str] = []
    for pci in _at_once(plan):
        try:
            with allocations.hold(plan.place, pci, deadline.within(0)):
                attached = _take(work, pci, reasons)
        except TryAgainError:
            continue
        if attached:
            return attached
    for pci in plan.candidates:
        with allocations.hold(plan.place, pci, deadline):
            attached = _take(work, pci, reasons)
        if attached:
            return attached
    raise ConflictError(
        "the device is not free" if plan.chosen else f"no VF of {plan.pf} is free",
        details="; ".join(dict.fromkeys(reasons)),
    )


def _at_once(plan: Plan) -> list[str]:
    """Return which devices to try without waiting for anybody, where any will do.

    First those that nobody has, then those whose container is gone: these
    come home first, which can take its time.
    """
    if plan.chosen:
        return []
    given = {pci: allocations.read(plan.place, pci) for pci in plan.candidates}
    free = [pci for pci, taken in given.items() if taken is None]
    return free + [pci for pci, taken in given.items() if taken is not None and not taken.lives]


def _take(work: _Work, pci: str, reasons: list[str]) -> Attached | None:
    """Attach one device, whose lock is held; None, and a reason, where it is not free."""
    reason = _held(work.plan, pci, work.deadline)
    if reason:
        reasons.append(reason)
        return None
    with Netlink(work.deadline) as home:
        device = _look(work, pci, home)
        reason = _unfit(work, device, home)
        if reason:
            reasons.append(f"{pci}: {reason}")
            return None
        _refuse(work, device)
        _free_mac(work, device)
        return _hand_over(work, device, home)


def _held(plan: Plan, pci: str, deadline: Deadline) -> str:
    """Return who has a device, "" if nobody; one whose container is gone is brought home first."""
    taken = allocations.read(plan.place, pci)
    if taken is None:
        return ""
    if taken.lives and taken.key != plan.key:
        return f"{pci} belongs to {taken.holder}"
    return "; ".join(remove.free(plan.place, taken, deadline))


def _look(work: _Work, pci: str, home: Netlink) -> _Device:
    plan, sysfs = work.plan, work.sysfs
    index = None if plan.whole else sysfs.vf_index(plan.pf, pci)
    pf = None if index is None else netdev.at_home(home, plan.pf, sysfs)
    return _Device(
        pci=pci,
        driver=sysfs.driver(pci),
        link=netdev.at_home(home, pci, sysfs),
        seat=None if pf is None or index is None else vf.Seat(home=home, pf=pf, index=index),
        index=-1 if index is None else index,
    )


def _unfit(work: _Work, device: _Device, home: Netlink) -> str:
    """Return why a device cannot be taken although nobody was given it, "" if it can."""
    if device.link is not None:
        return refuse.in_use(home, device.link, work.sysfs)
    if device.for_dpdk:
        return "" if work.plan.chosen or work.plan.dpdk else f"it is bound to {device.driver}"
    if not device.driver:
        return "" if work.plan.dpdk else "it has no driver"
    return f"it has no network device here (its driver is {device.driver}); another namespace may have it"


def _refuse(work: _Work, device: _Device) -> None:
    """Refuse what cannot work, before anything is touched. Raises PluginError."""
    plan = work.plan
    if plan.whole:
        refuse.vfs_of_a_whole_pf(plan, work.sysfs)
    if device.link is not None and not plan.dpdk:
        refuse.mtu_out_of_range(plan, device.link)
    if plan.dhcp and (plan.dpdk or device.for_dpdk):
        raise UnsupportedFieldError(
            "IPAM dhcp needs a network interface in the container, and a device for DPDK has none",
            details=f"{device.pci}: its driver is {device.driver or '-'}",
        )
    if not plan.whole and plan.settings and device.seat is None:
        raise ConflictError(
            "the PF that would set up the VF is not here",
            details=f"{plan.pf} has no network device in the node's namespace",
            hint="a PF on vfio-pci, or in a container, sets nothing on its VFs",
        )


def _free_mac(work: _Work, device: _Device) -> None:
    """Bring another VF of the PF home that has the MAC, where its container is gone.

    A container that comes anew with its MAC can get another VF before the old
    one's DEL, and a card gives one MAC's frames to one VF.
    """
    plan = work.plan
    if not plan.mac or device.seat is None:
        return
    having = {found.index for found in device.seat.home.vfs(device.seat.pf.index) if found.mac == plan.mac}
    for other in allocations.every(plan.place):
        if other.pf == plan.pf and other.pci != device.pci and other.vf in having and not other.lives:
            remove.give_back(plan.place, other.pci, other.key, work.deadline.within(MAC_SECONDS))


def _hand_over(work: _Work, device: _Device, home: Netlink) -> Attached:
    plan = work.plan
    asked = dict(plan.settings)
    for_kernel = not (plan.dpdk or device.for_dpdk)
    if not for_kernel and device.seat is not None and "mac" not in asked:
        asked["mac"] = _own_mac(plan, device, device.seat)
    binding = _binding(work, device)
    work.undo.add(f"device {device.pci}", lambda: _give_back(plan, device.pci))
    allocations.write(plan.place, _allocation(plan, device, home, binding))
    if device.seat is not None:
        vf.apply(device.seat, asked, work.deadline)
    if for_kernel and device.link is not None:
        learnt = kernel.move(plan, device.link, home, work.assign, work.deadline)
    else:
        learnt = _to_process(work, device, binding, asked.get("mac", ""))
    found = {
        "pci": device.pci,
        "vf": device.index,
        "kernel": for_kernel,
        "bound": work.sysfs.driver(device.pci),
    }
    warnings = learnt.pop("warnings", ())
    return _attached(work, {**plan.as_dict(), **found, **learnt}, warnings)


def _own_mac(plan: Plan, device: _Device, seat: vf.Seat) -> str:
    """Return the MAC that an application shall find on a VF where none is asked for.

    The one that the PF has set, else that of its network device, else one of
    the attachment's own: without, each start of the application makes up another.
    """
    found: str = seat.read()["mac"]
    if found != vf.NO_MAC:
        return found
    return device.link.mac if device.link else naming.stable_mac(plan.key.container_id, plan.key.ifname)


def _binding(work: _Work, device: _Device) -> Binding | None:
    """Return how the device is bound where that has to change. Raises where it must not."""
    if not work.plan.dpdk and not device.for_dpdk:
        return None
    from cni_userspace.engines.sriov import driver

    if device.for_dpdk:
        driver.refuse_divided(work.sysfs, device.pci, _others(work.plan))
        return None
    binding = driver.look(work.sysfs, device.pci, work.plan.driver, work.deadline)
    driver.refuse(work.sysfs, binding, _others(work.plan))
    return binding


def _others(plan: Plan) -> list[str]:
    """Return the devices of other containers: one IOMMU group cannot serve two."""
    mine = plan.key.container_id
    return [a.pci for a in allocations.every(plan.place) if a.lives and a.key.container_id != mine]


def _allocation(plan: Plan, device: _Device, home: Netlink, binding: Binding | None) -> Allocation:
    return Allocation(
        pci=device.pci,
        key=plan.key,
        netns=plan.netns,
        netns_id=plan.netns_id,
        pod=plan.pod,
        pf="" if plan.whole else plan.pf,
        vf=device.index,
        settings=device.seat.read() if device.seat else {},
        netdev=netdev.snapshot(home, device.link) if device.link else {},
        binding=binding.as_dict() if binding else {},
    )


def _give_back(plan: Plan, pci: str) -> None:
    failures = remove.give_back(plan.place, pci, plan.key, Deadline(BACK_SECONDS))
    if failures:
        raise InputOutputError("the device is not as it was", details="; ".join(failures))


def _to_process(work: _Work, device: _Device, binding: Binding | None, mac: str) -> dict[str, Any]:
    """Hand a device to a process: bound to a driver for DPDK, if it is not yet."""
    if binding:
        from cni_userspace.engines.sriov import driver

        driver.bind(work.sysfs, binding, work.deadline, _others(work.plan))
    work.assign()
    if work.plan.whole and device.link:
        mac = device.link.mac
    mtu = work.plan.mtu or (device.link.mtu if device.link else 0)
    return {"mac": mac, "mtu": mtu, "addresses": [], "routes": []}


def _attached(work: _Work, made: dict[str, Any], warnings: tuple[str, ...]) -> Attached:
    plan, pci = work.plan, made["pci"]
    rdma = work.sysfs.rdma_devices(pci)
    more = {
        "pf-pci-address": "" if plan.whole else plan.pf,
        "rdma-device": rdma[0] if rdma else "",
        "vhost-net": VHOST_NET if not made["kernel"] and os.path.exists(VHOST_NET) else "",
    }
    return Attached(
        plan=made,
        container=Interface(
            name=plan.key.ifname,
            mac=made["mac"],
            mtu=made["mtu"],
            sandbox=plan.netns,
            pci_id=pci,
        ),
        device_info=publish.pci_device_info(pci, more),
        warnings=warnings if made["kernel"] else _warnings(work.sysfs, pci),
    )


def _warnings(sysfs: Sysfs, pci: str) -> tuple[str, ...]:
    from cni_userspace.engines.sriov import driver

    note = driver.note(sysfs, pci)
    return (note,) if note else ()
