"""A corpus of network configurations, good and bad, that parser and schema must judge alike.

`SAID` are those whose verdict JSON Schema can give; `UNSAID` are bad ones
whose reason it has no words for.
"""

from __future__ import annotations

from typing import Any

from cni_userspace import schema

Config = dict[str, Any]

BASE: Config = {"cniVersion": "1.0.0", "name": "net-a", "type": "userspace"}
INTEL_SIDE: Config = {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "bridge"}
WRONG: tuple[Any, ...] = ("text", 7, -1, 1.5, True, None, [], [1], {}, {"a": 1})


def base(**keys: Any) -> Config:  # noqa: ANN401  any JSON value
    return {**BASE, **keys}


def host(**keys: Any) -> Config:  # noqa: ANN401  any JSON value
    return base(host={**INTEL_SIDE, **keys})


def sides(host_mode: str | None, container_mode: str | None) -> Config:
    modes = {"host": host_mode, "container": container_mode}
    return base(**{side: {"vhost": {"mode": mode} if mode else {}} for side, mode in modes.items()})


def without(config: Config, *keys: str) -> Config:
    return {key: value for key, value in config.items() if key not in keys}


GOOD: dict[str, Config] = {
    "nothing but the network": BASE,
    "no cniVersion and no name": {"type": "userspace"},
    "an empty cniVersion": {"cniVersion": "", "type": "userspace"},
    "nameless at 0.2.0": {"cniVersion": "0.2.0", "type": "userspace"},
    "every version": base(cniVersion="1.1.0"),
    "the engine said": base(engine="ovs-dpdk"),
    "an empty engine": base(engine=""),
    "an access VLAN": base(bridge="br-a", vlan=100),
    "VLAN 0": base(vlan=0),
    "VLAN 4094": base(vlan=4094),
    "a number without a fraction": base(vlan=100.0),
    "a trunk": base(trunk=[{"id": 42}, {"minID": 1000, "maxID": 1010}]),
    "a trunk of one VLAN": base(trunk=[{"minID": 5, "maxID": 5}]),
    "a trunk with VLAN 0": base(trunk=[{"id": 0}]),
    "a trunk with a native VLAN": base(vlan=7, trunk=[{"id": 42}]),
    "jumbo frames": base(mtu=9000),
    "the least MTU": base(mtu=68),
    "the most MTU": base(mtu=65535),
    "an ofport": base(ofport_request=65279),
    "a client port": base(interface_type="dpdkvhostuserclient"),
    "a server port": base(interface_type="dpdkvhostuser", socketMode="0660"),
    "a database by path": base(socket_file="/run/openvswitch/db.sock"),
    "a database by unix:": base(socket_file="unix:/run/openvswitch/db.sock"),
    "a database by tcp:": base(socket_file="tcp:127.0.0.1:6640"),
    "a database by tcp: and IPv6": base(socket_file="tcp:[::1]:6640"),
    "a database by name": base(socket_file="tcp:ovs.example:65535"),
    "no database": base(socket_file=""),
    "names of our own": base(portName="vm7", socketName="eth0.sock"),
    "owner and group by name": base(owner="qemu", group="hugetlbfs", dirMode="0750"),
    "owner and group by number": base(owner=107, group="107", dirMode="2770"),
    "bridges come and go": base(createBridge=True, deleteBridge=True),
    "a MAC": base(mac="02:00:00:00:00:0A"),
    "a MAC with hyphens": base(mac="02-00-00-00-00-0a"),
    "a MAC with dots": base(mac="0200.0000.000a"),
    "an empty MAC": base(mac=""),
    "places": base(sharedDir="/run/a//b/", containerPath="/x", kubeconfig="/k", logFile="/l"),
    "logLevel in capitals": base(logLevel="DEBUG"),
    "keys in another case": base(MAC="02:00:00:00:00:01", VLAN=7, LogFile="/l", deviceId="x"),
    "two spellings that agree": base(vlan=7, VLAN=7),
    "a timeout": base(timeout=40),
    "an IPAM plugin": base(ipam={"type": "host-local", "ranges": [[{"subnet": "10.0.0.0/24"}]]}),
    "no IPAM plugin": base(ipam={}),
    "no masquerading": base(ipMasq=False),
    "what runtimes put in": base(
        capabilities={"mac": True},
        runtimeConfig={
            "mac": "02:00:00:00:00:01",
            "ips": ["10.0.0.1/24"],
            "deviceID": "0000:03:00.1",
            "CNIDeviceInfoFile": "/run/x",
            "portMappings": [],
        },
        args={"cni": {"mac": "02:00:00:00:00:02", "ips": ["fd00::1/64"], "labels": []}, "other": 1},
        prevResult={"cniVersion": "1.0.0"},
        dns={"nameservers": ["10.0.0.2"]},
        deviceID="0000:03:00.1",
        pciBusID="0000:03:00.1",
        bridge="br0",
        **{"cni.dev/anything": 1},
    ),
    "what runtimes put in as null": base(runtimeConfig=None, args=None, prevResult=None, dns=None),
    "GC's list": base(**{"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "net1"}]}),
    "GC's older list": base(**{"cni.dev/attachments": []}),
    "a device that is no PCI device": base(deviceID="vhost-1", bridge="br0"),
    "a PCI device from Multus beside a bridge": base(
        deviceID="0000:03:00.1", pciBusID="0000:03:00.1", bridge="b"
    ),
    "ovs-cni's polling": base(link_state_check_retries=5, link_state_check_interval=1000),
    "an access port said": base(vlan=7, vlanMode="access"),
    "a trunk said": base(vlanMode="trunk", trunk=[{"id": 5}]),
    "a trunk of all VLANs said": base(vlanMode="trunk"),
    "a native tagged VLAN": base(vlan=7, vlanMode="native-tagged", trunk=[{"id": 5}]),
    "a native VLAN in a trunk of all": base(vlan=7, vlanMode="native-untagged"),
    "a tunnel": base(vlan=100, vlanMode="dot1q-tunnel"),
    "a tunnel with customer VLANs": base(
        vlan=100, vlanMode="dot1q-tunnel", cvlans=[{"id": 0}, {"minID": 2, "maxID": 9}]
    ),
    "no VLAN mode": base(vlanMode=""),
    "policing": base(ingressPolicing={"rate": 1000, "burst": 100}),
    "policing with the switch's burst": base(ingressPolicing={"rate": 1}),
    "shaping": base(egressShaping={"Rate": 4294967295, "burst": 13}),
    "a protected port": base(protected=True, vlan=7),
    "no retries": base(txRetriesMax=0),
    "most retries": base(txRetriesMax=32, interface_type="dpdkvhostuserclient"),
    "external ids": base(externalIds={"vm-id": "7", "a": ""}),
    "no external ids": base(externalIds={}),
    "an OVN port": base(ovnPort="default_pod-1"),
    "an OVN port in args": base(args={"cni": {"ovnPort": "lsp"}}),
    "anti-spoofing": base(antiSpoofing=True, vlan=7),
    "the learning switch said": base(wiring="normal", vlan=7, antiSpoofing=True),
    "a controller's port": base(wiring="none"),
    "a controller's port, its MAC free": base(wiring="none", antiSpoofing=False, protected=False),
    "a segment": base(segment="fw-1.inside_A", antiSpoofing=True),
    "no segment": base(segment="", wiring="normal"),
    "a port to be wired to": base(peerPort="dpdk0"),
    "Intel: a VLAN beside a mode": {**host(bridge={"vlanId": 7}), "vlanMode": "access"},
    "Intel: retries in client mode": {**host(vhost={"mode": "client"}), "txRetriesMax": 3},
    "Intel: the whole": base(
        kubeconfig="/etc/cni/net.d/multus.d/multus.kubeconfig",
        logFile="/var/log/userspace.log",
        logLevel="debug",
        host={**INTEL_SIDE, "vhost": {"mode": "server"}, "bridge": {"bridgeName": "br-4"}},
        container={**INTEL_SIDE, "netType": "interface", "vhost": {"mode": "client"}},
        ipam={"type": "host-local", "subnet": "10.56.217.0/24"},
    ),
    "Intel: an example without IPAM": {
        "cniVersion": "0.2.0",
        "type": "userspace",
        "host": {"engine": "ovs-dpdk", "iftype": "vhostuser"},
    },
    "Intel: everything in the host": host(
        vhost={"mode": "client", "group": "hugetlbfs", "socketfile": "a.sock"},
        bridge={"bridgeName": "br1", "bridgeId": 4, "vlanId": 7},
        memif={"role": "master", "mode": "ethernet", "socketfile": "m"},
    ),
    "Intel: empty strings": host(netType="", vhost={"mode": "", "socketfile": ""}, bridge={"vlanId": 0}),
    "Intel: VPP in the container": base(host=INTEL_SIDE, container={"engine": "vpp"}),
    "Intel: client and server": sides("client", "server"),
    "Intel: server and client": sides("server", "client"),
    "Intel: the default and client": sides(None, "client"),
    "Intel: native keys beside it": {**host(bridge={"bridgeName": "br1"}), "bridge": "br1", "mtu": 9000},
    "Intel: server by default, with a mode": {**host(), "socketMode": "0666"},
}

BAD: dict[str, Config] = {
    "no type": without(BASE, "type"),
    "no name at 1.0.0": without(BASE, "name"),
    "a name with a space": base(name="net a"),
    "an unknown version": base(cniVersion="9.9.9"),
    "a version that is a number": base(cniVersion=1),
    "an unknown key": base(vlna=7),
    "a key of another engine": base(bridge="br0", spoofchk="on"),
    "an unknown engine": base(engine="ovs"),
    "VPP": base(engine="vpp"),
    "VLAN 4095": base(vlan=4095),
    "VLAN -1": base(vlan=-1),
    "half a VLAN": base(vlan=1.5),
    "a VLAN in quotes": base(vlan="7"),
    "an empty VLAN": base(vlan=""),
    "an empty trunk": base(trunk=[]),
    "a trunk of numbers": base(trunk=[42]),
    "a trunk entry with nothing in it": base(trunk=[{}]),
    "a trunk range without an end": base(trunk=[{"minID": 1}]),
    "a trunk entry of both kinds": base(trunk=[{"id": 1, "minID": 1, "maxID": 2}]),
    "a trunk with VLAN 4095": base(trunk=[{"id": 4095}]),
    "a trunk range up to 4095": base(trunk=[{"minID": 1, "maxID": 4095}]),
    "a trunk with an unknown key": base(trunk=[{"id": 1, "vid": 2}]),
    "MTU 67": base(mtu=67),
    "MTU 65536": base(mtu=65536),
    "ofport 0": base(ofport_request=0),
    "ofport 65280": base(ofport_request=65280),
    "a port type of another kind": base(interface_type="internal"),
    "a bridge with a slash": base(bridge="a/b"),
    "a bridge of 16 characters": base(bridge="b" * 16),
    "a bridge with a space": base(bridge="br 0"),
    "a port called ..": base(portName=".."),
    "a socket that is a path": base(socketName="a/b"),
    "a relative database": base(socket_file="db.sock"),
    "a database by ssl:": base(socket_file="ssl:127.0.0.1:6640"),
    "a database without a port": base(socket_file="tcp:127.0.0.1"),
    "a database at port 0": base(socket_file="tcp:127.0.0.1:0"),
    "a database at port 65536": base(socket_file="tcp:127.0.0.1:65536"),
    "a database by IPv6 without brackets": base(socket_file="tcp:::1:6640"),
    "an owner with a slash": base(owner="a/b"),
    "an owner below zero": base(owner=-1),
    "a mode that is a number": base(dirMode=750),
    "a mode with a 9": base(dirMode="0790"),
    "a socket's mode in client mode": base(socketMode="0660"),
    "a socket's mode in Intel's client mode": {**host(vhost={"mode": "client"}), "socketMode": "0660"},
    "a MAC of five bytes": base(mac="02:00:00:00:00"),
    "a MAC of mixed form": base(mac="02:00-00:00:00:01"),
    "a group's MAC": base(mac="01:00:5e:00:00:01"),
    "the zero MAC": base(mac="00:00:00:00:00:00"),
    "a bad MAC from the runtime": base(runtimeConfig={"mac": "x"}),
    "a bad MAC in args": base(args={"cni": {"mac": 5}}),
    "a relative shared directory": base(sharedDir="run/x"),
    "a shared directory with ..": base(sharedDir="/run/../etc"),
    "a shared directory that ends in ..": base(sharedDir="/run/x/.."),
    "the root as shared directory": base(sharedDir="/"),
    "the root with more slashes": base(sharedDir="///"),
    "a shared directory with a NUL": base(sharedDir="/run/\0x"),
    "a relative log file": base(logFile="l"),
    "an unknown log level": base(logLevel="loud"),
    "a relative kubeconfig": base(kubeconfig="k"),
    "no time at all": base(timeout=0),
    "more time than a runtime gives": base(timeout=41),
    "IPAM without a type": base(ipam={"subnet": "10.0.0.0/24"}),
    "IPAM by path": base(ipam={"type": "../host-local"}),
    "IPAM by DHCP": base(ipam={"type": "dhcp"}),
    "masquerading": base(ipMasq=True),
    "addresses that are no list": base(runtimeConfig={"ips": "10.0.0.1/24"}),
    "addresses that are numbers": base(args={"cni": {"ips": [1]}}),
    "GC's list without ifname": base(**{"cni.dev/valid-attachments": [{"containerID": "a"}]}),
    "GC's list that is none": base(**{"cni.dev/attachments": "x"}),
    "a PCI device of the user's beside a bridge": base(deviceID="0000:03:00.1", bridge="br0"),
    "an unknown VLAN mode": base(vlanMode="qinq"),
    "an access port without a VLAN": base(vlanMode="access"),
    "an access port with a trunk": base(vlanMode="access", vlan=7, trunk=[{"id": 5}]),
    "a trunk said, with a VLAN": base(vlanMode="trunk", vlan=7),
    "a native mode without a VLAN": base(vlanMode="native-tagged", trunk=[{"id": 5}]),
    "the other native mode without a VLAN": base(vlanMode="native-untagged"),
    "a tunnel without a tag": base(vlanMode="dot1q-tunnel"),
    "a tunnel with tag 0": base(vlanMode="dot1q-tunnel", vlan=0),
    "a tunnel with a trunk": base(vlanMode="dot1q-tunnel", vlan=7, trunk=[{"id": 5}]),
    "customer VLANs without a tunnel": base(cvlans=[{"id": 5}]),
    "customer VLANs of an access port": base(vlan=7, vlanMode="access", cvlans=[{"id": 5}]),
    "an empty list of customer VLANs": base(vlan=7, vlanMode="dot1q-tunnel", cvlans=[]),
    "customer VLAN 4095": base(vlan=7, vlanMode="dot1q-tunnel", cvlans=[{"id": 4095}]),
    "VLAN 5000": base(vlan=5000),
    "a rate of 0": base(ingressPolicing={"rate": 0}),
    "a shaping rate of 0": base(egressShaping={"rate": 0, "burst": 100}),
    "a rate below 0": base(egressShaping={"rate": -5}),
    "half a rate": base(egressShaping={"rate": 1.5}),
    "a rate over 32 bits": base(ingressPolicing={"rate": 4294967296}),
    "a rate in quotes": base(ingressPolicing={"rate": "1000"}),
    "a limit without a rate": base(ingressPolicing={"burst": 100}),
    "a limit with nothing in it": base(egressShaping={}),
    "a limit with an unknown key": base(egressShaping={"rate": 1, "cbs": 1}),
    "a burst of 0": base(ingressPolicing={"rate": 1000, "burst": 0}),
    "a burst under one frame": base(ingressPolicing={"rate": 1000, "burst": 12}),
    "33 retries": base(txRetriesMax=33),
    "-1 retries": base(txRetriesMax=-1),
    "retries in server mode": base(txRetriesMax=3, interface_type="dpdkvhostuser"),
    "external ids that are numbers": base(externalIds={"a": 1}),
    "an external id of our own": base(externalIds={"owner": "me"}),
    "an external id like our own": base(externalIds={"cni-x": "me"}),
    "an external id with a space": base(externalIds={"a b": "c"}),
    "an empty external id": base(externalIds={"": "c"}),
    "an OVN port with a space": base(ovnPort="a b"),
    "a bad OVN port in args": base(args={"cni": {"ovnPort": 7}}),
    "an OVN port with flows of ours": base(ovnPort="a", antiSpoofing=True),
    "an OVN port on a segment": base(ovnPort="a", segment="s"),
    "an OVN port for another controller": base(ovnPort="a", wiring="none"),
    "an unknown wiring": base(wiring="segment"),
    "a segment with a space": base(segment="a b"),
    "a segment that begins with a dot": base(segment=".a"),
    "a segment of 64 characters": base(segment="s" * 64),
    "a segment with wiring normal": base(segment="s", wiring="normal"),
    "a segment with wiring none": base(segment="s", wiring="none"),
    "a segment and a port": base(segment="s", peerPort="dpdk0"),
    "a port with wiring normal": base(peerPort="dpdk0", wiring="normal"),
    "a port of 16 characters": base(peerPort="p" * 16),
    "a segment in a VLAN": base(segment="s", vlan=7),
    "a segment with a trunk": base(segment="s", trunk=[{"id": 7}]),
    "a wired port with a VLAN mode": base(peerPort="dpdk0", vlanMode="trunk"),
    "a protected segment": base(segment="s", protected=True),
    "a controller's port in a VLAN": base(wiring="none", vlan=7),
    "anti-spoofing on a controller's port": base(wiring="none", antiSpoofing=True),
    "Intel: a segment in a VLAN": {**host(bridge={"vlanId": 7}), "segment": "s"},
    "Intel: retries by default": {**host(), "txRetriesMax": 3},
    "Intel: an unknown key": host(vlanId=7),
    "Intel: an unknown key in vhost": host(vhost={"mod": "client"}),
    "Intel: VPP": host(engine="vpp"),
    "Intel: memif": host(iftype="memif"),
    "Intel: memif in the container": base(host=INTEL_SIDE, container={"iftype": "memif"}),
    "Intel: netType interface": host(netType="interface"),
    "Intel: an unknown mode": host(vhost={"mode": "peer"}),
    "Intel: a VLAN too many": host(bridge={"vlanId": 4095}),
    "Intel: a VLAN in quotes": host(bridge={"vlanId": "7"}),
    "Intel: a host that is a list": base(host=[]),
    "Intel: two clients": sides("client", "client"),
    "Intel: two servers": sides("server", "server"),
    "Intel: two servers, one by default": sides(None, "server"),
    "Intel: PCI beside a bridge": {**host(bridge={"bridgeName": "br1"}), "deviceID": "0000:03:00.1"},
}

# Every key with a value of every other type: whatever the verdict is, it is the same one.
TYPED: dict[str, Config] = {
    f"{key} = {value!r}": base(**{key: value})
    for key in schema.properties()
    if key != "cniVersion"  # its mistakes have an error of their own
    for value in WRONG
}
NESTED: dict[str, Config] = {
    f"{side}.{part}.{key} = {value!r}": base(**{side: {part: {key: value}}})
    for side in ("host", "container")
    for part, keys in {
        "vhost": ("mode", "group", "socketfile"),
        "bridge": ("bridgeName", "bridgeId", "vlanId"),
        "memif": ("role", "mode", "socketfile"),
    }.items()
    for key in keys
    for value in WRONG
}

UNSAID: dict[str, Config] = {
    "a trunk range upside down": base(trunk=[{"minID": 9, "maxID": 8}]),
    "customer VLANs upside down": base(vlan=7, vlanMode="dot1q-tunnel", cvlans=[{"minID": 9, "maxID": 8}]),
    "a burst under one jumbo frame": base(mtu=9000, egressShaping={"rate": 1000, "burst": 72}),
    "an OVN port in args with flows of ours": base(args={"cni": {"OvnPort": "a"}}, segment="s"),
    "two spellings that differ": base(vlan=7, VLAN=8),
    "Intel: a native key that contradicts": {**host(bridge={"bridgeName": "br1"}), "bridge": "br2"},
    "Intel: a host's name that is no bridge's": host(bridge={"bridgeName": "a/b"}),
    "Intel: a socket that is a path": host(vhost={"socketfile": "a/b"}),
    "an unprintable path": base(logFile="/\u200b"),
    "a number of a user that no system has": base(owner="4294967295"),
    "a configuration file that is not there": base(configuration_path="/nonexistent/userspace.conf"),
}
