"""Dialects: netconfs of other plugins, put into this plugin's own words.

Owns Intel's userspace-cni netconf: the `host` and `container` pair. What it
says becomes a source of native keys that carry the paths where they were
written, so that a mistake is shown in the user's own words.

Intel's semantics (its pkg/types/types.go and cniovs/cniovs.go): the port type
is dpdkvhostuserclient only where `host.vhost.mode` is "client", everything
else, an absent mode too, is a socket that the switch makes; bridges are
created when missing and deleted when empty; `container` describes the
application, by default as the inverse of the host. `netType: interface` is
refused for OVS there, too.
"""

from __future__ import annotations

from cni_userspace.cni.getter import MISSING, Getter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cni_userspace.cni.getter import Source

INTEL_ENGINES = ("ovs-dpdk", "vpp")
MODES = ("client", "server")
PORT_TYPES = {"client": "dpdkvhostuserclient", "server": "dpdkvhostuser"}
NATIVE = {  # Intel's key, its object -> the native key
    ("bridge", "bridgeName"): "bridge",
    ("bridge", "vlanId"): "vlan",
    ("vhost", "socketfile"): "socketName",
    ("vhost", "group"): "group",
}
MEMIF_KEYS = ("role", "mode", "socketfile")
NO_VPP = "is not supported: this plugin drives OVS-DPDK, not VPP"
NO_MEMIF = "is not supported: memif is an interface of VPP; OVS-DPDK has vhost-user"
NO_INTERFACE = "is not supported: a vhost-user port of OVS always belongs to a bridge"


class Side:
    """One of `host` and `container`: getters of the object and of the objects in it."""

    def __init__(self, getter: Getter) -> None:
        """Open the nested objects."""
        self.top = getter
        self.parts = {name: getter.child(name) for name in ("vhost", "bridge", "memif")}

    def getters(self) -> list[Getter]:
        """Return all getters, for their leftovers."""
        return [self.top, *self.parts.values()]


def translate(getter: Getter) -> tuple[Source, Source, list[Getter]]:
    """Return Intel's words as native keys, its defaults, and the getters that were used.

    Mistakes go to the getter.
    """
    host, container = Side(getter.child("host")), Side(getter.child("container"))
    native: Source = {}
    _host(host, native)
    mode_path, mode = host.parts["vhost"].find("mode")
    host_mode = host.parts["vhost"].choice("mode", MODES, "")
    if host_mode:
        _put(native, "interface_type", mode_path, PORT_TYPES[host_mode])
    _container(container, host_mode or "server", said=mode is not MISSING)
    _agree(getter, native)
    defaults: Source = {}
    _put(defaults, "interface_type", "Intel's default", PORT_TYPES["server"])
    _put(defaults, "createBridge", "Intel's default", value=True)
    _put(defaults, "deleteBridge", "Intel's default", value=True)
    return native, defaults, [*host.getters(), *container.getters()]


def _host(host: Side, native: Source) -> None:
    _engine(host, refuse_vpp=True)
    path, net_type = host.top.find("netType")
    if host.top.choice("netType", ("bridge", "interface"), "") == "interface":
        host.top.problems.refuse(path, net_type, NO_INTERFACE)
    for (part, key), name in NATIVE.items():
        path, value = host.parts[part].find(key)
        given = value if name == "vlan" else host.parts[part].text(key)
        if given is MISSING or given == "" or (name == "vlan" and given == 0 and given is not False):
            continue  # Go's zero value: not given
        _put(native, name, path, given)
    host.parts["bridge"].integer("bridgeId", 0, 2**31 - 1)  # deprecated, and VPP's


def _container(container: Side, host_mode: str, *, said: bool) -> None:
    """Check what the application is told; only its role matters to the switch."""
    _engine(container, refuse_vpp=False)
    container.top.choice("netType", ("bridge", "interface"), "")
    vhost, bridge = container.parts["vhost"], container.parts["bridge"]
    for key in ("group", "socketfile"):
        vhost.text(key)
    bridge.text("bridgeName")
    bridge.integer("bridgeId", 0, 2**31 - 1)
    bridge.integer("vlanId", 0, 4094)
    mode = vhost.choice("mode", MODES, "")
    if mode == host_mode:
        host = f"`host.vhost.mode` is {host_mode}" + ("" if said else ", the default")
        vhost.problems.add(
            vhost.find("mode")[0], mode, f"never meets its peer: {host}; one has to be the other"
        )


def _engine(side: Side, *, refuse_vpp: bool) -> None:
    problems = side.top.problems
    path, value = side.top.find("engine")
    if side.top.choice("engine", INTEL_ENGINES, "") == "vpp" and refuse_vpp:
        problems.refuse(path, value, NO_VPP)
    path, value = side.top.find("iftype")
    if side.top.choice("iftype", ("vhostuser", "memif"), "") == "memif":
        problems.refuse(path, value, NO_MEMIF)
    for key in MEMIF_KEYS:
        side.parts["memif"].text(key)


def _put(source: Source, key: str, path: str, value: Any) -> None:  # noqa: ANN401
    source[key.lower()] = (key, path, value)


def _agree(getter: Getter, native: Source) -> None:
    """Refuse a native key beside `host` that says something else than Intel's word for it."""
    for folded, (_, path, value) in native.items():
        _, beside, other = getter.sources[0].get(folded, ("", "", value))
        if other != value:
            getter.problems.add(path, value, f"contradicts {beside}")
