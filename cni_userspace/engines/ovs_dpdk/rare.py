"""The engine's rarer keys: VLAN modes, rates, flows, wiring, words for OVN.

Owns their bounds and which of them go together; `conf` loads it only for a
network that has one, because every module costs each call of a runtime. What
is refused here would be taken by the switch's database and silently mean
something else, or nothing.
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.cni.getter import MISSING, whole
from cni_userspace.engines.ovs_dpdk.conf import CLIENT, ovn_argument, vlans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cni_userspace.cni.getter import Getter
    from cni_userspace.engines.ovs_dpdk.conf import OvsConf

ACCESS = "access"
TRUNK = "trunk"
TUNNEL = "dot1q-tunnel"
NATIVE = ("native-tagged", "native-untagged")
VLAN_MODES = (ACCESS, TRUNK, *NATIVE, TUNNEL)
WIRINGS = ("normal", "none")
NORMAL, NONE = WIRINGS
OVN_BRIDGE = "br-int"  # ovs-cni's default beside an OVN port
RATES = (1, 2**32 - 1)  # kbit/s: OVS keeps a policing rate in 32 bits
LEAST_BURST = 13  # kbit: one frame of 1,500 bytes with header and two tags
DEFAULT_BURST = 8000  # kbit: OVS' own default for policing (ovs-vswitchd.conf.db(5))
BYTES_PER_KBIT = 125
HEADERS = 22  # bytes of an Ethernet header with two VLAN tags
DEFAULT_MTU = 1500
OUR_MARKS = ("owner", "attached-mac", "iface-id")
OUR_PREFIXES = ("cni-", "pod-")
SEGMENT_CHARACTERS = 63
OVN_CHARACTERS = 255


def read(getter: Getter, conf: OvsConf) -> OvsConf:
    """Return the configuration with the rarer keys; mistakes go to the getter."""
    retries = getter.integer("txRetriesMax", 0, 32)
    if retries is not None and conf.interface_type != CLIENT and not getter.from_node("txRetriesMax"):
        _add(getter, "txRetriesMax", f"goes with `interface_type` {CLIENT} only: the switch reads it there")
    ovn_port = _ovn_port(getter)
    told, _ = getter.find("bridge")
    conf = conf.replace(
        bridge=OVN_BRIDGE if ovn_port and not told else conf.bridge,
        vlan_mode=getter.choice("vlanMode", VLAN_MODES, ""),
        cvlans=vlans(getter, "cvlans"),
        protected=getter.flag("protected", default=False),
        ingress_policing=_limit(getter, "ingressPolicing", conf.mtu),
        egress_shaping=_limit(getter, "egressShaping", conf.mtu),
        tx_retries_max=retries if conf.interface_type == CLIENT else None,
        external_ids=_external_ids(getter),
        ovn_port=ovn_port,
        anti_spoofing=getter.flag("antiSpoofing", default=False),
        wiring=getter.choice("wiring", WIRINGS, NORMAL),
        segment=getter.text("segment", check=_segment, own=True),
        peer_port=getter.text("peerPort", check=forms.switch_name, own=True),
    )
    _vlan_mode(getter, conf)
    _wiring(getter, conf)
    return conf


def _given(getter: Getter, key: str) -> bool:
    return getter.find(key)[1] not in (MISSING, "")


def _add(getter: Getter, key: str, reason: str) -> None:
    getter.problems.add(*getter.find(key), reason)


def _vlan_mode(getter: Getter, conf: OvsConf) -> None:
    """Say which keys a VLAN mode lacks, or has and would not read."""
    mode = conf.vlan_mode
    if _given(getter, "cvlans") and mode != TUNNEL:
        _add(getter, "cvlans", f"goes with `vlanMode` {TUNNEL} only: these are a tunnel's inner VLANs")
    if not mode:
        return
    vlan = _given(getter, "vlan")
    if mode in (ACCESS, *NATIVE, TUNNEL) and not vlan:
        _add(getter, "vlanMode", "needs `vlan`")
    if mode == TRUNK and vlan:
        _add(
            getter, "vlan", f"is not read with `vlanMode` {TRUNK}; {' and '.join(NATIVE)} have a native VLAN"
        )
    if mode == TUNNEL and conf.vlan == 0:
        _add(getter, "vlan", f"is no outer tag; `vlanMode` {TUNNEL} needs one within 1 and 4094")
    if mode in (ACCESS, TUNNEL) and _given(getter, "trunk"):
        instead = "; `cvlans` are the inner VLANs" if mode == TUNNEL else ""
        _add(getter, "trunk", f"is not read with `vlanMode` {mode}{instead}")


def _wiring(getter: Getter, conf: OvsConf) -> None:
    """Refuse what contradicts a wiring."""
    said = [key for key in ("wiring", "segment", "peerPort") if _given(getter, key)]
    for key in said[1:]:
        _add(getter, key, f"does not go with `{said[0]}`: each says where frames go")
    if not said or (conf.wiring == NORMAL and said[0] == "wiring"):
        _ovn(getter, conf)
        return
    shown = "`wiring` none" if said[0] == "wiring" else f"`{said[0]}`"
    for key in ("vlan", "trunk", "vlanMode", "cvlans"):
        if _given(getter, key):
            _add(getter, key, f"does not go with {shown}: VLANs are the learning switch's, which is left out")
    if conf.protected:
        _add(getter, "protected", f"does not go with {shown}: it speaks to the learning switch")
    if conf.wiring == NONE and conf.anti_spoofing:
        _add(getter, "antiSpoofing", "does not go with `wiring` none: all flows are somebody else's there")
    _ovn(getter, conf)


def _ovn(getter: Getter, conf: OvsConf) -> None:
    if not conf.ovn_port:
        return
    asked = {"antiSpoofing": conf.anti_spoofing, "segment": conf.segment, "peerPort": conf.peer_port}
    for key in [k for k, value in {**asked, "wiring": conf.wiring == NONE}.items() if value]:
        _add(getter, key, "does not go with `ovnPort`: OVN writes the flows of its bridge")


def _ovn_port(getter: Getter) -> str:
    plain = getter.text("ovnPort", check=_logical_port, own=True)
    path, value = ovn_argument(getter)
    if not path:
        return plain
    wrong = _logical_port(value) if isinstance(value, str) else "is no string"
    if wrong or not isinstance(value, str):
        getter.problems.add(path, value, wrong)
        return ""
    return value


def _logical_port(text: str) -> str:
    if not forms.GRAPHIC.issuperset(text):
        return "holds white space or a character outside ASCII"
    return "" if len(text) <= OVN_CHARACTERS else f"is longer than {OVN_CHARACTERS} characters"


def _segment(text: str) -> str:
    fine = text.isascii() and text[0].isalnum() and all(c.isalnum() or c in "_.-" for c in text)
    if not fine:
        return "is no name of a segment: letters, digits, `_`, `.` and `-`, the first a letter or digit"
    return "" if len(text) <= SEGMENT_CHARACTERS else f"is longer than {SEGMENT_CHARACTERS} characters"


def _limit(getter: Getter, key: str, mtu: int | None) -> tuple[int, int] | None:
    """Return (rate, burst) of {rate, burst}; a burst under one frame would let nothing pass."""
    path, given = getter.find(key)
    if given is MISSING:
        return None
    inside = getter.child(key)
    for folded, (name, where, _) in inside.sources[0].items():
        if folded not in ("rate", "burst"):
            getter.problems.add(where, name, "is neither `rate` nor `burst`")
    if not isinstance(given, dict):
        return None
    where, value = inside.find("rate")
    if value is MISSING:
        getter.problems.add(path, given, "needs `rate`, in kbit/s")
        return None
    if value == 0 and value is not False:
        getter.problems.add(where, value, f"is no rate; leave `{key}` out for no limit")
        return None
    rate = whole(value, where, *RATES, getter.problems)
    where, value = inside.find("burst")
    burst = DEFAULT_BURST if value is MISSING else whole(value, where, LEAST_BURST, RATES[1], getter.problems)
    if rate is None or burst is None:
        return None
    frame = (mtu or DEFAULT_MTU) + HEADERS
    if burst * BYTES_PER_KBIT < frame:
        least = -(-frame // BYTES_PER_KBIT)
        getter.problems.add(where, burst, f"is less than a frame of this MTU, {least} kbit: none would pass")
    return rate, burst


def _external_ids(getter: Getter) -> dict[str, str]:
    path, given = getter.find("externalIds", own=True)
    if given is MISSING:
        return {}
    if not isinstance(given, dict):
        getter.problems.add(path, given, "is no object")
        return {}
    for key, value in given.items():
        if not key or not forms.GRAPHIC.issuperset(key):
            getter.problems.add(path, key, "is no key: empty, or holds white space or more than ASCII")
        elif key in OUR_MARKS or key.startswith(OUR_PREFIXES):
            getter.problems.add(path, key, "is a key of this plugin's own")
        elif not isinstance(value, str):
            getter.problems.add(f"{path}.{key}", value, "is no string")
    return {key: value for key, value in given.items() if isinstance(value, str)}
