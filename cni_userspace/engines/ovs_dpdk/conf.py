"""The engine's own part of the netconf: bridge, port and socket.

Owns the keys that only OVS-DPDK understands, their bounds and defaults. Pure.
The meaning of `bridge`, `vlan`, `trunk`, `mtu`, `ofport_request`,
`interface_type` and `socket_file` is that of ovs-cni; keys in camelCase are
our own. Documented in netconf.schema.json beside this file, which a test
holds to the same verdicts.
"""

from __future__ import annotations

from cni_userspace.cni import forms
from cni_userspace.cni.getter import MISSING, fold, whole
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cni_userspace.cni.getter import Getter

CLIENT = "dpdkvhostuserclient"
SERVER = "dpdkvhostuser"
DEFAULT_BRIDGE = "br0"
DEFAULT_SOCKET = "unix:/var/run/openvswitch/db.sock"
VLANS = (0, 4094)
TRUNK_KEYS = ("id", "minID", "maxID")
RARE_KEYS = (  # read by `rare`, which a network without them does not load
    *("vlanMode", "cvlans", "protected", "ingressPolicing", "egressShaping", "txRetriesMax"),
    *("antiSpoofing", "wiring", "segment", "peerPort", "externalIds", "ovnPort"),
)
OWN_KEYS = ("externalIds", "ovnPort", "peerPort", "segment", "wiring")  # no setting of a node


class OvsConf(Value):
    """What a netconf asks of the switch."""

    bridge: str = DEFAULT_BRIDGE
    create_bridge: bool = False
    delete_bridge: bool = False  # when it is ours and empty
    interface_type: str = CLIENT
    vlan: int | None = None  # access VLAN; the native one beside a trunk; 0: untagged frames only
    trunk: tuple[int, ...] = ()  # sorted VLAN ids
    mtu: int | None = None
    ofport_request: int | None = None
    socket_file: str = DEFAULT_SOCKET  # unix:/path or tcp:host:port
    port_name: str = ""  # "": derived
    socket_name: str = ""  # "": derived
    intel_names: bool = False  # port and socket are <containerID[:12]>-<ifname>
    owner: str = ""  # a name or a number
    group: str = ""
    dir_mode: int | None = None
    socket_mode: int | None = None  # server mode only
    vlan_mode: str = ""  # "": what `vlan` and `trunk` make of it
    cvlans: tuple[int, ...] = ()  # sorted inner VLAN ids
    protected: bool = False
    ingress_policing: tuple[int, int] | None = None  # rate in kbit/s, burst in kbit
    egress_shaping: tuple[int, int] | None = None  # the same
    tx_retries_max: int | None = None  # client mode only
    external_ids: Mapping[str, str] = {}
    ovn_port: str = ""
    anti_spoofing: bool = False
    wiring: str = "normal"  # or "none"; with a segment or a peer port it is neither
    segment: str = ""
    peer_port: str = ""

    BOUNDED = (  # what the node file may bound: kind in `allow`, key, field, built-in default
        ("bridges", "bridge", "bridge", DEFAULT_BRIDGE),
        ("databases", "socket_file", "socket_file", DEFAULT_SOCKET),
    )


