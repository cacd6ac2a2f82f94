"""The devices that SR-IOV attachments have, seen from both sides: allocations here, the kernel now.

Owns the look at them, and that what cannot be seen (a namespace that is gone or
not ours to enter, a PF that is in a container) costs only what it alone knows.
Reads only. A device in a container is looked at there, for our sysfs does not
show it; what a VF is set to, only its PF tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cni_userspace.engines.sriov import allocation as allocations
from cni_userspace.errors import PluginError, UnknownContainerError
from cni_userspace.host import netns
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.sysfs import Sysfs
from cni_userspace.node import live

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cni_userspace.attach.store import Key, Record
    from cni_userspace.engines.sriov.allocation import Allocation
    from cni_userspace.host.netlink import Link

    _Seen = tuple[str, Link | None, Mapping[str, int]]  # a network device's state, itself, its counters

ENGINE = "sriov"
KERNEL, DPDK = "kernel", "dpdk"
FOR_DPDK = ("vfio-pci", "uio_pci_generic", "igb_uio")
UP, DOWN, NO_CARRIER, BOUND, GONE, UNKNOWN = "up", "down", "no-carrier", "bound", "gone", "unknown"
SECONDS = 5
COUNTED = {  # fields of /proc/net/dev (proc_pid_net(5)); what the container sent came from it
    "rx_packets": 9,
    "tx_packets": 1,
    "rx_bytes": 8,
    "tx_bytes": 0,
    "rx_dropped": 11,
    "tx_dropped": 3,
}


@dataclass(frozen=True, kw_only=True)
class Device:
    """One attachment's device, as far as it can be seen."""

    pci: str  # "": an ADD died before it took one
    pf: str  # the PF's PCI address; its own where it is the PF
    vf: int | None  # its index there; None: it is the PF
    mode: str  # KERNEL: its network device is in the container; DPDK: a process has it
    pf_name: str = ""  # the PF's network device on the node, for a PF the name that it has there
    driver: str = ""  # now
    link: str = UNKNOWN
    mac: str = ""
    mtu: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)  # at its PF: now if that tells, else as asked
    counters: Mapping[str, int] = field(default_factory=dict)  # by the kernel; `rx` came from the container
    allocation: Allocation | None = None  # None: it has none

    @property
    def seat(self) -> str:
        """Where it is, in words: as `ip link set PF vf N` names a VF, the PF's name for a PF."""
        return (self.pf_name or self.pf) + ("" if self.vf is None else f" vf {self.vf}")

    @property
    def vlan(self) -> str:
        """What its PF does with tags, in words; "" where it carries everything as it is."""
        number, priority, protocol = self.settings.get("vlan") or (0, 0, "")
        if not number:
            return ""
        told = [str(number), f"priority {priority}" if priority else ""]
        return " ".join(filter(None, [*told, "" if protocol == "802.1q" else protocol]))

    @property
    def connected(self) -> bool | None:
        """Whether its link is up; None where that is not to be seen."""
        return {UP: True, DOWN: False, NO_CARRIER: False}.get(self.link)


@dataclass(frozen=True, kw_only=True)
class Devices:
    """All devices of attachments: by those that have a record, and the others; and what could not be read."""

    recorded: Mapping[Key, Device] = field(default_factory=dict)
    left: tuple[Device, ...] = ()
    unread: tuple[str, ...] = ()


def places(state_dir: str, records: Iterable[Record]) -> list[str]:
    """Return the directories in which allocations may stand."""
    named = {str(r.plan["place"]) for r in records if r.engine == ENGINE and r.plan.get("place")}
    return sorted({f"{state_dir}/{allocations.DEVICES}", *named})


def look(state_dir: str, records: Sequence[Record], sysfs: Sysfs | None = None) -> Devices:
    """Look at every device of an attachment; `sysfs` is for tests."""
    given, unread = [], []
    for place in places(state_dir, records):
        try:
            given += list(allocations.every(place))
            unread += [f"{path}: an allocation that cannot be read" for path in allocations.torn(place)]
        except OSError as error:
            unread.append(f"{place}: {error.strerror}")
    looker = _Looker(sysfs or Sysfs())
    recorded = {}
    for record in records:
        if record.engine == ENGINE:
            own = [a for a in given if a.key == record.key]
            chosen = next((a for a in own if a.pci == record.plan.get("pci", a.pci)), None)
            recorded[record.key] = looker.device(record, chosen)
            given = [a for a in given if a is not chosen]
    return Devices(recorded=recorded, left=tuple(looker.device(None, a) for a in given), unread=tuple(unread))


def words(plan: Mapping[str, Any]) -> str:
    """Return which device a plan, or what the marks know of one, stands for."""
    pci, pf, vf = plan.get("pci", ""), plan.get("pf", "?"), plan.get("vf")
    if plan.get("whole"):
        return f"PF {pci or pf}"
    if not pci:
        return f"a VF of PF {pf}"
    return f"device {pci}, VF {vf} of PF {pf}"


def held(record: Record) -> str:
    """Return which device a record stands for; an ADD that died may have told its allocation only."""
    plan = record.plan
    if plan.get("pci") or not plan.get("place"):
        return words(plan)
    try:
        own = [a for a in allocations.every(plan["place"]) if a.key == record.key]
    except OSError:  # told where the allocations are looked at
        own = []
    return ", ".join(words({**plan, "pci": a.pci, "vf": a.vf}) for a in own) or words(plan)


