"""`userspace gc`: the sweep outside CNI, for what no runtime asks for any more.

Owns the judgement, from records, marks and live network namespaces, of what
is left over. Only shows it unless told to act; what lives, and what bears no
mark of ours, is never touched. To a process that does not see the host's
processes every namespace looks dead, so there it does not act. Multus sends
CNI's own GC for the cluster network alone, so secondary networks depend on
this one.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from cni_userspace import engines
from cni_userspace.attach import gc as sweep
from cni_userspace.attach.delete import remove_marked
from cni_userspace.attach.store import ATTACHED, OWED, Store
from cni_userspace.attach.undo import describe
from cni_userspace.cni import forms, nodefile
from cni_userspace.engines.ovs_dpdk.conf import DEFAULT_SOCKET
from cni_userspace.engines.sriov import allocation as allocations
from cni_userspace.errors import InputOutputError, PluginError
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.lock import DirectoryLock
from cni_userspace.host.sysfs import Sysfs
from cni_userspace.node import devices, intel, live, view
from cni_userspace.node.table import table

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator, Mapping

    from cni_userspace.attach.engine import Marked
    from cni_userspace.attach.store import Record
    from cni_userspace.cni.nodefile import NodeFile

Kind = Literal["owed", "dead", "interrupted", "unrecorded", "torn", "intel"]
SECONDS = 5
EACH_SECONDS = 45  # as a runtime's own DEL
WHY = {
    "owed": "a DEL could not finish",
    "dead": "its network namespace is gone",
    "interrupted": "an ADD died half-way, and its namespace lives",
    "unrecorded": "marked as ours without a record, and its namespace lives",
    "torn": "a record, or a device's allocation, that cannot be read",
    "intel": "looks like Intel's userspace plugin's; nobody marked it",
}
ACTED_ON = ("owed", "dead", "torn")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that nobody may be using any more."""

    kind: Kind
    container: str
    ifname: str
    network: str
    what: str
    outcome: str = "left alone"


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--yes", action="store_true", help="remove what is owed, dead or torn")
    parser.add_argument(
        "--here",
        action="store_true",
        help="also in a container: what no process here holds counts as dead",
    )
    parser.add_argument("--db", action="append", default=[], help="look at this database too (unix:, tcp:)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def run(options: Namespace, node: NodeFile) -> int:
    """List the left-overs, and with --yes remove them; 1 when something would not go.

    Raises InputOutputError for --yes where it could not know what lives.
    """
    store = Store(node.state_dir)
    complaints = [] if options.here else _blind(yes=options.yes)
    places = _places(store, node, options.db)  # before the records that name them go
    findings = [*_recorded(store, yes=options.yes)]
    findings += _marked(store, places, complaints, yes=options.yes)
    findings += _torn(store, yes=options.yes, marks_known=not complaints)
    findings += _torn_allocations(places, yes=options.yes)
    findings += _intel(places, complaints)
    failed = any(f.outcome.startswith("failed") for f in findings)
    if options.output == "json":
        print(json.dumps({"findings": [asdict(f) for f in findings], "unread": complaints}, indent=2))
    else:
        _show(findings, complaints, yes=options.yes)
    return 1 if failed else 0


def _blind(*, yes: bool) -> list[str]:
    """Return a complaint where this process cannot know what lives; raise it for --yes."""
    reason = live.blindness()
    if reason and yes:
        raise InputOutputError(
            "nothing was removed: this process does not see all processes of the host",
            details=f"{reason}, so an attachment that is in use may look dead",
            hint="run it in the host's process namespace as root; "
            "--here where all containers of this node are below this one",
        )
    return [f"the host's processes ({reason}): what is shown as dead may live"] if reason else []


def _recorded(store: Store, *, yes: bool) -> Iterator[Finding]:
    living = live.inodes()
    for record in list(store.all()):
        kind = _judge(record, living)
        if kind:
            outcome = "left alone" if kind == "interrupted" else _act(record, store, yes=yes)
            yield _finding(kind, record, _what(record), outcome)


def _judge(record: Record, living: frozenset[int]) -> Kind | None:
    if record.state == OWED:
        return "owed"
    if not live.lives(record.netns, record.netns_id, living):
        return "dead"
    return None if record.state == ATTACHED else "interrupted"


def _act(record: Record, store: Store, *, yes: bool) -> str:
    if not yes:
        return "would be removed"
    try:
        failures = sweep.remove_record(record, engines.load(record.engine), store, Deadline(EACH_SECONDS))
    except PluginError as error:
        failures = [describe(error)]
    return f"failed: {'; '.join(failures)}" if failures else "removed"


def _what(record: Record) -> str:
    thing = devices.held(record) if record.engine == devices.ENGINE else _thing(record.engine, record.plan)
    return thing + (f" ({record.reason})" if record.reason else "")


def _thing(engine: str, plan: Mapping[str, Any]) -> str:
    if engine == devices.ENGINE:
        return devices.words(plan)
    return f"port {plan.get('port', '?')} in {plan.get('place', '?')}"


def _finding(kind: Kind, found: Record | Marked, what: str, outcome: str) -> Finding:
    key = found.key
    return Finding(
        kind=kind,
        container=key.container_id,
        ifname=key.ifname,
        network=key.network,
        what=what,
        outcome=outcome,
    )


def _places(store: Store, node: NodeFile, asked: Iterable[str]) -> list[tuple[str, str]]:
    """Return every (engine, place) where marks of ours may stand."""
    default = nodefile.default(node, "socket_file")
    ours = forms.plain_remote(default) if isinstance(default, str) and default else DEFAULT_SOCKET
    usual = [] if not default and view.has_no_switch(store) else [ours]
    places = {("ovs-dpdk", forms.plain_remote(remote)) for remote in (*usual, *asked)}
    places.add((devices.ENGINE, f"{node.state_dir}/{allocations.DEVICES}"))
    places |= {(r.engine, r.plan["place"]) for r in store.all() if r.plan.get("place")}
    return sorted(places)


def _marked(
    store: Store,
    places: list[tuple[str, str]],
    complaints: list[str],
    *,
    yes: bool,
) -> Iterator[Finding]:
    living = live.inodes()
    for engine_name, place in places:
        engine = engines.load(engine_name)
        try:
            marked = engine.marked(place, Deadline(SECONDS))
        except (PluginError, OSError) as error:
            complaints.append(describe(error))
            continue
        for found in marked:
            if store.read(found.key) is not None:
                continue
            what = _thing(engine_name, {**found.plan, "place": place})
            if live.lives(found.netns, found.netns_id, living):
                yield _finding("unrecorded", found, what, "left alone")
                continue
            outcome = "would be removed"
            if yes:
                failures = remove_marked(found, engine, store, Deadline(EACH_SECONDS))
                outcome = f"failed: {'; '.join(failures)}" if failures else "removed"
            yield _finding("dead", found, what, outcome)


def _torn(store: Store, *, yes: bool, marks_known: bool) -> Iterator[Finding]:
    """Yield the records that cannot be read; they stay while what they stood for may not be known."""
    for path in store.unreadable():
        outcome = "would be removed"
        if yes and marks_known:
            outcome = _remove_torn(path, store)
        elif yes:
            outcome = "left alone: not every database was looked at"
        container = os.path.basename(os.path.dirname(path))
        yield Finding(kind="torn", container=container, ifname="", network="", what=path, outcome=outcome)


def _remove_torn(path: str, store: Store) -> str:
    try:
        with DirectoryLock(os.path.dirname(path), Deadline(SECONDS)):
            if path in store.unreadable():  # else an ADD has written it anew meanwhile
                os.unlink(path)
    except (PluginError, OSError) as error:
        return f"failed: {describe(error)}"
    return "removed"


def _torn_allocations(places: list[tuple[str, str]], *, yes: bool) -> Iterator[Finding]:
    """Yield the allocations that cannot be read: no ADD believes them, and nobody knows what was before."""
    for place in (place for engine, place in places if engine == devices.ENGINE):
        try:
            torn = allocations.torn(place)
        except OSError:  # told with the marks
            continue
        for path in torn:
            pci = os.path.basename(os.path.dirname(path))
            if not devices.at_home(pci, Sysfs()):
                outcome = "left alone: the device is not at home"
            else:
                outcome = _remove_torn_allocation(place, pci) if yes else "would be removed"
            yield Finding(kind="torn", container="", ifname="", network="", what=path, outcome=outcome)


def _remove_torn_allocation(place: str, pci: str) -> str:
    try:
        with allocations.hold(place, pci, Deadline(SECONDS)):
            if allocations.read(place, pci) is None:  # else an ADD has written it anew meanwhile
                allocations.delete(place, pci)
    except (PluginError, OSError) as error:
        return f"failed: {describe(error)}"
    return "removed"


def _intel(places: list[tuple[str, str]], complaints: list[str]) -> Iterator[Finding]:
    found = list(intel.saved_files())
    for engine, place in places:
        if engine == "ovs-dpdk":
            try:
                found += intel.ports(place, SECONDS)
            except (PluginError, OSError) as error:
                if describe(error) not in complaints:
                    complaints.append(describe(error))
    for leftover in found:
        yield Finding(
            kind="intel",
            container=leftover.container,
            ifname=leftover.ifname,
            network="",
            what=leftover.what,
        )


def _show(findings: list[Finding], complaints: list[str], *, yes: bool) -> None:
    for complaint in complaints:
        print(f"not looked at: {complaint}", file=sys.stderr)
    if not findings:
        print("nothing is left over")
        return
    rows = [(f.kind, f.container[:20], f.ifname, f.network, f.what, f.outcome) for f in findings]
    print(table(("KIND", "CONTAINER", "INTERFACE", "NETWORK", "WHAT", "OUTCOME"), rows))
    for kind in dict.fromkeys(f.kind for f in findings):
        print(f"{kind}: {WHY[kind]}")
    if not yes and any(f.kind in ACTED_ON for f in findings):
        print("\nNothing was changed. `userspace gc --yes` removes what is owed, dead or torn.")
