"""A PF's virtual functions as rtnetlink tells and takes them.

Owns the two directions between IFLA_VFINFO_LIST (linux/if_link.h) and values;
asks nobody. host.netlink_links carries them to the kernel and back.
"""

from __future__ import annotations

from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNSAID = 0xFFFFFFFF  # what the kernel reports for a setting that the driver does not tell
PROTOCOLS = {"802.1q": 0x8100, "802.1ad": 0x88A8}  # linux/if_ether.h
LINK_STATES = ("auto", "enable", "disable")  # linux/if_link.h, IFLA_VF_LINK_STATE_


class Vf(Value):
    """What a PF says of one of its VFs; None where the driver does not say."""

    index: int
    mac: str  # the administrative one; zeros: the VF chooses
    vlan: int
    qos: int
    proto: str  # "802.1q" or "802.1ad"
    min_tx_rate: int  # Mbit/s; 0: no limit
    max_tx_rate: int
    spoofchk: bool | None
    trust: bool | None
    link_state: str  # "auto", "enable" or "disable"; "auto" also where the driver knows no states


def read(info: Any) -> Vf:  # noqa: ANN401  untyped library
    """Return what one IFLA_VF_INFO says."""
    have = info.get_attr
    mac, vlan, rate = have("IFLA_VF_MAC"), have("IFLA_VF_VLAN"), have("IFLA_VF_RATE")
    vlans, state = have("IFLA_VF_VLAN_LIST"), have("IFLA_VF_LINK_STATE")
    return Vf(
        index=mac["vf"],
        mac=mac["mac"][:6].hex(":"),
        vlan=vlan["vlan"],
        qos=vlan["qos"],
        proto=_protocol(vlans.get_attr("IFLA_VF_VLAN_INFO")["proto"]) if vlans else "802.1q",
        min_tx_rate=rate["min_tx_rate"],
        max_tx_rate=rate["max_tx_rate"],
        spoofchk=_switch(have("IFLA_VF_SPOOFCHK")),
        trust=_switch(have("IFLA_VF_TRUST")),
        link_state=dict(enumerate(LINK_STATES)).get(state["setting"], "") if state else "",
    )


def _protocol(number: int) -> str:
    return next((name for name, known in PROTOCOLS.items() if known == number), hex(number))


def _switch(setting: Any) -> bool | None:  # noqa: ANN401  untyped library
    return None if setting is None or setting["setting"] == UNSAID else bool(setting["setting"])


def changes(  # noqa: PLR0913  what a VF has
    vf: int,
    *,
    mac: str | None = None,
    vlan: tuple[int, int, str] | None = None,
    rates: tuple[int, int] | None = None,
    spoofchk: bool | None = None,
    trust: bool | None = None,
    link_state: str | None = None,
) -> list[tuple[str, Any]]:
    """Return the attributes of an IFLA_VF_INFO that change what is given, [] for nothing."""
    switches = {
        "IFLA_VF_SPOOFCHK": spoofchk,
        "IFLA_VF_LINK_STATE": None if link_state is None else LINK_STATES.index(link_state),
        "IFLA_VF_TRUST": trust,
    }
    attributes: list[tuple[str, Any]] = []
    if mac is not None:
        attributes.append(("IFLA_VF_MAC", {"vf": vf, "mac": bytes.fromhex(mac.replace(":", ""))}))
    if vlan is not None:
        attributes.append(_tag(vf, *vlan))
    if rates is not None:
        attributes.append(("IFLA_VF_RATE", {"vf": vf, "min_tx_rate": rates[0], "max_tx_rate": rates[1]}))
    attributes += [
        (name, {"vf": vf, "setting": int(value)}) for name, value in switches.items() if value is not None
    ]
    return attributes


def _tag(vf: int, number: int, qos: int, proto: str) -> tuple[str, Any]:
    """Return the older attribute where it can say all, which every driver's kernel knows."""
    tag = {"vf": vf, "vlan": number, "qos": qos}
    if proto == "802.1q":
        return "IFLA_VF_VLAN", tag
    info = ("IFLA_VF_VLAN_INFO", {**tag, "proto": PROTOCOLS[proto]})
    return "IFLA_VF_VLAN_LIST", {"attrs": [info]}
