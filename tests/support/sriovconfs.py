"""A corpus of SR-IOV network configurations, good and bad, that parser and schema must judge alike.

`UNSAID` are bad ones whose reason JSON Schema has no words for, as in `netconfs`.
"""

from __future__ import annotations

from typing import Any

from cni_userspace import schema
from tests.support.netconfs import WRONG, Config, base, without

VF = "0000:af:06.1"
MAC = "02:00:00:00:00:01"
OLD = {
    "kernel_driver": "ixgbevf",
    "dpdk_driver": "igb_uio",
    "dpdk_tool": "/opt/dpdk/usertools/dpdk-devbind.py",
}
HOST_LOCAL = {"type": "host-local", "subnet": "10.55.206.0/26", "gateway": "10.55.206.1"}
UNSET = object()
TABLE: tuple[tuple[object, object, object, bool], ...] = (  # vlan, vlanQoS, vlanProto, valid: sriov-cni's own
    (100, UNSET, UNSET, True),
    (5000, UNSET, UNSET, False),
    (0, 1, UNSET, False),
    (0, UNSET, "802.1ad", False),
    (100, 10, UNSET, False),
    (100, UNSET, "802", False),
    (100, UNSET, "802.1Q", True),
    (100, UNSET, "802.1ad", True),
    (UNSET, 1, UNSET, False),
    (UNSET, 0, UNSET, False),
    (UNSET, UNSET, "802.1q", False),
    (0, 0, "802.1Q", True),
    (4094, 7, "802.1AD", True),
    (4095, UNSET, UNSET, False),
    (-1, UNSET, UNSET, False),
    (100, 8, UNSET, False),
)
# The delegate of Arm's deployment document, as Multus of that day completed it: no name, no cniVersion.
ARM: Config = {
    "type": "sriov",
    "master": "eth1",
    "pfOnly": True,
    "ipam": {
        "type": "host-local",
        "subnet": "192.168.123.0/24",
        "rangeStart": "192.168.123.2",
        "rangeEnd": "192.168.123.10",
        "routes": [{"dst": "0.0.0.0/0"}],
        "gateway": "192.168.123.1",
    },
}


def vf(**keys: Any) -> Config:  # noqa: ANN401  any JSON value
    return base(deviceID=VF, **keys)


def of(**keys: Any) -> Config:  # noqa: ANN401  any JSON value
    """Return a network of a VF of eth1."""
    return base(master="eth1", **keys)


def pf(**keys: Any) -> Config:  # noqa: ANN401  any JSON value
    return base(master="eth1", pfOnly=True, **keys)


def tagged(vlan: object, qos: object, proto: object) -> Config:
    keys = {"vlan": vlan, "vlanQoS": qos, "vlanProto": proto}
    return vf(**{key: value for key, value in keys.items() if value is not UNSET})


GOOD: dict[str, Config] = {
    "a VF by its address": vf(),
    "a VF by its address in capitals": base(deviceID="0000:AF:06.1"),
    "a VF from Multus": base(deviceID=VF, pciBusID=VF, runtimeConfig={"deviceID": VF}, engine="sriov"),
    "a VF from Multus as a capability": base(engine="sriov", runtimeConfig={"deviceID": VF}),
    "a VF as pciBusID": base(engine="sriov", pciBusID=VF),
    "an address without a domain": base(engine="sriov", deviceID="af:06.1"),
    "a VF and its PF": vf(master="eth1"),
    "the first free VF": of(),
    "the first free VF of a PF by address": base(master="0000:AF:00.0"),
    "the same without the domain": base(master="af:00.0"),
    "the last VF there can be": of(vf=65534),
    "the first VF": of(vf=0),
    "the engine said": base(engine="sriov", master="eth1"),
    "every setting": vf(
        mac=MAC,
        vlan=1000,
        vlanQoS=4,
        vlanProto="802.1ad",
        min_tx_rate=100,
        max_tx_rate=200,
        spoofchk="off",
        trust="on",
        link_state="enable",
        mtu=9000,
    ),
    "settings left empty": vf(vlanProto="", spoofchk="", trust="", link_state="", dpdkDriver="", if0name=""),
    "rates of 32 bits": vf(min_tx_rate=4294967295, max_tx_rate=4294967295),
    "equal rates": vf(min_tx_rate=5, max_tx_rate=5),
    "a least rate without a most": vf(min_tx_rate=5),
    "a least rate, and the most off": vf(min_tx_rate=5, max_tx_rate=0),
    "DHCP": vf(ipam={"type": "dhcp"}),
    "DHCP without DPDK": vf(ipam={"type": "dhcp"}, dpdk=False),
    "for DPDK": vf(dpdk=True),
    "for DPDK by UIO": vf(dpdk=True, dpdkDriver="uio_pci_generic", ipam=HOST_LOCAL),
    "the PF": pf(),
    "the PF with an MTU": pf(mtu=9000, ipam={"type": "dhcp"}),
    "the PF for DPDK": pf(dpdk=True),
    "no PF said": of(pfOnly=False, vf=1, mac=MAC),
    "a PF by deviceID alone": vf(pfOnly=True),
    "Arm's document": ARM,
    "Arm's document before Multus completed it": without(ARM, "type"),
    "Arm's document today": {**ARM, "cniVersion": "1.0.0", "name": "sriov-conf", "type": "userspace"},
    "sriov-cni by its own name": {
        "type": "sriov",
        "name": "n",
        "cniVersion": "0.3.1",
        "deviceID": VF,
        "vlan": 0,
    },
    "hustcat: the VF 1": {
        "name": "mynet",
        "type": "sriov",
        "master": "eth1",
        "vf": 1,
        "mac": MAC,
        "ipam": HOST_LOCAL,
    },
    "Intel: a VF": {"name": "mynet", "type": "sriov", "if0": "enp1s0f1", "if0name": "net0", "vlan": 7},
    "Intel: a VF for DPDK": {"name": "mynet", "type": "sriov", "if0": "enp1s0f1", "dpdk": OLD},
    "Intel: the same PF twice": of(if0="eth1"),
    "Intel: layer 2 only": base(if0="eth1", l2enable=True, cniDir="/var/lib/cni/sriov", ipam=HOST_LOCAL),
    "Intel: a device for DPDK": base(dpdk={**OLD, "pci_addr": VF, "vfid": 3, "ifname": "net1"}),
    "Intel: an index for DPDK": of(dpdk={"vfid": 3}),
    "Intel: no DPDK": of(dpdk={}, ipam={"type": "dhcp"}),
    **{f"the table: {row[:3]}": tagged(*row[:3]) for row in TABLE if row[3]},
}

