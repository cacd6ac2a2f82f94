"""`userspace show ID`: everything that is known of one attachment.

Owns what an ID means: the beginning of a containerID (or all of it), that with
/INTERFACE behind it, a port's name, or a device's PCI address. Changes nothing.
"""

from __future__ import annotations

import json
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any

from cni_userspace.attach.store import Store
from cni_userspace.errors import InvalidConfigError, UnknownContainerError
from cni_userspace.host.sysfs import address
from cni_userspace.node import listing, live, view
from cni_userspace.node.devices import KERNEL

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping, Sequence

    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.node.devices import Device
    from cni_userspace.node.view import Attachment

INDENT = "  "


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's options."""
    told = "beginning of a containerID, CONTAINER/INTERFACE, a port or a PCI address"
    parser.add_argument("id", metavar="ID", help=told)
    parser.add_argument("--db", action="append", default=[], help="look at this database too (unix:, tcp:)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")


def run(options: Namespace, node: NodeFile) -> int:
    """Show one attachment. Raises UnknownContainerError for none, InvalidConfigError for several."""
    found = view.look(Store(node.state_dir), node, options.db)
    listing.complain(found.unread)
    chosen = choose(options.id, found.attachments)
    if options.output == "json":
        print(json.dumps(as_json(chosen), indent=2))
    else:
        print("\n".join(text(chosen, time())))
    return 0


def choose(name: str, attachments: Sequence[Attachment]) -> Attachment:
    """Return the attachment of that ID.

    A port, a PCI address or a whole containerID counts before a beginning.
    """
    container, _, ifname = name.partition("/")
    pci = address(name)
    of_port = [a for a in attachments if name and a.port_name == name]
    of_device = [a for a in attachments if pci and a.device and a.device.pci == pci]
    among = [a for a in attachments if not ifname or a.key.ifname == ifname]
    exact = [a for a in among if a.key.container_id == container]
    begun = [a for a in among if container and a.key.container_id.startswith(container)]
    found = of_port or of_device or exact or begun
    if not found:
        raise UnknownContainerError(
            f"no attachment is named {name!r}",
            hint="`userspace list` shows all; an ID is the beginning of a containerID, "
            "CONTAINER/INTERFACE, a port, or a device's PCI address",
        )
    if len(found) > 1:
        names = ", ".join(f"{a.key.container_id}/{a.key.ifname}" for a in found)
        raise InvalidConfigError(
            f"{name!r} names {len(found)} attachments",
            details=names,
            hint="give more of the containerID, or CONTAINER/INTERFACE",
        )
    return found[0]


def as_json(found: Attachment) -> dict[str, Any]:
    """Return everything: what `list` says, and record and rows as they are."""
    record, port = found.record, found.port
    told = None if record is None else {**record.as_dict(), "key": record.key.as_dict()}
    return {
        "attachment": listing.as_json(found),
        "namespace": _namespace(found),
        "record": told,
        "port": port.port if port else None,
        "interface": port.interface if port else None,
        "device": _seen(found.device),
    }


def _seen(device: Device | None) -> dict[str, Any] | None:
    """Return what is set on a device, and its allocation, which tells what it was like before."""
    if device is None:
        return None
    taken = device.allocation
    told = None if taken is None else {**taken.as_dict(), "key": taken.key.as_dict()}
    return {"settings": dict(device.settings), "allocation": told}


def _namespace(found: Attachment) -> dict[str, Any] | None:
    """Return the container's network namespace and whether it lives; None where it is not known."""
    holder = found.record or (found.device.allocation if found.device else None)
    if holder is None:
        return None
    return {"path": holder.netns, "lives": live.lives(holder.netns, holder.netns_id, live.inodes())}


def text(found: Attachment, now: float) -> Iterator[str]:
    """Yield the lines for a person."""
    told = as_json(found)
    short, space = told["attachment"], told["namespace"]
    yield f"{found.title} {found.key.ifname}"
    yield from _pairs(
        {
            "container": short["container"],
            "pod uid": found.pod.get("uid", ""),
            "network": short["network"],
            "state": short["state"] + (f": {short['reason']}" if short["reason"] else ""),
            "made": _made(short["created"], now),
            "namespace": f"{space['path']} ({'lives' if space['lives'] else 'gone'})" if space else "",
            "database": short["database"],
            "bridge": short["bridge"],
            "port": short["port"] + (f", number {short['ofport']}" if short["ofport"] else ""),
            **_device(found.device),
            "VLAN": short["vlan"],
            "wired to": short["wire"],
            "socket": short["socket"],
            "link": short["link"],
        }
    )
    for title, content in _parts(found):
        if content:
            yield f"{title}:"
            yield from _pairs(content)


def _device(device: Device | None) -> dict[str, Any]:
    if device is None:
        return {}
    return {
        "device": device.pci + ("" if device.vf is None else f", VF {device.vf}"),
        "PF": f"{device.pf_name} ({device.pf})" if device.pf_name else device.pf,
        "driver": f"{device.driver} ({'for the kernel' if device.mode == KERNEL else 'for DPDK'})",
        "MAC": device.mac,
        "MTU": device.mtu or "",
    }


def _parts(found: Attachment) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what stands below the summary, by title."""
    port, record, device = found.port, found.record, found.device
    if device is not None:
        yield "counted by the kernel", {k: v for k, v in device.counters.items() if v}
        yield "set at the PF", device.settings
    if device is not None and device.allocation is not None:
        yield "before", {k: getattr(device.allocation, k) for k in ("settings", "netdev", "binding")}
    if port is not None:
        yield (
            "counted by the switch",
            {k: int(v) for k, v in port.interface["statistics"].items() if v != "0"},
        )
        yield "Port row", {k: v for k, v in port.port.items() if k != "name"}
        yield "Interface row", {k: v for k, v in port.interface.items() if k not in ("name", "statistics")}
    if record is not None:
        yield "result", record.result
        yield "configuration", record.config


def _made(created: int | None, now: float) -> str:
    if not created:
        return ""
    return f"{strftime('%Y-%m-%d %H:%M:%S UTC', gmtime(created))}, {listing.age(now - created)} ago"


def _pairs(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield "name  value" lines; empty values are left out, nested ones are JSON."""
    filled = {k: v for k, v in content.items() if v not in ("", None, [], {})}
    width = max(map(len, filled), default=0)
    for name, value in filled.items():
        if isinstance(value, dict) and name in ("external_ids", "options", "status"):
            yield f"{INDENT}{name}"
            yield from (INDENT + line for line in _pairs(value))
        else:
            shown = value if isinstance(value, str) else json.dumps(_lone(value))
            yield f"{INDENT}{name.ljust(width)}  {shown}"


def _lone(value: Any) -> Any:  # noqa: ANN401  a column's value
    return value[0] if isinstance(value, list) and len(value) == 1 else value
