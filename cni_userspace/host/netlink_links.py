"""Links, through rtnetlink: what they are, and changing them.

Owns what this program asks of the kernel about network devices, and nothing of
why. Every change is one message, and a message of several attributes is not
atomic: the kernel applies them in an order of its own and stops at the first
that fails (net/core/rtnetlink.c, do_setlink and do_setvfinfo). Indexes are of
the namespace of the conversation; a device that moves may get another.
"""

from __future__ import annotations

import os
from errno import ENODEV

from cni_userspace.host import netlink_vfs
from cni_userspace.host.lean import Codecs
from cni_userspace.host.nlsocket import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NlSocket, kind_of
from cni_userspace.value import Value

with Codecs():
    from cni_userspace.host.rtmessages import LinkMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cni_userspace.host.deadline import Deadline

RTM_NEWLINK, RTM_GETLINK, RTM_SETLINK = 16, 18, 19  # linux/rtnetlink.h
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
RTMGRP_LINK = 0x1
RTEXT_FILTER_VF, RTEXT_FILTER_SKIP_STATS = 1, 8
IFF_UP = 0x1  # netdevice(7)
IFNAMSIZ = 16


class Link(Value):
    """One network device; texts are "" and numbers 0 where the kernel says nothing."""

    index: int
    name: str
    mac: str  # lower case, colons between the bytes; other kinds of devices have other lengths
    permanent_mac: str  # as the hardware has it; virtual devices have none
    mtu: int
    min_mtu: int
    max_mtu: int
    up: bool  # asked to be up
    carrier: bool
    altnames: tuple[str, ...]
    alias: str
    master: int  # the index of the bridge, bond or switch that it belongs to
    pci: str  # the device's PCI address, lower case; kernels before 5.14 do not say it
    kind: str  # of a virtual device: "veth", "bridge"


