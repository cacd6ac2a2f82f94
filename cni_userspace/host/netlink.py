"""Addresses and routes, through rtnetlink.

Owns what this program asks of the kernel about them (rtnetlink(7)). An address
or route read here can be given back as it is read: that is how a device comes
home with what it had.
"""

from __future__ import annotations

import _socket
from errno import ENODEV, ENOENT

from cni_userspace.host.lean import Codecs
from cni_userspace.host.netlink_links import RTMGRP_LINK, Link, Links
from cni_userspace.host.netlink_vfs import Vf
from cni_userspace.host.nlsocket import NLM_F_CREATE, NLM_F_EXCL
from cni_userspace.value import Value

with Codecs():
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
    from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from cni_userspace.host.deadline import Deadline

__all__ = ["Address", "Link", "Netlink", "Route", "Vf"]

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22  # linux/rtnetlink.h
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTMGRP_IPV6_IFADDR = 0x100
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255
RT_TABLE_COMPAT = 252  # for numbers that only the attribute can hold
RTPROT_KERNEL = 2
RTPROT_BOOT = 3  # as `ip route add` and the reference plugins have it
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTN_UNICAST = 1
RTNH_F_ONLINK = 4
RTM_DST_LEN = 17  # where the prefix length stands in a route's message
IFA_F_NODAD, IFA_F_DADFAILED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x02, 0x08, 0x40, 0x80  # linux/if_addr.h
IFA_F_GIVEN = 0x2 | 0x10 | 0x100 | 0x200 | 0x400  # the flags that a user may give
FOREVER = 0xFFFFFFFF
ANY = {_socket.AF_INET: "0.0.0.0", _socket.AF_INET6: "::"}  # noqa: S104  a prefix
WITH_BROADCAST = 30  # the longest prefix that has a broadcast address (RFC 3021)


class Address(Value):
    """An IP address of a link."""

    address: str  # "192.0.2.1/24"
    peer: str = ""  # of a point-to-point link
    broadcast: str = ""
    label: str = ""
    scope: int = RT_SCOPE_UNIVERSE
    flags: int = 0  # IFA_F_
    valid: int = FOREVER  # seconds
    preferred: int = FOREVER

    @property
    def permanent(self) -> bool:
        """Tell whether it stays until somebody takes it away."""
        return bool(self.flags & IFA_F_PERMANENT)


class Route(Value):
    """A route through a link; None: as the kernel chooses."""

    dst: str  # "192.0.2.0/24"
    gateway: str = ""
    source: str = ""  # the address that packets get
    priority: int | None = None
    mtu: int | None = None
    advmss: int | None = None
    table: int = RT_TABLE_MAIN
    scope: int | None = None
    protocol: int = RTPROT_BOOT
    onlink: bool = False


