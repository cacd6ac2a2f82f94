"""rtnetlink's messages about links, as far as this program speaks of them.

Owns nothing but their layout, in pyroute2's notation (linux/if_link.h,
linux/rtnetlink.h). pyroute2's own `ifinfmsg` brings the data of fifteen kinds
of virtual devices and costs 14 ms; unlike it, these keep addresses of any
length as bytes, and pad `struct ifla_vf_vlan_info` to its size in C, which
kernels since 6.9, and the stable ones of that time, insist on. Tests hold them
against each other. To be imported inside `lean.Codecs`.
"""

from __future__ import annotations

from pyroute2.netlink import nla, nlmsg, nlmsgerr  # type: ignore[import-untyped]

NLA_F_NESTED = 0x8000  # linux/netlink.h


class Acknowledgement(nlmsg):  # type: ignore[misc]
    """NLMSG_ERROR under NETLINK_CAP_ACK: the error, the request's header, the kernel's words."""

    fields = (("error", "i"), ("request", "16s"))
    nla_map = nlmsgerr.nla_map


class _VfMac(nla):  # type: ignore[misc]
    fields = (("vf", "I"), ("mac", "32s"))


class _VfVlan(nla):  # type: ignore[misc]
    fields = (("vf", "I"), ("vlan", "I"), ("qos", "I"))


class _VfVlanInfo(nla):  # type: ignore[misc]
    fields = (("vf", "I"), ("vlan", "I"), ("qos", "I"), ("proto", ">H"), ("__pad", "2x"))


class _VfVlanList(nla):  # type: ignore[misc]
    nla_map = (("IFLA_VF_VLAN_INFO_UNSPEC", "none"), ("IFLA_VF_VLAN_INFO", "info"))
    info = _VfVlanInfo


class _VfRate(nla):  # type: ignore[misc]
    fields = (("vf", "I"), ("min_tx_rate", "I"), ("max_tx_rate", "I"))


class _VfSetting(nla):  # type: ignore[misc]
    """IFLA_VF_SPOOFCHK, _TRUST, _LINK_STATE: all of one form."""

    fields = (("vf", "I"), ("setting", "I"))


class _VfInfo(nla):  # type: ignore[misc]
    nla_map = (
        (1, "IFLA_VF_MAC", "mac"),
        (2, "IFLA_VF_VLAN", "vlan"),
        (4, "IFLA_VF_SPOOFCHK", "setting"),
        (5, "IFLA_VF_LINK_STATE", "setting"),
        (6, "IFLA_VF_RATE", "rate"),
        (9, "IFLA_VF_TRUST", "setting"),
        (12, "IFLA_VF_VLAN_LIST", "vlan_list"),
    )
    mac, vlan, vlan_list, rate, setting = _VfMac, _VfVlan, _VfVlanList, _VfRate, _VfSetting


class _VfInfoList(nla):  # type: ignore[misc]
    nla_map = ((1, "IFLA_VF_INFO", "info"),)
    info = _VfInfo


class _Properties(nla):  # type: ignore[misc]
    nla_flags = NLA_F_NESTED
    nla_map = ((53, "IFLA_ALT_IFNAME", "asciiz"),)


class _Kind(nla):  # type: ignore[misc]
    nla_map = ((1, "IFLA_INFO_KIND", "asciiz"),)


class LinkMessage(nlmsg):  # type: ignore[misc]
    """RTM_NEWLINK and its sisters: struct ifinfomsg and its attributes (rtnetlink(7))."""

    fields = (
        ("family", "B"),
        ("__pad", "x"),
        ("type", "H"),
        ("index", "i"),
        ("flags", "I"),
        ("change", "I"),
    )
    nla_map = (
        (1, "IFLA_ADDRESS", "cdata"),
        (3, "IFLA_IFNAME", "asciiz"),
        (4, "IFLA_MTU", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (18, "IFLA_LINKINFO", "kind"),
        (20, "IFLA_IFALIAS", "asciiz"),
        (22, "IFLA_VFINFO_LIST", "vf_list"),
        (28, "IFLA_NET_NS_FD", "uint32"),
        (29, "IFLA_EXT_MASK", "uint32"),
        (33, "IFLA_CARRIER", "uint8"),
        (50, "IFLA_MIN_MTU", "uint32"),
        (51, "IFLA_MAX_MTU", "uint32"),
        (52, "IFLA_PROP_LIST", "properties"),
        (53, "IFLA_ALT_IFNAME", "asciiz"),
        (54, "IFLA_PERM_ADDRESS", "cdata"),
        (56, "IFLA_PARENT_DEV_NAME", "asciiz"),
        (57, "IFLA_PARENT_DEV_BUS_NAME", "asciiz"),
    )
    kind, vf_list, properties = _Kind, _VfInfoList, _Properties
