"""What runtimes put into a netconf: runtimeConfig, args, prevResult, devices, GC's list.

Owns their reading and their precedence: the runtime's MAC counts before that
of CNI_ARGS, that before `args.cni.mac`, that before the netconf's own. A
runtime that says nothing may say null (Go's nil maps).
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.cni.getter import MISSING, Getter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def read(getter: Getter, args: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of NetConf that a runtime may fill in, and the keys that it overrides.

    Tells the getter of the MAC and the device, for the engine's parser.
    """
    runtime = getter.child("runtimeConfig", own=True, null=True)
    theirs = getter.child("args", own=True, null=True).child("cni", null=True)
    beside = Getter([{k.lower(): (k, f"CNI_ARGS: {k}", v) for k, v in args.items()}], getter.problems)
    macs = [
        (where.find("mac", own=True)[0], where.text("mac", check=forms.mac, own=True))
        for where in (runtime, beside, theirs, getter)
    ]
    devices = [
        (where.find(key, own=True)[0], where.text(key, own=True))
        for where, key in ((runtime, "deviceID"), (getter, "deviceID"), (getter, "pciBusID"))
    ]
    getter.mac = next((found for found in macs if found[1]), ("", ""))
    getter.device = next((found for found in devices if found[1]), ("", ""))
    ips = [_texts(runtime, "ips"), _texts(theirs, "ips")]
    return {
        "mac": forms.plain_mac(getter.mac[1]),
        "ips": ips[0] or ips[1],
        "device_id": getter.device[1],
        "device_info_file": runtime.text("CNIDeviceInfoFile", check=forms.path),
        "prev_result": mapping(getter, "prevResult"),
        "valid_attachments": _attachments(getter),
    }


def _texts(getter: Getter, key: str) -> tuple[str, ...]:
    found = []
    for path, item in getter.items(key):
        if isinstance(item, str):
            found.append(item)
        else:
            getter.problems.add(path, item, "is no string")
    return tuple(found)


def mapping(getter: Getter, key: str) -> Mapping[str, Any] | None:
    """Return an object of the netconf's own, None when it is absent or null."""
    path, value = getter.find(key, own=True)
    if value is MISSING or value is None:
        return None
    if not isinstance(value, dict):
        getter.problems.add(path, value, "is no object")
        return None
    return value


def _attachments(getter: Getter) -> tuple[tuple[str, str], ...] | None:
    """Return GC's list; None where it is absent or not wholly understood, so that nothing is removed."""
    for key in ("cni.dev/valid-attachments", "cni.dev/attachments"):
        path, value = getter.find(key, own=True)
        if value is MISSING or value is None:
            continue
        pairs = [_attachment(item) for item in value] if isinstance(value, list) else [None]
        if None in pairs:
            getter.problems.add(path, value, 'is no list of {"containerID": ..., "ifname": ...}')
            return None
        return tuple(pair for pair in pairs if pair)
    return None


def _attachment(item: object) -> tuple[str, str] | None:
    if not isinstance(item, dict):
        return None
    folded = {key.lower(): value for key, value in item.items()}
    pair = (folded.get("containerid"), folded.get("ifname"))
    return pair if all(isinstance(part, str) and part for part in pair) else None  # type: ignore[return-value]