class Netlink(Links):
    """rtnetlink in one namespace: links, VFs, addresses, routes. See `nlsocket.NlSocket`."""

    def addresses(self, index: int) -> list[Address]:
        """Return a link's addresses, those of IPv4 first, [] without the link."""
        return [address for address, _ in self._addresses(index, _socket.AF_UNSPEC)]

    def _addresses(self, index: int, family: int) -> list[tuple[Address, int]]:
        def wanted() -> ifaddrmsg:
            message = ifaddrmsg()
            message["family"], message["index"] = family, index
            return message

        try:
            found = [_decoded(ifaddrmsg, data) for data in self.dump(wanted, RTM_GETADDR)]
        except OSError as error:
            if error.errno == ENODEV:
                return []
            raise
        return [(_address(m), _flags(m)) for m in found if m["index"] == index]

    def add_address(self, index: int, address: Address | str, *, nodad: bool = False) -> None:
        """Give a link an address, "192.0.2.1/24" or one that was read.

        IPv4 gets the broadcast address that belongs to the prefix if none is
        given. `nodad` leaves out IPv6's duplicate address detection. Raises
        OSError: EEXIST where it is there, EACCES or EPERM for IPv6 where that is switched off.
        """
        given = address if isinstance(address, Address) else _plain(address)
        flags = given.flags & IFA_F_GIVEN | (IFA_F_NODAD if nodad else 0)
        message = _address_message(index, given)
        message["attrs"] += [
            ("IFA_FLAGS", flags),
            *((name, text) for name, text in _more(given) if text),
        ]
        if given.valid != FOREVER:
            lifetimes = {"ifa_preferred": given.preferred, "ifa_valid": given.valid}
            message["attrs"].append(("IFA_CACHEINFO", lifetimes))
        self.request(message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL)

    def remove_address(self, index: int, address: Address | str) -> None:
        """Take an address away. Raises OSError (EADDRNOTAVAIL where it is not there)."""
        given = address if isinstance(address, Address) else _plain(address)
        self.request(_address_message(index, given), RTM_DELADDR)

    def await_settled(
        self, index: int, deadline: Deadline, only: Collection[str] = ()
    ) -> list[tuple[str, str]]:
        """Wait until IPv6's duplicate address detection has ended; return addresses and states.

        States are "ready", "duplicate" and, where the link has no carrier, so
        that detection cannot end, "tentative". `only` names the addresses to
        wait for, by default all of the link. Raises TimeoutError (RFC 4862, 5.4).
        """
        with self.listen(RTMGRP_LINK | RTMGRP_IPV6_IFADDR) as news:
            while True:
                found = self._addresses(index, _socket.AF_INET6)
                states = [(a.address, _state(flags)) for a, flags in found if not only or a.address in only]
                if "tentative" not in dict(states).values() or not self.carries(index):
                    return states
                news.wait(deadline)

    def routes(self, index: int) -> list[Route]:
        """Return the routes of all tables that lead through a link and no other, [] without the link.

        The kernel's own (local, multicast, the prefixes of addresses) are not
        among them.
        """
        try:
            found = [m for family in ANY for m in self._routes(family, index=index)]
        except OSError as error:
            if error.errno == ENODEV:
                return []
            raise
        return [_route(m) for m in found if m.get_attr("RTA_OIF") == index and m["proto"] != RTPROT_KERNEL]

    def default_routes(self) -> set[int]:
        """Return the indexes of the links that carry a default route of a main table."""
        found = [m for family in ANY for m in self._routes(family, table=RT_TABLE_MAIN, default=True)]
        return {hop for message in found for hop in _hops(message)}

    def _routes(self, family: int, *, index: int = 0, table: int = 0, default: bool = False) -> list[rtmsg]:
        """Ask the kernel, which need not heed table and index: it does since 4.20."""

        def wanted() -> rtmsg:
            message = rtmsg()
            message.update({"family": family, "table": table})
            message["attrs"] = [("RTA_OIF", index)] if index else []
            return message

        try:
            answers = self.dump(wanted, RTM_GETROUTE)
        except OSError as error:
            if error.errno == ENOENT:  # no route has ever been in that table
                return []
            raise
        # a router has a million of them: only those that matter are decoded
        found = [_decoded(rtmsg, data) for data in answers if not (default and data[RTM_DST_LEN])]
        return [
            m for m in found if m["family"] == family and m["type"] == RTN_UNICAST and table in (0, _table(m))
        ]

    def add_route(self, index: int, route: Route) -> None:
        """Add a route through a link.

        Raises OSError: EEXIST (FileExistsError) where there is one with that
        destination, table and priority; ENETUNREACH where the gateway cannot be
        reached.
        """
        self.request(_route_message(index, route), RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)

    def remove_route(self, index: int, route: Route) -> None:
        """Remove a route of a link. Raises OSError (ESRCH where there is none)."""
        self.request(_route_message(index, route), RTM_DELROUTE)


def _decoded(form: Any, data: bytes) -> Any:  # noqa: ANN401  untyped library
    message = form(data)
    message.decode()
    return message


def _family(address: str) -> int:
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def _plain(address: str) -> Address:
    """Return an address with the broadcast address that belongs to it."""
    host, _, length = address.partition("/")
    if _family(host) == _socket.AF_INET6 or int(length) > WITH_BROADCAST:
        return Address(address=address)
    number = int.from_bytes(_socket.inet_aton(host), "big") | (1 << 32 - int(length)) - 1
    return Address(address=address, broadcast=_socket.inet_ntoa(number.to_bytes(4, "big")))


