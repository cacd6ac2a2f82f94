"""A network device becomes the container's interface.

Owns its way in, what is set on it there, and that its addresses come when it
stands: a DHCP client works on the interface itself.
"""

from __future__ import annotations

import os

from cni_userspace.engines.sriov import addressing, netdev
from cni_userspace.errors import ConflictError, InputOutputError
from cni_userspace.host import netns
from cni_userspace.host.netlink import Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cni_userspace.cni.result import Result
    from cni_userspace.engines.sriov.planning import Plan
    from cni_userspace.host.deadline import Deadline
    from cni_userspace.host.netlink import Link


def move(
    plan: Plan, link: Link, home: Netlink, assign: Callable[[], Result], deadline: Deadline
) -> dict[str, Any]:
    """Move a network device into the container, bring it up, have it addressed; return what was learnt.

    Raises PluginError, OSError; the device's allocation knows the way back.
    """
    name = plan.key.ifname
    container = netns.opened(plan.netns, plan.netns_id)
    try:
        _take_in(home, link, container, name)
        with Netlink(deadline, container) as inside:
            untold = _set_up(plan, inside, container, deadline)
            assigned = assign()  # a DHCP client works on the interface, so it stands by now
            current = netdev.required(inside, name)
            addressed = addressing.configure(inside, container, current, assigned, deadline)
            warnings = (*untold, *addressed.pop("warnings"))
            return {"mac": current.mac, "mtu": current.mtu, **addressed, "warnings": warnings}
    finally:
        os.close(container)


def _take_in(home: Netlink, link: Link, container: int, name: str) -> None:
    try:
        netdev.into(home, link, container, name)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConflictError(
            f"the container does not take {link.name} as {name}", details=str(error.strerror)
        ) from None


def _set_up(plan: Plan, inside: Netlink, container: int, deadline: Deadline) -> list[str]:
    """Set MAC and MTU and bring the interface up; return what is lesser than it should be."""
    link = netdev.required(inside, plan.key.ifname)
    warnings = netdev.tell_changes(container, link.name)
    if plan.mac and link.mac != plan.mac:
        _set_mac(inside, link, plan.mac, deadline)
    if plan.mtu and link.mtu != plan.mtu:
        _set_mtu(inside, link, plan.mtu)
    try:
        inside.set_up(link.index, up=True)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConflictError(
            f"{link.name} does not come up",
            details=str(error.strerror),
            hint="many VFs do so only while their PF is up",
        ) from None
    return warnings


def _set_mac(inside: Netlink, link: Link, mac: str, deadline: Deadline) -> None:
    try:
        netdev.set_mac(inside, link, mac, deadline)
    except TimeoutError:
        raise InputOutputError(
            f"the driver of {link.name} took the MAC and did not set it", details=f"{mac} was asked for"
        ) from None
    except OSError as error:
        raise ConflictError(
            f"the driver of {link.name} refuses the MAC", details=f"{mac}: {error.strerror}"
        ) from None


def _set_mtu(inside: Netlink, link: Link, mtu: int) -> None:
    try:
        inside.set_mtu(link.index, mtu)
    except OSError as error:
        raise ConflictError(
            f"the driver of {link.name} refuses the MTU",
            details=f"{mtu}: {error.strerror}",
            hint="many cards give a VF no larger MTU than their PF has",
        ) from None