class Links(NlSocket):
    """The links of one namespace, and the VFs of those that are PFs."""

    def links(self) -> list[Link]:
        """Return all links of the namespace."""
        return [_link(_decoded(m)) for m in self.dump(LinkMessage, RTM_GETLINK)]

    def link(self, name: str) -> Link | None:
        """Return the link of that name or alternative name, None without one."""
        attribute = "IFLA_IFNAME" if len(os.fsencode(name)) < IFNAMSIZ else "IFLA_ALT_IFNAME"
        return self._one(0, (attribute, os.fsencode(name)))

    def link_at(self, index: int) -> Link | None:
        """Return the link of that index, None without one."""
        return self._one(index)

    def _one(self, index: int, *attributes: tuple[str, Any]) -> Link | None:
        try:
            answers = self.request(_message(index, *attributes), RTM_GETLINK)
        except OSError as error:
            if error.errno == ENODEV:
                return None
            raise
        return _link(_decoded(answers[0]))

    def by_pci(self, address: str) -> Link | None:
        """Return the link of a PCI device, None without one or on kernels before 5.14.

        A device with several ports on one PCI address gives the first.
        """
        wanted = address.lower()
        # a node has hundreds of links, and to decode one takes 0.2 ms
        messages = (m for m in self.dump(LinkMessage, RTM_GETLINK) if wanted.encode() in m.lower())
        return next((link for m in messages if (link := _link(_decoded(m))).pci == wanted != ""), None)

    def vfs(self, index: int) -> list[netlink_vfs.Vf]:
        """Return the VFs of a PF in their order, [] where it has none. Raises OSError."""
        wanted = RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS
        answers = self.request(_message(index, ("IFLA_EXT_MASK", wanted)), RTM_GETLINK)
        found = _decoded(answers[0]).get_attr("IFLA_VFINFO_LIST")
        return [] if found is None else [netlink_vfs.read(info) for info in found.get_attrs("IFLA_VF_INFO")]

    def set_vf(  # noqa: PLR0913  what a VF has
        self,
        index: int,
        vf: int,
        *,
        mac: str | None = None,
        vlan: tuple[int, int, str] | None = None,
        rates: tuple[int, int] | None = None,
        spoofchk: bool | None = None,
        trust: bool | None = None,
        link_state: str | None = None,
    ) -> None:
        """Change a VF through its PF's index, in one message; nothing where nothing is given.

        `vlan` is id, priority and protocol, `rates` least and most Mbit/s. With
        several, the kernel takes MAC, VLAN, rates, spoofchk, link state, trust, and
        what it did before a failure stays. Raises
        OSError: EOPNOTSUPP and EPROTONOSUPPORT where the driver cannot, EINVAL.
        """
        attributes = netlink_vfs.changes(
            vf, mac=mac, vlan=vlan, rates=rates, spoofchk=spoofchk, trust=trust, link_state=link_state
        )
        if attributes:
            info = ("IFLA_VF_INFO", {"attrs": attributes})
            self._set(index, ("IFLA_VFINFO_LIST", {"attrs": [info]}))

    def rename(self, index: int, name: str) -> None:
        """Rename a link. Raises OSError: EBUSY where it is up, EEXIST, EINVAL."""
        self._set(index, ("IFLA_IFNAME", os.fsencode(name)))

    def set_mac(self, index: int, mac: str) -> None:
        """Set a link's effective MAC; some drivers do so later than they answer. Raises OSError."""
        self._set(index, ("IFLA_ADDRESS", _octets(mac)))

    def set_mtu(self, index: int, mtu: int) -> None:
        """Set a link's MTU. Raises OSError."""
        self._set(index, ("IFLA_MTU", mtu))

    def set_alias(self, index: int, alias: str) -> None:
        """Set a link's alias; "" takes it away. Raises OSError."""
        self._set(index, ("IFLA_IFALIAS", os.fsencode(alias)))

    def set_up(self, index: int, up: bool) -> None:  # noqa: FBT001  the state is the argument
        """Bring a link up or down. Raises OSError."""
        message = _message(index)
        message["flags"], message["change"] = IFF_UP if up else 0, IFF_UP
        self.request(message, RTM_SETLINK)

    def move(self, index: int, netns_fd: int, name: str = "") -> None:
        """Move a link to another namespace, where it is down, and may have another index.

        With `name`, it is renamed right after it came there: where that name is
        taken, OSError (EEXIST) leaves it there under its old one. Without, EEXIST
        where its name is taken there. Its addresses and routes are lost.
        """
        named = [("IFLA_IFNAME", os.fsencode(name))] if name else []
        self._set(index, ("IFLA_NET_NS_FD", netns_fd), *named)

    def add_altname(self, index: int, name: str) -> None:
        """Give a link one more name, up to 127 bytes. Raises OSError (EEXIST)."""
        self._property(index, name, RTM_NEWLINKPROP, NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND)

    def remove_altname(self, index: int, name: str) -> None:
        """Take an alternative name away. Raises OSError (ENOENT)."""
        self._property(index, name, RTM_DELLINKPROP, 0)

    def _property(self, index: int, name: str, kind: int, flags: int) -> None:
        names = {"attrs": [("IFLA_ALT_IFNAME", os.fsencode(name))]}
        self.request(_message(index, ("IFLA_PROP_LIST", names)), kind, flags)

    def _set(self, index: int, *attributes: tuple[str, Any]) -> None:
        self.request(_message(index, *attributes), RTM_SETLINK)

    def await_link(self, predicate: Callable[[Link], bool], deadline: Deadline) -> Link:
        """Return the first link for which the predicate holds, as soon as there is one.

        Looks at what is there, then at what the kernel tells of. Raises
        TimeoutError at the deadline.
        """
        with self.listen(RTMGRP_LINK) as news:
            told: list[Link] | None = None
            while True:
                for link in self.links() if told is None else told:
                    if predicate(link):
                        return link
                messages = news.wait(deadline)
                told = (
                    None
                    if messages is None
                    else [_link(_decoded(m)) for m in messages if kind_of(m) == RTM_NEWLINK]
                )

    def carries(self, index: int) -> bool:
        """Tell whether a link is up and has a carrier."""
        link = self.link_at(index)
        return link is not None and link.up and link.carrier


def _message(index: int, *attributes: tuple[str, Any]) -> LinkMessage:
    message = LinkMessage()
    message["index"] = index
    message["attrs"] = list(attributes)
    return message


def _decoded(data: bytes) -> LinkMessage:
    message = LinkMessage(data)
    message.decode()
    return message


def _link(message: LinkMessage) -> Link:
    have = message.get_attr
    properties, linkinfo = have("IFLA_PROP_LIST"), have("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=_text(have("IFLA_IFNAME")),
        mac=_mac(have("IFLA_ADDRESS")),
        permanent_mac=_mac(have("IFLA_PERM_ADDRESS")),
        mtu=have("IFLA_MTU", 0),
        min_mtu=have("IFLA_MIN_MTU", 0),
        max_mtu=have("IFLA_MAX_MTU", 0),
        up=bool(message["flags"] & IFF_UP),
        carrier=bool(have("IFLA_CARRIER", 0)),
        altnames=tuple(_text(n) for n in properties.get_attrs("IFLA_ALT_IFNAME")) if properties else (),
        alias=_text(have("IFLA_IFALIAS")),
        master=have("IFLA_MASTER", 0),
        pci=_text(have("IFLA_PARENT_DEV_NAME")).lower() if have("IFLA_PARENT_DEV_BUS_NAME") == "pci" else "",
        kind=_text(linkinfo.get_attr("IFLA_INFO_KIND")) if linkinfo else "",
    )


def _text(value: str | bytes | None) -> str:
    return os.fsdecode(value) if value else ""


def _mac(octets: bytes | None) -> str:
    return octets.hex(":") if octets else ""


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