def _address_message(index: int, given: Address) -> ifaddrmsg:
    host, _, length = given.address.partition("/")
    message = ifaddrmsg()
    family = _family(host)
    message.update({"family": family, "prefixlen": int(length), "scope": given.scope, "index": index})
    message["attrs"] = [("IFA_LOCAL", host), ("IFA_ADDRESS", given.peer or host)]
    return message


def _more(given: Address) -> list[tuple[str, Any]]:
    return [("IFA_BROADCAST", given.broadcast), ("IFA_LABEL", given.label)]


def _flags(message: ifaddrmsg) -> int:
    return int(message.get_attr("IFA_FLAGS", message["flags"]))


def _address(message: ifaddrmsg) -> Address:
    have = message.get_attr
    far = have("IFA_ADDRESS")
    host = have("IFA_LOCAL") or far
    lifetimes = have("IFA_CACHEINFO")
    return Address(
        address=f"{host}/{message['prefixlen']}",
        peer="" if far == host else far,
        broadcast=have("IFA_BROADCAST", ""),
        label=have("IFA_LABEL", ""),
        scope=message["scope"],
        flags=_flags(message),
        valid=lifetimes["ifa_valid"] if lifetimes else FOREVER,
        preferred=lifetimes["ifa_preferred"] if lifetimes else FOREVER,
    )


def _state(flags: int) -> str:
    if flags & IFA_F_DADFAILED:
        return "duplicate"
    return "tentative" if flags & IFA_F_TENTATIVE else "ready"


def _route_message(index: int, route: Route) -> rtmsg:
    prefix, _, length = route.dst.partition("/")
    family = _family(prefix)
    by_default = RT_SCOPE_LINK if family == _socket.AF_INET and not route.gateway else RT_SCOPE_UNIVERSE
    message = rtmsg()
    message.update(
        {
            "family": family,
            "dst_len": int(length),
            "table": route.table if route.table <= RT_TABLE_LOCAL else RT_TABLE_COMPAT,
            "proto": route.protocol,
            "scope": by_default if route.scope is None else route.scope,
            "type": RTN_UNICAST,
            "flags": RTNH_F_ONLINK if route.onlink else 0,
        }
    )
    message["attrs"] = [("RTA_OIF", index), ("RTA_TABLE", route.table), *_route_attributes(route, prefix)]
    return message


def _route_attributes(route: Route, prefix: str) -> list[tuple[str, Any]]:
    given = {
        "RTA_DST": "" if route.dst.endswith("/0") else prefix,
        "RTA_GATEWAY": route.gateway,
        "RTA_PREFSRC": route.source,
    }
    metrics = [(k, v) for k, v in (("RTAX_MTU", route.mtu), ("RTAX_ADVMSS", route.advmss)) if v is not None]
    return [
        *((name, text) for name, text in given.items() if text),
        *([] if route.priority is None else [("RTA_PRIORITY", route.priority)]),
        *([("RTA_METRICS", {"attrs": metrics})] if metrics else []),
    ]


def _table(message: rtmsg) -> int:
    return int(message.get_attr("RTA_TABLE", message["table"]))


def _hops(message: rtmsg) -> list[int]:
    """Return the indexes of the links that a route leads through."""
    several = message.get_attr("RTA_MULTIPATH")
    return [hop["oif"] for hop in several] if several else [message.get_attr("RTA_OIF", 0)]


def _route(message: rtmsg) -> Route:
    have = message.get_attr
    metrics = have("RTA_METRICS")
    prefix = have("RTA_DST") or ANY[message["family"]]
    return Route(
        dst=f"{prefix}/{message['dst_len']}",
        gateway=have("RTA_GATEWAY", ""),
        source=have("RTA_PREFSRC", ""),
        priority=have("RTA_PRIORITY"),
        mtu=metrics.get_attr("RTAX_MTU") if metrics else None,
        advmss=metrics.get_attr("RTAX_ADVMSS") if metrics else None,
        table=_table(message),
        scope=message["scope"],
        protocol=message["proto"],
        onlink=bool(message["flags"] & RTNH_F_ONLINK),
    )
