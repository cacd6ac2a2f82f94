"""Facts: what the plan must know of the switch and the node. Reads only.

Owns the questions of readiness too: ADD refuses, and STATUS reports, where a
port could be made in the database that vswitchd can never serve.
"""

from __future__ import annotations

import os

from cni_userspace.attach.naming import directory_name
from cni_userspace.engines.ovs_dpdk.conf import SERVER
from cni_userspace.engines.ovs_dpdk.planning import Facts
from cni_userspace.errors import InvalidConfigError, NotAvailableError, SwitchError
from cni_userspace.host import netns
from cni_userspace.host.ovsdb import Ovsdb, atoms, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from cni_userspace.attach.store import Record
    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf
    from cni_userspace.host.deadline import Deadline

SWITCH_COLUMNS = ["dpdk_initialized", "iface_types", "datapath_types", "other_config"]


def facts(request: Request, conf: NetConf, siblings: Sequence[Record], deadline: Deadline) -> Facts:
    """Look up what `plan` needs; raise SwitchError where the switch is not ready."""
    options: OvsConf = conf.options  # type: ignore[assignment]  # this engine's own
    switch, bridges = read_switch(options, deadline)
    if obstacle := _obstacle(switch, bridges, options):
        raise SwitchError(obstacle[0], details=options.socket_file, hint=obstacle[1])
    rundir = rundir_of(options.socket_file)
    base = os.path.realpath(conf.shared_dir)
    directory = f"{base}/{directory_name(request.container_id)}"
    return Facts(
        bridge_exists=bool(bridges),
        rundir=rundir,
        socket_dir=socket_dir(rundir, switch),
        base=base,
        directory_exists=os.path.lexists(directory),
        siblings_own_directory=any(
            s.plan.get("directory") == directory and s.plan.get("own_directory") for s in siblings
        ),
        uid=_number("owner", options.owner, _uid),
        gid=_number("group", options.group, _gid),
        netns_id=netns.require(request.netns),
        vlan_limit=vlan_limit(switch),
        wiring_obstacle=_wiring_obstacle(options, bridges, deadline),
        attempt=os.urandom(8).hex(),
    )


def read_switch(options: OvsConf, deadline: Deadline) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the switch's abilities and the rows of the bridge in one round trip."""
    with Ovsdb(options.socket_file, deadline) as database:
        switch, bridge = database.transact(
            [
                {"op": "select", "table": "Open_vSwitch", "where": [], "columns": SWITCH_COLUMNS},
                {
                    "op": "select",
                    "table": "Bridge",
                    "where": [["name", "==", options.bridge]],
                    "columns": ["datapath_type"],
                },
            ],
        )
    if not switch["rows"]:
        raise SwitchError(
            "the OVS database was never initialised",
            details=f"{options.socket_file} has no Open_vSwitch row",
            hint="ovs-vsctl --no-wait init",
        )
    return switch["rows"][0], bridge["rows"]


def rundir_of(remote: str) -> str:
    """Return the switch's run directory: where its local socket lies; "" for a remote database."""
    kind, _, path = remote.partition(":")
    return os.path.realpath(os.path.dirname(path)) if kind == "unix" else ""


def socket_dir(rundir: str, switch: dict[str, Any]) -> str:
    """Return where vswitchd makes server sockets: vhost-sock-dir is relative to the run directory."""
    below = mapping(switch["other_config"]).get("vhost-sock-dir", "").strip("/")
    return f"{rundir}/{below}".rstrip("/") if rundir else ""


def _has_flows(options: OvsConf) -> bool:
    return bool(options.anti_spoofing or options.segment or options.peer_port)


def _wiring_obstacle(options: OvsConf, bridges: list[dict[str, Any]], deadline: Deadline) -> str:
    """Return what keeps flows from being written, or an attachment from being wired; "" for nothing."""
    if not _has_flows(options):
        return ""
    from cni_userspace.engines.ovs_dpdk import wiring

    return wiring.obstacle(options, deadline, bridge_exists=bool(bridges))


def vlan_limit(switch: dict[str, Any]) -> int:
    """Return how many VLAN tags of a frame the switch sees: 1 unless it is told otherwise, 0 for no limit."""
    told = mapping(switch["other_config"]).get("vlan-limit", "")
    return int(told) if told.isdecimal() else 1


def _obstacle(
    switch: dict[str, Any],
    bridges: list[dict[str, Any]],
    options: OvsConf,
) -> tuple[str, str] | None:
    """Return what keeps a vhost-user port from working, and the way out."""
    if switch["dpdk_initialized"] is not True:
        return (
            "DPDK is not initialised in this switch",
            "ovs-vsctl set Open_vSwitch . other_config:dpdk-init=true; then restart ovs-vswitchd",
        )
    if options.interface_type not in atoms(switch["iface_types"]):
        return (
            f"this switch offers no {options.interface_type} ports",
            "an OVS that is built with DPDK is needed (Debian: openvswitch-switch-dpdk)",
        )
    if "netdev" not in atoms(switch["datapath_types"]):
        return ("this switch has no userspace datapath", "an OVS with the netdev datapath is needed")
    if bridges and bridges[0]["datapath_type"] != "netdev":
        return (
            f"the bridge {options.bridge} has no userspace datapath",
            f"ovs-vsctl set bridge {options.bridge} datapath_type=netdev",
        )
    if options.interface_type == SERVER and not rundir_of(options.socket_file):
        return (
            "with a remote database nobody knows where the switch makes its sockets",
            "use dpdkvhostuserclient, or the switch's own unix socket as `socket_file`",
        )
    return None


def status(conf: NetConf, _node: NodeFile, deadline: Deadline) -> None:
    """Raise NotAvailableError (code 50) where an ADD with this config cannot work."""
    options: OvsConf = conf.options  # type: ignore[assignment]  # this engine's own
    try:
        switch, bridges = read_switch(options, deadline)
        if _has_flows(options):
            from cni_userspace.engines.ovs_dpdk import wiring

            wiring.require_flows(options)
    except (SwitchError, TimeoutError) as error:
        raise NotAvailableError(
            getattr(error, "msg", "the OVS database does not answer in time"),
            details=getattr(error, "details", str(error)),
            hint=getattr(error, "hint", ""),
        ) from None
    if obstacle := _obstacle(switch, bridges, options):
        raise NotAvailableError(obstacle[0], details=options.socket_file, hint=obstacle[1])
    if not bridges and not options.create_bridge:
        raise NotAvailableError(
            f"the bridge {options.bridge} does not exist",
            details=options.socket_file,
            hint=f"ovs-vsctl add-br {options.bridge} -- set bridge {options.bridge} datapath_type=netdev",
        )


def _number(key: str, name: str, look_up: Callable[[str], int]) -> int | None:
    if not name:
        return None
    if name.isdecimal():
        return int(name)
    try:
        return look_up(name)
    except KeyError:
        raise InvalidConfigError(
            f"the {key} is unknown on this node",
            mistakes=[f"{key}: {name!r} is no name in the node's database; a number works too"],
        ) from None


def _uid(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    import grp

    return grp.getgrnam(name).gr_gid
