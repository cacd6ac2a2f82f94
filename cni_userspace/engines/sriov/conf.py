"""The engine's own part of the netconf: which device, and what is set on it.

Owns the keys that only SR-IOV understands, their bounds and defaults. Pure:
whether the device is there, and what it can do, is looked at later. The keys
and their meaning are those of k8snetworkplumbingwg/sriov-cni (`deviceID`,
`vlan` to `link_state`) and of hustcat/sriov-cni (`master`, `pfOnly`, and VF=,
VLAN= in CNI_ARGS); `dpdk` and `dpdkDriver` are our own. Documented in
netconf.schema.json beside this file, which a test holds to the same verdicts.
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.cni.getter import MISSING, whole
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cni_userspace.cni.getter import Getter

VFS = (0, 65534)  # TotalVFs of the SR-IOV capability has 16 bits (linux/pci_regs.h)
VLANS = (0, 4094)
PRIORITIES = (0, 7)
RATES = (0, 2**32 - 1)  # struct ifla_vf_rate of linux/if_link.h
MTUS = (68, 65535)
DIGITS = 10  # of the longest number that CNI_ARGS may hold
PROTOS = ("802.1q", "802.1ad")
LINK_STATES = ("auto", "enable", "disable")
SWITCHED = {"on": True, "off": False}
DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")
OF_A_VF = (  # what the PF sets on a VF, and nobody on the PF
    *("vf", "vlan", "vlanQoS", "vlanProto", "min_tx_rate", "max_tx_rate", "spoofchk", "trust", "link_state"),
)
WANTED = "an SR-IOV network takes a PCI device, such as 0000:03:02.1"
NO_DEVICE = (
    "$.deviceID: missing; put in by Multus for a device plugin's resource, else name the PF in `master`"
)
KEPT = "does not go with `pfOnly`: the PF keeps its own MAC and its own settings"
OLDER = ("if0", "if0name", "l2enable", "cniDir")  # read by `older`, which few networks load


class SriovConf(Value):
    """What a netconf asks of an SR-IOV device."""

    device: str = ""  # PCI address, lower case, with its domain; NetConf.device_id has it, too
    master: str = ""  # the PF: a netdev's name, or such a PCI address
    pf_only: bool = False  # the PF itself goes into the container
    vf: int | None = None  # index of `master`'s VF; None: the first free one
    vlan: int | None = None  # 0: none
    qos: int | None = None
    proto: str = PROTOS[0]
    min_tx_rate: int | None = None  # Mbit/s, 0: off
    max_tx_rate: int | None = None  # the same
    spoofchk: bool | None = None
    trust: bool | None = None
    link_state: str = ""
    mtu: int | None = None
    dpdk: bool = False  # bind it to `dpdk_driver` while the container has it
    dpdk_driver: str = DRIVERS[0]
    ifname_asked: str = ""  # if0name: what CNI_IFNAME has to be
    no_addresses: bool = False  # l2enable: IPAM is not asked

    BOUNDED = ()  # `allow.pfs` bounds the PF, which is known only when the device was looked at


def parse_options(getter: Getter) -> SriovConf:
    """Read the engine's keys; mistakes go to the getter, and defaults take their place."""
    ifname, no_addresses = _older(getter)
    device = _device(getter)
    pf_only = getter.flag("pfOnly", default=False)
    master = getter.text("master", check=_master)
    settings = _settings(getter)
    if pf_only:
        _pf_keeps_its_own(getter)
        settings = {}  # the node's defaults are for VFs
    _named(getter, pf_only=pf_only)
    return SriovConf(
        device=device,
        master=forms.pci(master) or master,
        pf_only=pf_only,
        mtu=getter.integer("mtu", *MTUS),
        dpdk=getter.flag("dpdk", default=False),
        dpdk_driver=getter.choice("dpdkDriver", DRIVERS, DRIVERS[0]),
        ifname_asked=ifname,
        no_addresses=no_addresses,
        **settings,
    )


def _older(getter: Getter) -> tuple[str, bool]:
    """Put Intel's older keys into ours; return `if0name` and `l2enable`."""
    given = [getter.find(key)[1] for key in OLDER]
    if all(value is MISSING for value in given) and not isinstance(getter.find("dpdk")[1], dict):
        return "", False
    from cni_userspace.engines.sriov import older

    return older.translate(getter)