def parse_options(getter: Getter) -> OvsConf:
    """Read the engine's keys; mistakes go to the getter, and defaults take their place."""
    kind = getter.choice("interface_type", (CLIENT, SERVER), CLIENT)
    conf = OvsConf(
        bridge=getter.text("bridge", DEFAULT_BRIDGE, check=forms.switch_name),
        create_bridge=getter.flag("createBridge", default=False),
        delete_bridge=getter.flag("deleteBridge", default=False),
        interface_type=kind,
        vlan=getter.integer("vlan", *VLANS),
        trunk=vlans(getter, "trunk"),
        mtu=getter.integer("mtu", 68, 65535),
        ofport_request=getter.integer("ofport_request", 1, 65279),
        socket_file=forms.plain_remote(getter.text("socket_file", DEFAULT_SOCKET, check=forms.remote)),
        port_name=getter.text("portName", check=forms.switch_name, own=True),
        socket_name=getter.text("socketName", check=forms.file_name),
        intel_names=getter.dialect == "intel",
        owner=_account(getter, "owner"),
        group=_account(getter, "group"),
        dir_mode=_mode(getter, "dirMode"),
        socket_mode=_socket_mode(getter, kind),
    )
    given = [getter.find(key, own=key in OWN_KEYS)[1] for key in RARE_KEYS]
    if all(value is MISSING for value in given) and not ovn_argument(getter)[1]:
        return conf
    from cni_userspace.engines.ovs_dpdk import rare

    return rare.read(getter, conf)


def ovn_argument(getter: Getter) -> tuple[str, object]:
    """Return (path, value) of the logical port that CNI_ARGS or `args.cni` name, ("", "") where none does."""
    for key, value in getter.args.items():
        if key.lower() == "ovnport" and value:
            return f"CNI_ARGS: {key}", value
    _, args = getter.find("args", own=True)
    cni = args.get("cni") if isinstance(args, dict) else None
    for key, value in cni.items() if isinstance(cni, dict) else ():
        if key.lower() == "ovnport" and value != "":
            return f"$.args.cni.{key}", value
    return "", ""


def vlans(getter: Getter, key: str) -> tuple[int, ...]:
    """Return the sorted VLAN ids of ovs-cni's list of {id} and {minID, maxID}."""
    found: set[int] = set()
    path, given = getter.find(key)
    entries = getter.items(key)
    for where, entry in entries:
        found.update(_vlans(where, entry, getter))
    if given is not MISSING and isinstance(given, list) and not entries:
        getter.problems.add(path, given, f"lists no VLAN; leave `{key}` out to carry all of them")
    return tuple(sorted(found))


def _vlans(where: str, entry: object, getter: Getter) -> range | tuple[int, ...]:
    problems = getter.problems
    if not isinstance(entry, dict):
        problems.add(where, entry, 'is no object such as {"id": 42} or {"minID": 10, "maxID": 20}')
        return ()
    source = fold(entry, where, problems)
    for folded, (key, path, _) in source.items():
        if folded not in ("id", "minid", "maxid"):
            problems.add(path, key, f"is none of {', '.join(TRUNK_KEYS)}")
    found = {
        key: whole(source[key.lower()][2], source[key.lower()][1], *VLANS, problems)
        for key in TRUNK_KEYS
        if key.lower() in source
    }
    if set(found) == {"id"}:
        return () if found["id"] is None else (found["id"],)
    if set(found) != {"minID", "maxID"}:
        problems.add(where, entry, "needs either `id`, or both `minID` and `maxID`")
        return ()
    low, high = found["minID"], found["maxID"]
    if low is None or high is None:
        return ()
    if low > high:
        problems.add(where, entry, "is upside down: `minID` is over `maxID`")
    return range(low, high + 1)


def _account(getter: Getter, key: str) -> str:
    path, value = getter.find(key)
    if isinstance(value, int) and not isinstance(value, bool):
        number = whole(value, path, 0, 2**32 - 2, getter.problems)
        return "" if number is None else str(number)
    return getter.text(key, check=forms.account)


def _mode(getter: Getter, key: str) -> int | None:
    text = getter.text(key, check=forms.octal)
    return int(text, 8) if text else None


def _socket_mode(getter: Getter, kind: str) -> int | None:
    mode = _mode(getter, "socketMode")
    if mode is None or kind == SERVER:
        return mode
    if not getter.from_node("socketMode"):  # a default of the node is for the networks that it fits
        path, value = getter.find("socketMode")
        getter.problems.add(
            path,
            value,
            f"needs `interface_type` {SERVER}: with {CLIENT} the application makes the socket, "
            "and its umask counts",
        )
    return None
