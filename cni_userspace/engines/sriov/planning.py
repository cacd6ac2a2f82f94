"""The plan of an ADD: which devices would do, and what one of them shall be like.

Owns the decision; pure. Which device it will be is not known here where any
free VF does: two calls may plan at the same moment, and only the device's lock
says who gets it.
"""

from __future__ import annotations

from cni_userspace.attach.store import Key
from cni_userspace.engines.sriov.allocation import DEVICES
from cni_userspace.engines.sriov.vf import KEYS
from cni_userspace.errors import InvalidConfigError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.cni.netconf import NetConf
    from cni_userspace.cni.nodefile import NodeFile
    from cni_userspace.cni.request import Request
    from cni_userspace.engines.sriov.conf import SriovConf
    from cni_userspace.engines.sriov.look import Target


class Plan(Value):
    """What one ADD makes. Kept in the record, with what was learnt while making it."""

    key: Key
    place: str  # the directory of the allocations
    netns: str
    netns_id: str
    pod: Mapping[str, str]
    pf: str  # the PF's PCI address
    whole: bool  # the PF itself is handed over
    candidates: tuple[str, ...]  # PCI addresses; the first that is free is taken
    chosen: bool  # the config names the device: no other will do
    settings: Mapping[str, Any]  # of the VF at its PF; what is not asked for is missing
    mac: str
    mtu: int | None
    dhcp: bool = False  # IPAM works on the interface itself
    dpdk: bool  # rebind it, if it is not yet on a driver for DPDK
    driver: str  # to this one

    def as_dict(self) -> dict[str, Any]:
        """Return the plan in the record's form."""
        return {**super().as_dict(), "key": self.key.as_dict(), "candidates": list(self.candidates)}

    @property
    def device_info(self) -> None:
        """Return None: it is known when a device has been taken."""
        return

    @property
    def shared_directory(self) -> str:
        """Return "": there is none."""
        return ""

    @property
    def socketfile(self) -> str:
        """Return "": there is none."""
        return ""


def plan(request: Request, conf: NetConf, node: NodeFile, target: Target) -> Plan:
    """Put together what was asked for and where it can be had.

    Raises InvalidConfigError, UnknownContainerError where the namespace has gone.
    """
    from cni_userspace.host import netns

    options: SriovConf = conf.options  # type: ignore[assignment]  # this engine's own
    if options.ifname_asked not in ("", request.ifname):
        raise InvalidConfigError(
            "the runtime names the interface otherwise",
            mistakes=[f"if0name: {options.ifname_asked}: CNI_IFNAME is {request.ifname}"],
        )
    asked = settings(options, conf.mac)
    if target.whole and asked:
        raise InvalidConfigError(
            "the device is a PF, on which nobody sets what is asked for",
            mistakes=[f"{KEYS[name]}: {target.pf} is no VF" for name in asked],
            hint="`pfOnly` hands over a PF as it is, without the node's defaults for VFs",
        )
    return Plan(
        key=Key(network=conf.name, container_id=request.container_id, ifname=request.ifname),
        place=f"{node.state_dir}/{DEVICES}",
        netns=request.netns,
        netns_id=netns.require(request.netns),
        pod=request.pod,
        pf=target.pf,
        whole=target.whole,
        candidates=target.candidates,
        chosen=target.chosen,
        settings=asked,
        mac=conf.mac,
        mtu=options.mtu,
        dhcp=conf.ipam_type == "dhcp",
        dpdk=options.dpdk,
        driver=options.dpdk_driver,
    )


def settings(options: SriovConf, mac: str) -> dict[str, Any]:
    """Return what is asked of a VF at its PF, in the order in which drivers take it (docs/design.md)."""
    vlan = None if options.vlan is None else [options.vlan, options.qos or 0, options.proto]
    rates = [options.min_tx_rate, options.max_tx_rate]
    asked = {
        "vlan": vlan,
        "mac": mac or None,
        "rates": None if rates == [None, None] else rates,
        "spoofchk": options.spoofchk,
        "trust": options.trust,
        "link_state": options.link_state or None,
    }
    return {name: value for name, value in asked.items() if value is not None}
