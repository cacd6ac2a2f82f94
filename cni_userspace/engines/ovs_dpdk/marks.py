"""Ownership marks: who made a row, and for whom.

Owns the external_ids of our Port, Interface and Bridge rows, both ways. With
them DEL, GC and a sweep work where no record is left. A row without
`owner=cni-userspace` is somebody else's, always. `attached-mac` is the name
that OVS integrations use (ovs-vswitchd.conf.db(5)).

Who may write in the database must not thereby have root remove what he likes:
of a directory or a socket, only what an ADD could have noted is believed.
"""

from __future__ import annotations

import os

from cni_userspace.attach.engine import Marked
from cni_userspace.attach.naming import directory_name
from cni_userspace.attach.store import Key
from cni_userspace.cni.request import ifname_mistake, is_identifier
from cni_userspace.host.ovsdb import Ovsdb, as_map, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.host.deadline import Deadline

OWNER = {"owner": "cni-userspace"}
POD = ("namespace", "name", "uid")
FROM_PLAN = (
    "attempt",
    "bridge",
    "directory",
    "interface_type",
    "link",
    "netns",
    "netns_id",
    "peer_port",
    "segment",
    "socket_name",
)
FLAGS = ("own_directory", "delete_bridge", "in_place", "anti_spoofing")
IPS = "cni-ips"  # what an attachment with anti-spoofing may send from


def identity(key: Key) -> dict[str, str]:
    """Return the marks that name one attachment."""
    return {
        **OWNER,
        "cni-network": key.network,
        "cni-container-id": key.container_id,
        "cni-ifname": key.ifname,
    }


def of_port(plan: Mapping[str, Any], key: Key) -> dict[str, str]:
    """Return all marks of a port, from its plan in the record's form."""
    told = {f"cni-{name.replace('_', '-')}": plan.get(name) for name in FROM_PLAN}
    told[IPS] = " ".join(plan.get("ips") or ())
    flags = {f"cni-{name.replace('_', '-')}": "true" for name in FLAGS if plan.get(name)}
    pod = {f"pod-{name}": value for name, value in plan["pod"].items()}
    ours = {**identity(key), **{k: v for k, v in told.items() if v}, **flags, **pod}
    return {**plan.get("external_ids", {}), **ours}


def of_interface(plan: Mapping[str, Any], key: Key) -> dict[str, str]:
    """Return the marks of a port's interface, from its plan in the record's form."""
    ovn = {"iface-id": plan["ovn_port"]} if plan.get("ovn_port") else {}
    return {**plan.get("external_ids", {}), **identity(key), "attached-mac": plan["mac"], **ovn}


def condition(marks: dict[str, str]) -> list[Any]:
    """Return an OVSDB condition for rows that carry all the given marks."""
    return ["external_ids", "includes", as_map(marks)]


def find(remote: str, deadline: Deadline) -> list[Marked]:
    """Return every attachment that a database's ports are marked with."""
    with Ovsdb(remote, deadline) as database:
        (ports,) = database.transact(
            [
                {
                    "op": "select",
                    "table": "Port",
                    "where": [condition(OWNER)],
                    "columns": ["name", "external_ids"],
                },
            ],
        )
    found = [_marked(remote, row["name"], mapping(row["external_ids"])) for row in ports["rows"]]
    return [m for m in found if _is_identity(m.key)]


def _is_identity(key: Key) -> bool:
    """Tell whether names of files can be made of a key; one without a container names none."""
    return not key.container_id or (is_identifier(key.container_id) and not ifname_mistake(key.ifname))


def key_of(found: Mapping[str, str]) -> Key:
    """Return the attachment that a row's marks name."""
    return Key(
        network=found.get("cni-network", ""),
        container_id=found.get("cni-container-id", ""),
        ifname=found.get("cni-ifname", ""),
    )


def _marked(remote: str, port: str, found: dict[str, str]) -> Marked:
    plan: dict[str, Any] = {name: found.get(f"cni-{name.replace('_', '-')}", "") for name in FROM_PLAN}
    plan.update({name: found.get(f"cni-{name.replace('_', '-')}") == "true" for name in FLAGS})
    container = found.get("cni-container-id", "")
    if not container or os.path.basename(plan["directory"]) != directory_name(container):
        plan.update(directory="", own_directory=False)
    if "/" in plan["socket_name"]:
        plan["socket_name"] = ""
    return Marked(
        key=key_of(found),
        netns=plan["netns"],
        netns_id=plan["netns_id"],
        pod={name: found[f"pod-{name}"] for name in POD if f"pod-{name}" in found},
        plan={**plan, "place": remote, "port": port},
    )
