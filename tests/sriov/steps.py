"""The steps of an ADD and a DEL of a VF, each known by its system call.

Owns that ADD's netconf, and at which system call each effect comes: found by
strace(1), which reads the kernel's own protocol, so nothing in the plugin need
be known for it. Of sockets in other namespaces than its own it shows bytes.
"""

from __future__ import annotations

import compileall
import json
import os
from typing import TYPE_CHECKING, Any

from tests.support import faults
from tests.support.child import RigError
from tests.support.netns import Netns
from tests.support.plugin import Plugin

if TYPE_CHECKING:
    from tests.support.faults import Point
    from tests.support.guest.nic import Vf

MAC = "02:00:00:00:00:07"
ADDRESS = "10.9.0.5/24"
VLAN, MTU = 5, 1400
KINDS = ("sendto", "rename")
IN_CONTAINER = {  # linux/if_link.h: the kind of message; the attribute with its length, kind, value
    "mtu": ("nlmsg_type=0x13", r"\x08\x00\x04\x00\x78\x05"),
    "home": ("nlmsg_type=0x13", r"\x08\x00\x1c\x00"),
}


def netconf(plugin: Plugin, vf: Vf) -> dict[str, Any]:
    """Return the netconf whose steps are known."""
    keys: dict[str, Any] = {
        "deviceID": vf.address,
        "vlan": VLAN,
        "mac": MAC,
        "mtu": MTU,
        "ipam": {"type": "static", "addresses": [{"address": ADDRESS}]},
    }
    return plugin.conf(bridge=None, **keys)


class Steps:
    """The system calls of that ADD and its DEL, each named by what it does."""

    def __init__(self, vf: Vf) -> None:
        """Run both once, unbroken."""
        compileall.compile_dir(os.path.join(faults.ROOT, "cni_userspace"), quiet=2)  # a first call would
        with Plugin(None) as plugin, Netns() as netns:
            conf = json.dumps(netconf(plugin, vf)).encode()
            add, delete = (
                faults.points(plugin, plugin.words(verb, "traced", netns.path), conf, KINDS)
                for verb in ("ADD", "DEL")
            )
        self.allocates = _where(add, "/devices/", "allocation.json")
        self.sets_vlan = _where(add, "RTM_SETLINK", "IFLA_VF_VLAN")
        self.moves = _where(add, "RTM_SETLINK", "IFLA_NET_NS_FD")
        self.sets_mtu = _where(add, *IN_CONTAINER["mtu"])
        self.records_the_end = _where(add[::-1], "/attachments/")
        self.goes_home = _where(delete[::-1], *IN_CONTAINER["home"])


def _where(points: list[Point], *words: str) -> Point:
    for point in points:
        if all(word in point.words for word in words):
            return point
    raise RigError(f"no system call with {words} in:\n" + "\n".join(point.words for point in points))
