"""The topology drawn as text and as SVG."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from cni_userspace.attach.store import Key
from cni_userspace.node import svg, topology
from cni_userspace.node.devices import Device
from cni_userspace.node.view import Attachment, View
from tests.support.picture import CHAIN, plug

SVG = "{http://www.w3.org/2000/svg}"


def words(picture: str) -> list[str]:
    """Return every text of an SVG."""
    return ["".join(t.itertext()) for t in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314  our own


def test_the_text_is_a_tree_of_databases_bridges_and_ports() -> None:
    lines = list(topology.text(CHAIN))
    assert lines[0] == "unix:/run/openvswitch/db.sock"
    assert [line for line in lines if line.endswith(("br-left", "br-right"))] == ["├─ br-left", "└─ br-right"]
    assert "│  ├─ vhu1q0t9m3v5rs0  2  default/ips net1   connected" in lines
    assert "   ├─ vhu5a0j1r7c3m9t  3  default/desk net1  connected  VLAN trunk 10,20-25" in lines


def test_the_text_tells_wires_and_lone_ends() -> None:
    lines = "\n".join(topology.text(CHAIN))
    assert "wire between: vhu7dn2k4b1p0as <-> vhu93mf0l2qt6eu" in lines
    assert "wire tap: vhuc0ffee000001 (a lone end)" in lines


def test_the_picture_names_every_bridge_port_container_and_wire() -> None:
    told = words(svg.render(CHAIN))
    for bridge in CHAIN.bridges:
        assert bridge.name in told
        for end in bridge.plugs:
            assert end.port in told
            assert not end.container or end.container in told
    assert {"between", "to dpdk0", "to dpdk1", "tap (lone)"} <= set(told)


def test_the_picture_links_each_attachment_and_brackets_each_wire() -> None:
    root = ET.fromstring(svg.render(CHAIN))  # noqa: S314  our own
    styles = [path.get("class", "") for path in root.iter(f"{SVG}path")]
    assert len([s for s in styles if s.startswith("link")]) == 7
    assert len([s for s in styles if "waiting" in s]) == 2
    assert len([s for s in styles if s.startswith("wire")]) == 4


def test_nothing_in_the_picture_stands_outside_of_it() -> None:
    root = ET.fromstring(svg.render(CHAIN))  # noqa: S314  our own
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for part in (*root.iter(f"{SVG}rect"), *root.iter(f"{SVG}text")):
        x, y = float(part.get("x", 0)), float(part.get("y", 0))
        assert 0 <= x + float(part.get("width", 0)) <= width
        assert 0 <= y + float(part.get("height", 0)) <= height


@pytest.mark.parametrize("name", ["<script>", 'a"b&c', "bell\a", "é漢"])
def test_any_name_makes_a_whole_picture(name: str) -> None:
    bridge = replace(CHAIN.bridges[0], name=name, plugs=(plug(name, 1, name, name),), wires=())
    assert any(name[:3] in told for told in words(svg.render(topology.Drawn(bridges=(bridge,)))))


PFS = topology.Drawn(
    bridges=(),
    pfs=(
        topology.Pf(
            name="enp1s0",
            pci="0000:01:00.0",
            vfs=7,
            plugs=(
                plug("0000:01:10.0", 0, "lab/ips", "net1", kind="igbvf", link="up", vlan="7"),
                plug("0000:01:10.4", 2, "lab/waf", "net1", kind="vfio-pci", link="bound"),
                plug("0000:01:10.6", 3, "lab/old", "net1", kind="gone", link="gone", up=False),
            ),
        ),
        topology.Pf(
            name="enp2s0",
            pci="0000:02:00.0",
            vfs=0,
            plugs=(plug("0000:02:00.0", None, "lab/fw", "net0", kind="igb", link="no-carrier", up=False),),
        ),
    ),
)


def test_vfs_and_whole_pfs_stand_below_their_pf() -> None:
    assert list(topology.text(PFS)) == [
        "SR-IOV",
        "├─ enp1s0  0000:01:00.0  3 of 7 VFs attached",
        "│  ├─ 0000:01:10.0  0  lab/ips net1  up, igbvf        VLAN 7",
        "│  ├─ 0000:01:10.4  2  lab/waf net1  bound, vfio-pci",
        "│  └─ 0000:01:10.6  3  lab/old net1  gone",
        "└─ enp2s0  0000:02:00.0",
        "   └─ 0000:02:00.0    lab/fw net0  no-carrier, igb",
    ]


def test_the_picture_has_the_pfs_beside_the_bridges() -> None:
    told = words(svg.render(replace(CHAIN, pfs=PFS.pfs)))
    for pf in PFS.pfs:
        assert {
            pf.name,
            f"PF {pf.pci}",
            *(p.port for p in pf.plugs),
            *(p.container for p in pf.plugs),
        } <= set(told)
    assert {"igbvf, VLAN 7", "vfio-pci"} <= set(told)


def test_attachments_stand_below_the_pf_that_their_device_has() -> None:
    key = Key(network="fast", container_id="c1", ifname="net1")
    devices = [
        Device(pci=f"0000:fe:10.{n}", pf="0000:fe:00.0", vf=n, mode="kernel", driver="igbvf", link=link)
        for n, link in ((1, "gone"), (0, "up"))
    ]
    (pf,) = topology.draw(View(attachments=tuple(Attachment(key=key, device=d) for d in devices))).pfs
    assert (pf.pci, pf.name, pf.vfs) == ("0000:fe:00.0", "", 0)
    assert [(p.number, p.kind, p.up) for p in pf.plugs] == [(0, "igbvf", True), (1, "gone", False)]


def test_nothing_is_a_picture_too() -> None:
    assert "there is no bridge" in words(svg.render(topology.Drawn(bridges=())))
