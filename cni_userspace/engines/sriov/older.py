"""Older keys of Intel's sriov-cni, put into our own words.

Owns `if0`, `if0name`, `l2enable`, `cniDir` and the object form of `dpdk`, as
Intel's fork of hustcat/sriov-cni had them before 2.0 (its sriov/sriov.go). What
they say becomes a source of keys of ours that carry the paths where they were
written. Few networks load this.
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.cni.getter import MISSING
from cni_userspace.engines.sriov.conf import VFS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cni_userspace.cni.getter import Getter, Source

IDLE = ("ifname", "kernel_driver", "dpdk_tool")  # known, and without effect here
KEYS = ("pci_addr", "vfid", "dpdk_driver", *IDLE)


def translate(getter: Getter) -> tuple[str, bool]:
    """Give the getter what the older keys say; return `if0name` and `l2enable`.

    `l2enable` means that the container gets no addresses. Mistakes go to the getter.
    """
    native: Source = {}
    path, master = getter.find("if0")
    _put(getter, native, "master", path, master)
    if isinstance(getter.find("dpdk")[1], dict):
        _dpdk(getter, native)
    getter.sources = [*getter.sources[:1], native, *getter.sources[1:]]
    getter.text("cniDir")
    return getter.text("if0name", check=forms.switch_name), getter.flag("l2enable", default=False)


def _dpdk(getter: Getter, native: Source) -> None:
    """Read the object. Go's zero value, an object that says nothing, asks for nothing."""
    inner = getter.child("dpdk")
    for key in IDLE:
        inner.text(key)
    path, driver = inner.find("dpdk_driver")
    _put(getter, native, "dpdkDriver", path, driver)
    device, index = inner.text("pci_addr"), inner.integer("vfid", *VFS)
    if device and not getter.device[1]:
        getter.device = (inner.find("pci_addr")[0], device)
    if index is not None and not getter.device[1]:  # else the device is named already
        _put(getter, native, "vf", inner.find("vfid")[0], index)
    asked = any(inner.find(key)[1] not in (MISSING, "") for key in KEYS)
    getter.sources = [_with(source, "dpdk", asked) for source in getter.sources]
    unknown = inner.leftovers()
    if unknown:
        from cni_userspace.cni.mistakes import unknown_of

        getter.problems.mistakes += [unknown_of(key, where, KEYS) for key, where, _ in unknown]


def _put(getter: Getter, native: Source, key: str, path: str, value: Any) -> None:  # noqa: ANN401  any JSON value
    """Say a key of ours; where the netconf has it, too, it must say the same."""
    if value is MISSING or value == "":
        return
    native[key.lower()] = (key, path, value)
    _, beside = getter.find(key)
    if beside not in (MISSING, "", value) and not getter.from_node(key):
        getter.problems.add(path, value, f"contradicts `{key}`")


def _with(source: Source, key: str, value: object) -> Source:
    """Return a source in which a nested object is replaced by a value; others as they are."""
    name, path, given = source.get(key, ("", "", None))
    return {**source, key: (name, path, value)} if isinstance(given, dict) else source
