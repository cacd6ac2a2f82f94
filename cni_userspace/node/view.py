"""What a node has attached, seen from both sides: records here, rows in the switch or devices.

Owns the joining of the two, and that a database which does not answer costs
only what it alone knows: the records are shown all the same. Reads only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cni_userspace.attach.undo import describe
from cni_userspace.engines.ovs_dpdk import marks
from cni_userspace.engines.sriov.allocation import DEVICES
from cni_userspace.errors import PluginError
from cni_userspace.node import devices
from cni_userspace.node.switchview import Port, Switch, read, vlan_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cni_userspace.attach.store import Key, Record, Store
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.node.devices import Device, Devices

DEFAULT_DATABASE = "unix:/var/run/openvswitch/db.sock"
ENGINE = "ovs-dpdk"
UNRECORDED = "unrecorded"
_NONE = devices.Devices()


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One attachment; the record, or the port and the device, may be missing, never both."""

    key: Key
    place: str = ""  # the database, where it has a port
    record: Record | None = None
    port: Port | None = None
    device: Device | None = None
    answered: bool = False  # the database said what it knows

    @property
    def engine(self) -> str:
        """The engine's name."""
        if self.record is not None:
            return self.record.engine
        return ENGINE if self.device is None else devices.ENGINE

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan of ADD, {} where no record is left."""
        return {} if self.record is None else self.record.plan

    @property
    def state(self) -> str:
        """The record's state: adding, attached or owed; unrecorded without one."""
        return UNRECORDED if self.record is None else self.record.state

    @property
    def pod(self) -> Mapping[str, str]:
        """The pod's namespace, name and uid, as far as they are known."""
        found = dict(self.plan.get("pod") or {})
        if not found and self.device is not None and self.device.allocation is not None:
            found = dict(self.device.allocation.pod)
        if not found and self.port is not None:
            ids = self.port.port["external_ids"]
            found = {name: ids[f"pod-{name}"] for name in marks.POD if f"pod-{name}" in ids}
        return found

    @property
    def port_name(self) -> str:
        """The port's name in the switch."""
        return self.port.name if self.port else str(self.plan.get("port", ""))

    @property
    def bridge(self) -> str:
        """The bridge on which the port is, or was to be."""
        return self.port.bridge if self.port else str(self.plan.get("bridge", ""))

    @property
    def socket(self) -> str:
        """The socket's path on this host, "" where there is none."""
        ids = {} if self.port is None else self.port.port["external_ids"]
        directory = self.plan.get("directory") or ids.get("cni-directory", "")
        name = self.plan.get("socket_name") or ids.get("cni-socket-name", "")
        return f"{directory}/{name}" if directory and name else ""

    @property
    def vlan(self) -> str:
        """What the port does with tags, in words; "" where it carries everything as it is."""
        if self.device is not None:
            return self.device.vlan
        if self.port is not None:
            row = self.port.port
            tag = (row["tag"] or [None])[0]
            return vlan_text((row["vlan_mode"] or [""])[0], tag, row["trunks"], row["cvlans"])
        plan = self.plan
        return vlan_text(
            plan.get("vlan_mode") or "", plan.get("vlan"), plan.get("trunk") or [], plan.get("cvlans") or []
        )

    @property
    def wire(self) -> str:
        """The segment that it names, or "port:NAME" of the port that it is wired to; "" for neither."""
        ids = {} if self.port is None else self.port.port["external_ids"]
        segment = self.plan.get("segment") or ids.get("cni-segment", "")
        peer = self.plan.get("peer_port") or ids.get("cni-peer-port", "")
        return str(segment) or (f"port:{peer}" if peer else "")

    @property
    def link(self) -> str:
        """Return what a device's link is (see `devices`), or of a port one of these.

        "connected", "waiting" (for an application), "gone" (no port), "unknown" (no database).
        """
        if self.device is not None:
            return self.device.link
        if self.port is not None:
            return "connected" if self.port.connected else "waiting"
        return "gone" if self.answered else "unknown"

    @property
    def connected(self) -> bool | None:
        """Whether an application is on the port's socket, or a device's link is up; None: not to be seen."""
        if self.device is not None:
            return self.device.connected
        return None if self.port is None else self.port.connected

    @property
    def title(self) -> str:
        """The pod as namespace/name, else the container's id; podman names a pod without a namespace."""
        pod = self.pod
        if not pod.get("name"):
            return self.key.container_id
        return f"{pod['namespace']}/{pod['name']}" if pod.get("namespace") else pod["name"]


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that was found, and what could not be read."""

    attachments: tuple[Attachment, ...] = ()
    switches: tuple[Switch, ...] = ()
    unread: tuple[str, ...] = ()


def look(store: Store, node: NodeFile, asked: Iterable[str] = (), *, everything: bool = False) -> View:
    """Look at the records and at every database that they, the node file or `asked` name.

    `everything` also returns the ports that are not ours.
    """
    records = sorted(store.all(), key=lambda r: (r.key.container_id, r.key.ifname, r.key.network))
    unread = [f"{path}: a record that cannot be read" for path in store.unreadable()]
    if os.path.isdir(store.path) and not os.access(store.path, os.R_OK | os.X_OK):
        unread.append(f"{store.path}: the records are root's")
    switches = {}
    for place in places(records, node, asked, store):
        try:
            switches[place] = read(place, everything=everything)
        except (PluginError, OSError) as error:
            unread.append(describe(error))
    found = devices.look(store.path, records)
    return View(
        attachments=tuple(join(records, switches, found)),
        switches=tuple(switches.values()),
        unread=(*unread, *found.unread),
    )


def places(records: Iterable[Record], node: NodeFile, asked: Iterable[str], store: Store) -> list[str]:
    """Return the databases to look into, each once; the usual one where nothing names any."""
    named = {str(r.plan["place"]) for r in records if r.engine == ENGINE and r.plan.get("place")}
    default = node.defaults.get("socket_file")
    wanted = {*named, *asked, *([default] if default else [])}
    usual = set() if has_no_switch(store) else {DEFAULT_DATABASE}
    return sorted({p if ":" in p else f"unix:{p}" for p in wanted} or usual)


def has_no_switch(store: Store, usual: str = DEFAULT_DATABASE) -> bool:
    """Tell whether this is a node for SR-IOV alone, as far as nothing names a database.

    A record that cannot be read may have named one. `usual` is the usual database.
    """
    sriov = os.path.isdir(f"{store.path}/{DEVICES}")
    return sriov and not os.path.exists(usual.removeprefix("unix:")) and not store.unreadable()


def join(
    records: Iterable[Record], switches: Mapping[str, Switch], found: Devices = _NONE
) -> list[Attachment]:
    """Put records, marked ports and devices of the same attachment together, by container and interface."""
    ports = {
        (place, port.key): port for place, switch in switches.items() for port in switch.ports if port.key
    }
    joined = []
    for record in records:
        if record.engine == devices.ENGINE:
            joined.append(Attachment(key=record.key, record=record, device=found.recorded.get(record.key)))
            continue
        place = str(record.plan.get("place", ""))
        joined.append(
            Attachment(
                key=record.key,
                place=place,
                record=record,
                port=ports.pop((place, record.key), None),
                answered=place in switches,
            )
        )
    left = [
        Attachment(key=key, place=place, port=port, answered=True)
        for (place, key), port in ports.items()
        if key
    ]
    left += [Attachment(key=d.allocation.key, device=d) for d in found.left if d.allocation is not None]
    return sorted([*joined, *left], key=lambda a: (a.title, a.key.container_id, a.key.ifname, a.key.network))