BAD: dict[str, Config] = {
    "no device": base(engine="sriov"),
    "no device by its own name": base(type="sriov"),
    "an empty PF": base(engine="sriov", master="", deviceID=""),
    "an auxiliary device": base(engine="sriov", deviceID="mlx5_core.sf.4"),
    "an auxiliary device as a capability": of(runtimeConfig={"deviceID": "mlx5_core.sf.4"}),
    "an auxiliary device as pciBusID": base(type="sriov", pciBusID="mlx5_core.sf.4"),
    "an address with a digit too many": base(engine="sriov", deviceID="0000:af:006.1"),
    "an address with another dot": base(engine="sriov", deviceID="0000.af.06.1"),
    "a PF of 16 characters": base(master="e" * 16),
    "a PF with a slash": base(master="eth/1"),
    "a PF called ..": base(master=".."),
    "a PF that is half an address": base(master="0000:af"),
    "a PF with an alias": base(master="eth1:0"),
    "a VF without a PF": base(vf=1),
    "a VF with its address": vf(master="eth1", vf=1),
    "VF -1": of(vf=-1),
    "VF 65535": of(vf=65535),
    "a PF that is not named": base(pfOnly=True),
    "a rate below 0": vf(min_tx_rate=-1),
    "a rate over 32 bits": vf(max_tx_rate=4294967296),
    "spoofchk as a boolean": vf(spoofchk=True),
    "trust yes": vf(trust="yes"),
    "a link state up": vf(link_state="up"),
    "MTU 67": vf(mtu=67),
    "MTU 65536": vf(mtu=65536),
    "another driver": vf(dpdk=True, dpdkDriver="igbvf"),
    "DHCP for DPDK": vf(dpdk=True, ipam={"type": "dhcp"}),
    "DHCP for DPDK of Intel's": of(dpdk=OLD, ipam={"type": "dhcp"}),
    "a group address": vf(mac="01:00:00:00:00:01"),
    "masquerading": vf(ipMasq=True),
    "a bridge": of(bridge="br0"),
    "a trunk": vf(engine="sriov", trunk=[{"id": 7}]),
    "anti-spoofing": of(antiSpoofing=True),
    "Intel's other plugin": of(engine="sriov", host={}),
    "an unknown key": vf(spoofcheck="on"),
    "no type today": {**without(ARM, "type"), "cniVersion": "1.0.0", "name": "n"},
    "no type of a VF by its address": {"deviceID": VF},
    "the PF with its own name as CNI's": pf(mac=MAC),
    "the PF with the runtime's MAC": pf(runtimeConfig={"mac": MAC}),
    "the PF with a MAC in args": pf(args={"cni": {"mac": MAC}}),
    "the PF with Intel's index": pf(vf=0),
    "the PF in a VLAN": pf(vlan=7),
    "the PF in VLAN 0": pf(vlan=0),
    "the PF with a priority": pf(vlanQoS=1),
    "the PF with a protocol": pf(vlanProto="802.1q"),
    "the PF with a least rate": pf(min_tx_rate=0),
    "the PF with a most rate": pf(max_tx_rate=100),
    "the PF checked": pf(spoofchk="on"),
    "the PF trusted": pf(trust="on"),
    "the PF with a link state": pf(link_state="auto"),
    "Intel: an unknown key": of(dpdk={**OLD, "driver": "x"}),
    "Intel: another driver": of(dpdk={"dpdk_driver": "igbvf"}),
    "Intel: an index without a PF": base(dpdk={"vfid": 1}),
    "Intel: a bad device": base(dpdk={"pci_addr": "mlx5_core.sf.4"}),
    "Intel: a bad name": base(if0="eth1", if0name="a/b"),
    **{f"the table: {row[:3]}": tagged(*row[:3]) for row in TABLE if not row[3]},
}

UNSAID: dict[str, Config] = {
    "a least rate over the most": vf(min_tx_rate=6, max_tx_rate=5),
    "Intel: another PF": of(if0="eth2"),
    "Intel: another VF": of(vf=1, dpdk={"vfid": 2}),
    "Intel: another userspace driver": of(dpdkDriver="vfio-pci", dpdk=OLD),
}

KEYS = tuple(schema.engines()["sriov"]["properties"])
TYPED: dict[str, Config] = {
    f"{how}, {key} = {value!r}": {**network, key: value}
    for how, network in {
        "a VF": vf(),
        "of a PF": of(),
        "the PF": pf(),
        "without a device": base(type="sriov"),
    }.items()
    for key in KEYS
    for value in WRONG
    if not ("master" in network and key == "if0" and value == "text")  # two PFs: see UNSAID
}
NESTED: dict[str, Config] = {
    f"dpdk.{key} = {value!r}": of(dpdk={key: value})
    for key in schema.engines()["sriov"]["properties"]["dpdk"]["properties"]
    for value in WRONG
}
