"""What Intel's userspace plugin left on this node: for the eye, never for the hand.

Owns recognising it. That plugin runs under the same executable name, marks
nothing as its own, and saves the first 12 characters of a containerID only
(its sources: cniovs/localdb.go, cniovs/ovsctrl.go). So what is listed here may
still be in use, and only a person can tell.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from typing import TYPE_CHECKING, Any

from cni_userspace.host.deadline import Deadline
from cni_userspace.host.ovsdb import Ovsdb, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

SAVED = ("/var/lib/cni/usrspcni/data", "/var/run/ovs/cni/data")
PREFIX = 12
TYPES = ("dpdkvhostuser", "dpdkvhostuserclient")


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """One thing that looks like Intel's."""

    container: str  # the first 12 characters, "" unknown
    ifname: str
    what: str


def saved_files() -> Iterator[Leftover]:
    """Yield the saved data files of Intel's plugin."""
    for folder in SAVED:
        for path in sorted(glob(f"{folder}/local-*.json")):
            name = os.path.basename(path)[len("local-") : -len(".json")]
            port = ""
            with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
                found = json.load(file)
                port = found.get("vhostname", "") if isinstance(found, dict) else ""
            yield Leftover(
                container=name[:PREFIX],
                ifname=name[PREFIX + 1 :],
                what=f"file {path}" + (f" (port {port})" if port else ""),
            )


def ports(remote: str, seconds: float) -> Iterator[Leftover]:
    """Yield the vhost-user ports without an owner that bear Intel's names or paths."""
    select = {
        "op": "select",
        "table": "Interface",
        "where": [],
        "columns": ["name", "type", "options", "external_ids"],
    }
    with Ovsdb(remote, Deadline(seconds)) as database:
        (found,) = database.transact([select])
    for row in sorted(found["rows"], key=lambda r: str(r["name"])):
        if row["type"] in TYPES and not mapping(row["external_ids"]):
            leftover = _port(row)
            if leftover:
                yield leftover


def _port(row: dict[str, Any]) -> Leftover | None:
    name = str(row["name"])
    path = mapping(row["options"]).get("vhost-server-path", "")
    folder = os.path.basename(os.path.dirname(path))
    if path and os.path.basename(path) == name and len(folder) == PREFIX:
        container = folder
    elif name[PREFIX : PREFIX + 1] == "-" and name[PREFIX + 1 :]:
        container = name[:PREFIX]
    else:
        return None
    ifname = name[PREFIX + 1 :] if name.startswith(f"{container}-") else ""
    return Leftover(container=container, ifname=ifname, what=f"port {name}" + (f" at {path}" if path else ""))