def _device(getter: Getter) -> str:
    path, text = getter.device
    address = forms.pci(text)
    if text and not address:
        auxiliary = "an auxiliary device (a scalable function), which is not supported" * (".sf." in text)
        getter.problems.add(path, text, f"is {auxiliary or 'no PCI address'}: {WANTED}")
    return address


def _master(text: str) -> str:
    """Say what is wrong with the name of a PF."""
    if ":" not in text:
        return forms.switch_name(text)
    return "" if forms.pci(text) else "is neither the name of a network interface nor a PCI address"


def _settings(getter: Getter) -> dict[str, Any]:
    """Read what the PF sets on a VF."""
    vlan = _number(getter, "vlan", *VLANS)
    qos = getter.integer("vlanQoS", *PRIORITIES)
    proto = getter.choice("vlanProto", PROTOS, "", fold=True)
    _tagged(getter, vlan, qos, proto)
    low, high = getter.integer("min_tx_rate", *RATES), getter.integer("max_tx_rate", *RATES)
    if low and high and low > high:
        getter.problems.add(getter.find("min_tx_rate")[0], low, f"is over `max_tx_rate`, {high}")
    return {
        "vf": _number(getter, "vf", *VFS),
        "vlan": vlan,
        "qos": qos,
        "proto": proto or PROTOS[0],
        "min_tx_rate": low,
        "max_tx_rate": high,
        "spoofchk": SWITCHED.get(getter.choice("spoofchk", tuple(SWITCHED), "")),
        "trust": SWITCHED.get(getter.choice("trust", tuple(SWITCHED), "")),
        "link_state": getter.choice("link_state", LINK_STATES, ""),
    }


def _number(getter: Getter, key: str, low: int, high: int) -> int | None:
    """Return a number that CNI_ARGS may say, too, and before the netconf."""
    number = getter.integer(key, low, high)
    path, text = _argument(getter, key)
    if not text:
        return number
    if len(text) > DIGITS or not forms.DIGITS.issuperset(text):
        getter.problems.add(path, text, "is no whole number")
        return None
    return whole(int(text), path, low, high, getter.problems)


def _argument(getter: Getter, key: str) -> tuple[str, str]:
    """Return (path, text) of what CNI_ARGS say for a key, ("", "") where they say nothing."""
    found = [(f"CNI_ARGS: {name}", text) for name, text in getter.args.items() if name.lower() == key]
    return next((pair for pair in found if pair[1]), ("", ""))


def _said(getter: Getter, key: str) -> tuple[str, Any]:
    """Return (path, value) of a key in the network's own words, ("", MISSING) where it has none."""
    path, text = _argument(getter, key.lower()) if key in ("vf", "vlan") else ("", "")
    if text:
        return path, text
    path, value = getter.find(key)
    return ("", MISSING) if value == "" or getter.from_node(key) else (path, value)


def _tagged(getter: Getter, vlan: int | None, qos: int | None, proto: str) -> None:
    """Refuse a tag's priority and protocol where there is no tag, as sriov-cni does."""
    given = _argument(getter, "vlan")[1] or getter.find("vlan")[1] is not MISSING
    for key, value, idle in (("vlanQoS", qos, 0), ("vlanProto", proto or None, PROTOS[0])):
        if value is not None and not given:
            getter.problems.add(getter.find(key)[0], value, "needs `vlan`")
        elif value is not None and value != idle and vlan == 0:
            getter.problems.add(getter.find(key)[0], value, "needs a `vlan` over 0")


def _pf_keeps_its_own(getter: Getter) -> None:
    if getter.mac[1]:
        getter.problems.add(*getter.mac, KEPT)
    for key in OF_A_VF:
        path, value = _said(getter, key)
        if value is not MISSING:
            getter.problems.add(path, value, KEPT)


def _named(getter: Getter, *, pf_only: bool) -> None:
    """See that the device is named, and that it is named once."""
    problems = getter.problems
    master = getter.find("master")[1] not in (MISSING, "")
    path, vf = _said(getter, "vf")
    if pf_only and not master and not getter.device[1] and not getter.device_later:
        problems.add(*getter.find("pfOnly"), "needs `master`, the PF")
    elif vf is not MISSING and not pf_only and getter.device[1]:
        problems.add(path, vf, f"does not go with a device that is named already: {getter.device[1]}")
    elif vf is not MISSING and not pf_only and not master:
        problems.add(path, vf, "needs `master`, the PF whose VF it counts")
    elif not master and not getter.device[1] and not getter.device_later:
        problems.mistakes.append(NO_DEVICE)
