"""A topology to draw: two bridges, a chain of two functions, other ports, one end that waits."""

from __future__ import annotations

from cni_userspace.node.topology import Bridge, Drawn, Plug, Wire

DATABASE = "unix:/run/openvswitch/db.sock"


def plug(port: str, number: int | None, container: str = "", interface: str = "", **more: object) -> Plug:
    """Return a port that is up, of the usual type for what it is."""
    kind = "dpdkvhostuserclient" if container else "dpdk"
    given = {"kind": kind, "vlan": "", "up": True, **more}
    return Plug(port=port, number=number, container=container, interface=interface, **given)  # type: ignore[arg-type]


CHAIN = Drawn(
    bridges=(
        Bridge(
            name="br-left",
            database=DATABASE,
            plugs=(
                plug("dpdk0", 1),
                plug("vhu1q0t9m3v5rs0", 2, "default/ips", "net1", network="outside", wire="port:dpdk0"),
                plug("vhu7dn2k4b1p0as", 3, "default/ips", "net2", network="between", wire="between"),
                plug("vhu93mf0l2qt6eu", 4, "default/waf", "net1", network="between", wire="between"),
                plug("vhuc0ffee000001", 5, "4be1a90c33f7", "net1", network="spare", wire="tap", up=False),
            ),
            wires=(
                Wire(name="between", ports=("vhu7dn2k4b1p0as", "vhu93mf0l2qt6eu")),
                Wire(name="port:dpdk0", ports=("vhu1q0t9m3v5rs0", "dpdk0")),
                Wire(name="tap", ports=("vhuc0ffee000001",)),
            ),
        ),
        Bridge(
            name="br-right",
            database=DATABASE,
            plugs=(
                plug("dpdk1", 1),
                plug("vhu2hl8s0d4k1vq", 2, "default/waf", "net2", network="inside", wire="port:dpdk1"),
                plug("vhu5a0j1r7c3m9t", 3, "default/desk", "net1", network="office", vlan="trunk 10,20-25"),
                plug("vhul0st00000000", 4, "default/desk", "net2", network="office", vlan="10", up=False),
            ),
            wires=(Wire(name="port:dpdk1", ports=("vhu2hl8s0d4k1vq", "dpdk1")),),
        ),
    ),
)
