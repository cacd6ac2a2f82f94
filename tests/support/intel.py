"""What Intel's userspace plugin leaves behind, made again step by step.

Its module cannot be had from a Go module proxy, so these are the steps of its
source, in their order and with its names: cniovs/cniovs.go and pkg/types
(commit 6c94c74f), cniovs/ovsctrl.go (38262e8b), cniovs/localdb.go (a318d2d2)
and userspace/cni/cni.go (2cf71b45) of intel/userspace-cni-network-plugin.
Must never mark or name anything as this project would.

Of the container's ID it keeps the first 12 characters only; it sets no
external_ids; its saved data say neither bridge nor path.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SAVED_DATA = "/var/lib/cni/usrspcni/data"  # annotations.DefaultLocalCNIDir, built in
EXECUTABLE = "userspace"  # the same name as ours: its netconfs reach our DEL


@dataclass(frozen=True)
class Leftover:
    """One attachment of Intel's plugin."""

    container: str
    ifname: str
    bridge: str
    port: str
    interface_type: str
    directory: str
    path: str  # of the socket: where it would be in server mode too
    saved: str  # the file of saved data


def netconf(shared_dir: str, bridge: str, mode: str = "client") -> dict[str, Any]:
    """Return a netconf as its README writes one, for a node without Kubernetes."""
    return {
        "cniVersion": "0.3.1",
        "type": EXECUTABLE,
        "name": "userspace-ovs-net",
        "sharedDir": shared_dir,
        "logLevel": "debug",
        "host": {
            "engine": "ovs-dpdk",
            "iftype": "vhostuser",
            "netType": "bridge",
            "vhost": {"mode": mode},
            "bridge": {"bridgeName": bridge},
        },
        "container": {"engine": "ovs-dpdk", "iftype": "vhostuser", "netType": "interface"},
    }


def failed_add(
    vsctl: Callable[..., str], conf: dict[str, Any], container: str, ifname: str, saved_data: str
) -> Leftover:
    """Do what its ADD does with `sharedDir` and no kubeconfig until it fails for want of a pod.

    `vsctl(*arguments)` runs ovs-vsctl; `saved_data` is a directory that stands for SAVED_DATA.
    """
    host = conf["host"]
    bridge = host["bridge"]["bridgeName"]
    short = container[:12]
    port = host["vhost"].get("socketfile") or f"{short}-{ifname}"
    directory = os.path.join(conf["sharedDir"], short)
    if not vsctl("--bare", "--columns=name", "find", "bridge", f"name={bridge}").strip():
        vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
    os.makedirs(directory, mode=0o750, exist_ok=True)
    kind = "dpdkvhostuserclient" if host["vhost"]["mode"] == "client" else "dpdkvhostuser"
    path = os.path.join(directory, port)
    add = ["add-port", bridge, port, "--", "set", "Interface", port, f"type={kind}"]
    vsctl(*add, *([f"options:vhost-server-path={path}"] if kind == "dpdkvhostuserclient" else []))
    left = Leftover(
        container=container,
        ifname=ifname,
        bridge=bridge,
        port=port,
        interface_type=kind,
        directory=directory,
        path=path,
        saved=os.path.join(saved_data, f"local-{short}-{ifname}.json"),
    )
    _save(left)
    return left


def failed_delete(left: Leftover) -> None:
    """Do what its DEL does while the switch is down: forget the saved data, then fail."""
    os.unlink(left.saved)
    if not os.listdir(os.path.dirname(left.saved)):
        os.rmdir(os.path.dirname(left.saved))


def _save(left: Leftover) -> None:
    os.makedirs(os.path.dirname(left.saved), mode=0o700, exist_ok=True)
    mac = "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5))
    with open(left.saved, "w", encoding="utf-8") as file:
        # Go's encoding: no space; vhostmac is Port.mac, which nobody sets
        json.dump({"vhostname": left.port, "vhostmac": "", "ifmac": mac}, file, separators=(",", ":"))
