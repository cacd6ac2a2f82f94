"""OVS-DPDK: vhost-user ports on a userspace bridge.

This module is the engine (`attach.engine.Engine`): it says which module does
what, and loads only the one that the verb needs.

The two port types have inverse roles, said once, here: with
`dpdkvhostuserclient` the switch connects, so the application in the container
makes the socket (container mode "server"); with `dpdkvhostuser` the switch
makes it (container mode "client").
"""

from __future__ import annotations

STEP_SECONDS = 10  # for the switch's part of a DEL

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
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf
    from cni_userspace.engines.ovs_dpdk.planning import Plan
    from cni_userspace.host.deadline import Deadline


def parse_options(getter: Any) -> OvsConf:  # noqa: ANN401  the getter's type is cni's own business
    """Read this engine's keys of the netconf."""
    from cni_userspace.engines.ovs_dpdk.conf import parse_options as do

    return do(getter)


def plan(
    request: Request,
    conf: NetConf,
    node: NodeFile,
    siblings: Sequence[Record],
    deadline: Deadline,
) -> Plan:
    """Look at the switch and the node, then decide what ADD makes."""
    from cni_userspace.engines.ovs_dpdk import look, planning

    facts = look.facts(request, conf, siblings, deadline)
    return planning.plan(request, conf, node, facts)


def attach(plan: Plan, undo: Undo, deadline: Deadline, assign: Callable[[], Result]) -> Attached:
    """Make directory, flows, port and socket; flows may need the addresses."""
    from cni_userspace.engines.ovs_dpdk.make import attach as do

    addresses = tuple(ip.address for ip in assign().ips)
    return do(plan, undo, deadline.within(plan.timeout), addresses)


def detach(
    plan: Mapping[str, Any],
    key: Key,
    deadline: Deadline,
    release: Callable[[], list[str]],
) -> list[str]:
    """Remove port and socket; then nobody can use the addresses any more."""
    from cni_userspace.engines.ovs_dpdk.remove import detach as do

    return do(plan, key, deadline.within(STEP_SECONDS)) + release()


def clean_directory(plan: Mapping[str, Any], *, last: bool) -> list[str]:
    """Remove the container's directory where that is due."""
    from cni_userspace.engines.ovs_dpdk.remove import clean_directory as do

    return do(plan, last=last)


def check(plan: Mapping[str, Any], key: Key, deadline: Deadline) -> list[str]:
    """Compare switch and directory with the plan."""
    from cni_userspace.engines.ovs_dpdk.inspect import check as do

    return do(plan, key, deadline)


def status(conf: NetConf, node: NodeFile, deadline: Deadline) -> None:
    """Raise where an ADD with this config cannot work."""
    from cni_userspace.engines.ovs_dpdk.look import status as do

    do(conf, node, deadline)


def place(conf: NetConf, node: NodeFile) -> str:  # noqa: ARG001  the contract's; others keep marks by the node
    """Return the database's address."""
    return getattr(conf.options, "socket_file", "")  # another engine's options have none


def marked(place: str, deadline: Deadline) -> list[Marked]:
    """Return the attachments whose ports carry our marks."""
    from cni_userspace.engines.ovs_dpdk.marks import find as do

    return do(place, deadline)