def at_home(pci: str, sysfs: Sysfs) -> bool:
    """Tell whether no container can have a device: its network device is here, or nothing drives it."""
    return not sysfs.is_device(pci) or not sysfs.driver(pci) or bool(sysfs.netdevs(pci))


class _Looker:
    """One look at the node: a PF is asked once, and the living namespaces are listed at most once."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        self._pfs: dict[str, dict[int, dict[str, Any]]] = {}
        self._living: frozenset[int] | None = None

    def device(self, record: Record | None, allocation: Allocation | None) -> Device:
        """Return what is known of an attachment's device; one of both must be there."""
        plan = {} if record is None else record.plan
        pci = str(plan.get("pci") or (allocation.pci if allocation else ""))
        pf = str(plan.get("pf") or (allocation.pf or allocation.pci if allocation else ""))
        whole = bool(plan.get("whole", allocation is not None and not allocation.pf))
        index = int(plan.get("vf", allocation.vf if allocation else -1))
        vf = None if whole or index < 0 else index
        mode = _mode(plan, allocation)
        link, told, counters = self._link(pci, mode, allocation)
        asked = plan.get("settings") or {}
        return Device(
            pci=pci,
            pf=pf,
            vf=vf,
            mode=mode,
            pf_name=_home_name(allocation) if whole else self._name(pf),
            driver=self._sysfs.driver(pci) if pci else "",
            link=link,
            mac=told.mac if told else str(plan.get("mac", "")),
            mtu=told.mtu if told else int(plan.get("mtu") or 0),
            settings=asked if vf is None else self._settings(pf).get(vf, asked),
            counters=counters,
            allocation=allocation,
        )

    def _link(self, pci: str, mode: str, allocation: Allocation | None) -> _Seen:
        """Return the state of a device: a process's is not to be seen, only that it can have it."""
        if allocation is None or not self._sysfs.is_device(pci):
            return GONE, None, {}
        if mode == KERNEL:
            return self._inside(allocation)
        return BOUND if self._sysfs.driver(pci) in FOR_DPDK else GONE, None, {}

    def _name(self, pf: str) -> str:
        return next(iter(self._sysfs.netdevs(pf)), "") if pf else ""

    def _settings(self, pf: str) -> dict[int, dict[str, Any]]:
        """Return what a PF tells of its VFs, {} where it is not here or does not tell."""
        if pf not in self._pfs:
            self._pfs[pf] = self._ask(pf)
        return self._pfs[pf]

    def _ask(self, pf: str) -> dict[int, dict[str, Any]]:
        from cni_userspace.engines.sriov import vf
        from cni_userspace.host.netlink import Netlink

        name = self._name(pf)
        if not name:
            return {}
        try:
            with Netlink(Deadline(SECONDS)) as home:
                link = home.link(name)
                return {told.index: vf.settings(told) for told in home.vfs(link.index)} if link else {}
        except OSError:  # what was asked for is shown instead
            return {}

    def _inside(self, allocation: Allocation) -> _Seen:
        """Return the state of a network device in its container, itself, and what it has counted."""
        from cni_userspace.engines.sriov import netdev
        from cni_userspace.host.netlink import Netlink

        try:
            container = netns.opened(allocation.netns, allocation.netns_id)
        except UnknownContainerError:
            return (UNKNOWN if self._lives(allocation) else GONE), None, {}
        except OSError:
            return UNKNOWN, None, {}
        try:
            with Netlink(Deadline(SECONDS), container) as inside:
                link = netdev.in_container(inside, allocation.pci, allocation.key.ifname)
            told = counted(container, link.name) if link else {}
        except (PluginError, OSError):  # not ours to enter, or it ended meanwhile
            return UNKNOWN, None, {}
        finally:
            os.close(container)
        if link is None:
            return GONE, None, {}
        return (UP if link.carrier else NO_CARRIER) if link.up else DOWN, link, told

    def _lives(self, allocation: Allocation) -> bool:
        if self._living is None:
            self._living = live.inodes()
        return live.lives(allocation.netns, allocation.netns_id, self._living)


def _mode(plan: Mapping[str, Any], allocation: Allocation | None) -> str:
    """Return how the container has the device; before ADD has told, how it was to have it."""
    if "kernel" in plan:
        return KERNEL if plan["kernel"] else DPDK
    if allocation is not None:
        return KERNEL if allocation.netdev and not allocation.binding else DPDK
    return DPDK if plan.get("dpdk") else KERNEL


def _home_name(allocation: Allocation | None) -> str:
    return str(allocation.netdev.get("name", "")) if allocation else ""


def counted(container: int, name: str) -> dict[str, int]:
    """Return the counters of a network device in a namespace; {} where it went away meanwhile."""
    with netns.Inside(container):
        table = open("/proc/thread-self/net/dev", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  closed below, at home
    with table:
        rows = {
            head.strip(): row.split()
            for head, found, row in (line.rpartition(":") for line in table)
            if found
        }
    return {key: int(rows[name][column]) for key, column in COUNTED.items()} if name in rows else {}
