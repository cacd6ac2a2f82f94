"""Plans of the OVS-DPDK engine from a few words: what its pure tests work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cni_userspace.cni.netconf import NetConf
from cni_userspace.cni.nodefile import NodeFile
from cni_userspace.cni.request import Request
from cni_userspace.engines.ovs_dpdk import planning
from cni_userspace.engines.ovs_dpdk.conf import OvsConf
from cni_userspace.engines.ovs_dpdk.planning import Facts

if TYPE_CHECKING:
    from cni_userspace.engines.ovs_dpdk.planning import Plan

FACTS = {
    "bridge_exists": True,
    "rundir": "/run/openvswitch",
    "socket_dir": "/run/openvswitch",
    "base": "/run/cni-userspace",
    "directory_exists": False,
    "siblings_own_directory": False,
    "netns_id": "boot:4:4026532246",
    "attempt": "0123456789abcdef",
}
OPTIONS = frozenset(OvsConf._fields)


def plan(
    *,
    container: str = "c1",
    ifname: str = "net1",
    args: dict[str, str] | None = None,
    facts: dict[str, Any] | None = None,
    link_dir: str = "/run/cni-userspace-links",
    **keys: Any,  # noqa: ANN401  fields of OvsConf, else of NetConf
) -> Plan:
    """Plan one attachment; `facts` replace those of a node with a ready switch and a bridge."""
    request = Request(
        command="ADD",
        container_id=container,
        netns="/run/netns/c1",
        ifname=ifname,
        args=args or {},
        config={},
    )
    options = OvsConf(**{k: v for k, v in keys.items() if k in OPTIONS})
    rest = {k: v for k, v in keys.items() if k not in OPTIONS}
    conf = NetConf(**{"name": "fast", "raw": {}, **rest, "options": options})
    return planning.plan(request, conf, NodeFile(link_dir=link_dir), Facts(**{**FACTS, **(facts or {})}))
