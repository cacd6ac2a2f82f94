"""Addresses and routes on the container's interface, and the word that it is there.

Owns what the reference plugins' ConfigureIface does, and three things that it
does not: a route that is there already is no failure, but gets the next free
metric, as a second default route must;
an IPv6 address that another station has is told, and not merely waited for;
and neighbours hear of the new station at once, by gratuitous ARP and an
unsolicited neighbour advertisement, for a container's MAC may have changed.
"""

from __future__ import annotations

from errno import EEXIST

from cni_userspace.errors import ConflictError
from cni_userspace.host import neighbours, netns
from cni_userspace.host.netlink import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.cni.result import IP, Result
    from cni_userspace.host.deadline import Deadline
    from cni_userspace.host.netlink import Link, Netlink

SETTLE_SECONDS = 10  # of duplicate address detection: a second or two (RFC 4862)
CARRIER_SECONDS = 3  # a card takes one or two to negotiate
_METRIC = 1000  # of the first route behind one that was there before
_METRICS = 16
_KEYS = ("mtu", "advmss", "priority", "table", "scope")  # CNI specification 1.1.0, routes


def configure(
    inside: Netlink, container: int, link: Link, assigned: Result, deadline: Deadline
) -> dict[str, Any]:
    """Put addresses and routes on an interface that is up; return them as the record keeps them.

    `container` is the open namespace that `inside` works in. Raises
    ConflictError for an IPv6 address that another station has, OSError.
    """
    addresses = [_as_the_kernel_says(ip.address) for ip in assigned.ips]
    for address in addresses:
        _add(inside, container, link, address)
    carries = bool(addresses) and _carries(inside, link, deadline)
    if carries:  # else nobody can be asked or told; the kernel asks when there is a carrier
        _settle(inside, link, addresses, deadline)
    routes = [_route(inside, link, route, assigned.ips) for route in assigned.routes]
    untold = neighbours.announce(container, link.name, link.mac, addresses) if carries else []
    return {"addresses": addresses, "routes": routes, "warnings": tuple(untold)}


def _as_the_kernel_says(address: str) -> str:
    """Return an address in the form that the kernel answers with: an IPAM plugin may write another."""
    from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

    plain, _, prefix = address.partition("/")
    family = AF_INET6 if _is_six(plain) else AF_INET
    return f"{inet_ntop(family, inet_pton(family, plain))}/{prefix}"


def _add(inside: Netlink, container: int, link: Link, address: str) -> None:
    try:
        if _is_six(address):
            netns.sysctl(container, f"ipv6/conf/{link.name}/disable_ipv6", "0")
        inside.add_address(link.index, address)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConflictError(
            "the kernel does not take an address",
            details=f"{address} on {link.name}: {error}",
            hint="is IPv6 switched off on this node?" if _is_six(address) and error.errno != EEXIST else "",
        ) from None


def _carries(inside: Netlink, link: Link, deadline: Deadline) -> bool:
    """Wait a little for a carrier: what is sent before is lost, and a port without cable has none."""
    try:
        inside.await_link(
            lambda found: found.index == link.index and found.carrier, deadline.within(CARRIER_SECONDS)
        )
    except TimeoutError:
        return False
    return True


def _is_six(address: str) -> bool:
    return ":" in address


def _settle(inside: Netlink, link: Link, addresses: list[str], deadline: Deadline) -> None:
    """Wait for duplicate address detection; an application cannot bind before it is over."""
    if not any(_is_six(address) for address in addresses):
        return
    states = inside.await_settled(link.index, deadline.within(SETTLE_SECONDS), addresses)
    taken = [address for address, state in states if state == "duplicate"]
    if taken:
        raise ConflictError(
            "an IPv6 address is another station's already",
            details=f"duplicate address detection found {', '.join(taken)} on the link of {link.name}",
        )


def _route(inside: Netlink, link: Link, route: Mapping[str, Any], ips: tuple[IP, ...]) -> dict[str, Any]:
    """Add one route; return it with the gateway and the metric that it got."""
    destination = route["dst"]
    gateway = route.get("gw") or _gateway(destination, ips)
    known = {key: route[key] for key in _KEYS if route.get(key) is not None}
    wanted = Route(dst=destination, gateway=gateway, **known)
    first = wanted.priority or _METRIC
    for attempt in (wanted, *(wanted.replace(priority=first + step) for step in range(1, _METRICS))):
        try:
            inside.add_route(link.index, attempt)
        except FileExistsError:
            continue
        except TimeoutError:
            raise
        except OSError as error:
            raise ConflictError(
                "the kernel does not take a route",
                details=f"{destination} via {gateway or '-'} by {link.name}: {error.strerror}",
            ) from None
        return attempt.as_dict()
    raise ConflictError(
        "the container has that route already",
        details=f"{destination} by {link.name}, with metric {wanted.priority or 0}",
        hint="`priority` in the route gives it another metric",
    )


def _gateway(destination: str, ips: tuple[IP, ...]) -> str:
    """Return the gateway of the addresses' family, as the reference plugins do for a route without one."""
    six = _is_six(destination)
    return next((ip.gateway for ip in ips if ip.gateway and _is_six(ip.gateway) == six), "")
