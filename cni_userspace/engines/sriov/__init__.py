"""SR-IOV: a VF, or a whole PF, into the container, for the kernel or for DPDK.

This module is the engine (`attach.engine.Engine`): it says which module does
what, and loads only the one that the verb needs. A plan says which devices
would do; the one that was taken, and all that its way back needs, stands in
its allocation (see `allocation`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from cni_userspace.attach.engine import Attached, Marked
    from cni_userspace.attach.store import Key, Record
    from cni_userspace.attach.undo import Undo
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.cni.result import Result
    from cni_userspace.engines.sriov.conf import SriovConf
    from cni_userspace.engines.sriov.planning import Plan
    from cni_userspace.host.deadline import Deadline


def parse_options(getter: Any) -> SriovConf:  # noqa: ANN401  the getter's type is cni's own business
    """Read this engine's keys of the netconf."""
    from cni_userspace.engines.sriov.conf import parse_options as do

    return do(getter)


def plan(
    request: Request,
    conf: NetConf,
    node: NodeFile,
    siblings: Sequence[Record],  # noqa: ARG001  a device is no container's business but its own
    deadline: Deadline,  # noqa: ARG001  reading sysfs waits for nobody
) -> Plan:
    """Find the devices that would do, then decide what ADD makes of one."""
    from cni_userspace.engines.sriov import look, planning
    from cni_userspace.host.sysfs import Sysfs

    target = look.resolve(conf, node, Sysfs())
    return planning.plan(request, conf, node, target)


def attach(plan: Plan, undo: Undo, deadline: Deadline, assign: Callable[[], Result]) -> Attached:
    """Take a device, set it up, hand it over; addresses come when it is there."""
    from cni_userspace.engines.sriov.make import attach as do

    return do(plan, undo, deadline, assign)


def detach(
    plan: Mapping[str, Any],
    key: Key,
    deadline: Deadline,
    release: Callable[[], list[str]],
) -> list[str]:
    """Bring the device home; a DHCP client takes its leave through it first."""
    from cni_userspace.engines.sriov.remove import detach as do

    return release() + do(plan, key, deadline)


def clean_directory(plan: Mapping[str, Any], *, last: bool) -> list[str]:  # noqa: ARG001  the contract's
    """Do nothing: a device shares no directory with its container."""
    return []


def check(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Compare the device with all that was asked of it."""
    from cni_userspace.engines.sriov.inspect import check as do

    return do(plan, key, deadline)


def status(conf: NetConf, node: NodeFile, deadline: Deadline) -> None:  # noqa: ARG001  the contract's
    """Raise where an ADD with this config cannot work."""
    from cni_userspace.engines.sriov import look
    from cni_userspace.host.sysfs import Sysfs

    look.status(conf, node, Sysfs())


def place(conf: NetConf, node: NodeFile) -> str:  # noqa: ARG001  any config may have led here
    """Return the directory of the allocations."""
    from cni_userspace.engines.sriov.allocation import DEVICES

    return f"{node.state_dir}/{DEVICES}"


def marked(place: str, deadline: Deadline) -> list[Marked]:  # noqa: ARG001  the contract's
    """Return the attachments that have a device."""
    from cni_userspace.engines.sriov.remove import marked as do

    return do(place)
