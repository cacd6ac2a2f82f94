"""What attachments leave on a node: everything that must be gone after the last DEL.

Owns the places outside the plugin's own directories that tests use for it (an
IPAM store, device-info files), so that one look finds all remains: rows,
bridges of ours, sockets, directories, links, records, debts, device-info
files, IPAM leases.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.plugin import Plugin
    from tests.support.switch import Switch

OWNER = "cni-userspace"
LOCAL = "internal"


def host_local(plugin: Plugin, **keys: Any) -> dict[str, Any]:  # noqa: ANN401  any key of host-local's
    """Return an `ipam` object that keeps its leases in the plugin's directory."""
    ranges = [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]
    return {"type": "host-local", "dataDir": f"{plugin.directory}/ipam", "ranges": ranges, **keys}


def leases(plugin: Plugin) -> list[str]:
    """Return the files of leased addresses."""
    found = _below(f"{plugin.directory}/ipam")
    kept = ("last_reserved_ip", "lock")
    return [p for p in found if not os.path.isdir(p) and not os.path.basename(p).startswith(kept)]


def device_info_file(plugin: Plugin, name: str = "fast-net1") -> str:
    """Return where a runtime would have the device information written."""
    return f"{plugin.directory}/devinfo/{name}-device.json"


def remains(plugin: Plugin, switch: Switch | None = None) -> list[str]:
    """Return what is left, one line each; bridges without our mark are the test's own and not counted."""
    found = [path for place in (plugin.state, plugin.shared, plugin.links) for path in _below(place)]
    found = [path for path in found if path not in _skeleton(plugin)]
    found += [p for p in _below(f"{plugin.directory}/devinfo") if not os.path.isdir(p)]
    return found + leases(plugin) + ([] if switch is None else _rows(switch))


def _skeleton(plugin: Plugin) -> tuple[str, ...]:
    """Return the empty directories that the plugin keeps for the next attachment."""
    return tuple(f"{plugin.state}/{name}" for name in ("attachments", "devices", "owed"))


def _rows(switch: Switch) -> list[str]:
    rows = [f"port {name}" for name in sorted(switch.ports())]
    ours = [b["name"] for b in switch.rows("Bridge") if b["external_ids"].get("owner") == OWNER]
    vhost = [i["name"] for i in switch.rows("Interface") if i["type"].startswith("dpdkvhost")]
    return rows + [f"bridge {name}" for name in ours] + [f"interface {name}" for name in vhost]


def _below(place: str) -> list[str]:
    return sorted(
        os.path.join(folder, name) for folder, folders, files in os.walk(place) for name in folders + files
    )
