"""CHECK of a device: is everything that was asked for still so?

Owns the comparison of device, network device, addresses and routes with the
plan. Changes nothing.
"""

from __future__ import annotations

import os

from cni_userspace.engines.sriov import allocation as allocations
from cni_userspace.engines.sriov import netdev, vf
from cni_userspace.host import netns
from cni_userspace.host.netlink import Netlink
from cni_userspace.host.sysfs import Sysfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from cni_userspace.attach.store import Key
    from cni_userspace.host.deadline import Deadline


def check(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Return everything that is not as ADD made it."""
    pci = plan.get("pci", "")
    taken = allocations.read(plan["place"], pci) if pci else None
    if taken is None or taken.key != key:
        return [f"device {pci or '-'} is not allocated to this attachment"]
    sysfs = Sysfs()
    if not sysfs.is_device(pci):
        return [f"device {pci} is gone"]
    faults = []
    driver = sysfs.driver(pci)
    if driver != plan["bound"]:
        faults.append(f"device {pci} has the driver {driver or '-'}, and had {plan['bound']}")
    if not plan["whole"] and plan["settings"]:
        faults += _settings(plan, sysfs, deadline)
    if plan["kernel"]:
        faults += _inside(plan, key, deadline)
    return faults


def _settings(plan: Mapping[str, Any], sysfs: Sysfs, deadline: Deadline) -> list[str]:
    with Netlink(deadline) as home:
        pf = netdev.at_home(home, plan["pf"], sysfs)
        if pf is None:
            return [f"the PF {plan['pf']} has no network device here"]
        seat = vf.Seat(home=home, pf=pf, index=plan["vf"])
        return [f"{seat}: {fault}" for fault in vf.differences(seat.read(), plan["settings"])]


def _inside(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    container = netns.opened(plan["netns"], plan["netns_id"])
    try:
        with Netlink(deadline, container) as inside:
            return list(_interface(plan, key, inside))
    finally:
        os.close(container)


def _interface(plan: Mapping[str, Any], key: Key, inside: Netlink) -> Iterator[str]:
    name = key.ifname
    link = netdev.in_container(inside, plan["pci"], name)
    if link is None:
        yield f"the container has no {name}"
        return
    if link.name != name:
        yield f"device {plan['pci']} is named {link.name} in the container, and not {name}"
    if link.mac != plan["mac"]:
        yield f"{name} has the MAC {link.mac}, and had {plan['mac']}"
    if link.mtu != plan["mtu"]:
        yield f"{name} has the MTU {link.mtu}, and had {plan['mtu']}"
    if not link.up:
        yield f"{name} is down"
    addresses = {address.address for address in inside.addresses(link.index)}
    for address in plan["addresses"]:
        if address not in addresses:
            yield f"{name} has no address {address}"
    routes = {(route.dst, route.gateway) for route in inside.routes(link.index)}
    for route in plan["routes"]:
        if (route["dst"], route["gateway"]) not in routes:
            yield f"{name} has no route to {route['dst']}"
