"""Results: what ADD tells the runtime, read and written in every version of the protocol.

Owns the one form that the plugin works with (`Result`, which holds what 1.1.0
can say) and the way from and to the JSON of each version. Touches nothing.
Never invents a field that a version does not know: strict readers exist, and
the specification binds a result to the version of its configuration.
Source: CNI specification 0.1.0 to 1.1.0, "Result Types"; conversions lose and
keep what libcni's pkg/types/{020,040,100} lose and keep, except that an
attachment without addresses has a result below 0.3.0 too.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_pton  # `socket` alone costs 5 ms

from cni_userspace.errors import DecodeError
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = VERSIONS[-1]
DNS_LISTS = ("nameservers", "search", "options")
_NOTHING: Mapping[str, Any] = {}


class Interface(Value):
    """An interface; `sandbox` is CNI_NETNS for the container's own, empty on the host."""

    name: str
    mac: str = ""
    mtu: int = 0
    sandbox: str = ""
    socket_path: str = ""
    pci_id: str = ""


class IP(Value):
    """An address with its prefix length; `interface` indexes the result's interfaces."""

    address: str
    gateway: str = ""
    interface: int | None = None


class Result(Value):
    """All that a result of version 1.1.0 says. Routes and DNS keep JSON's own keys."""

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[IP, ...] = ()
    routes: tuple[Mapping[str, Any], ...] = ()
    dns: Mapping[str, Any] = _NOTHING


def at_least(version: str, wanted: str) -> bool:
    """Tell whether a version of VERSIONS is `wanted` or newer; ValueError for another one."""
    return VERSIONS.index(version) >= VERSIONS.index(wanted)


def parse(raw: Mapping[str, Any], source: str = "the result") -> Result:
    """Read a result of any version: a plugin's output, or a prevResult.

    A result without `cniVersion` (what old IPAM plugins print) is told by its
    shape. Indexes may point nowhere: IPAM plugins set them without listing
    interfaces. `source` names the result in the words of the error.
    Raises DecodeError for another version and for malformed content.
    """
    try:
        return _parse(_mapping(raw, source))
    except _MalformedError as malformed:
        raise DecodeError(f"{source} is malformed", details=str(malformed)) from None


def render(result: Result, version: str) -> dict[str, Any]:
    """Return the JSON object of the result in a version of VERSIONS (else ValueError).

    Below 0.3.0 there is room for one address of each family: the first one is
    kept, and the routes of that family, as libcni does.
    """
    if not at_least(version, "0.3.0"):
        return {"cniVersion": version, **_families(result), **_dns(result.dns)}
    whole = {
        "cniVersion": version,
        "interfaces": [_render_interface(i, version) for i in result.interfaces],
        "ips": [_render_ip(i, version) for i in result.ips],
        "routes": [_render_route(r, version) for r in result.routes],
    }
    return {key: value for key, value in whole.items() if value} | _dns(result.dns)


def merge(prev: Result | None, own: Result) -> Result:
    """Return the chain's result: what came before, then our own.

    Own addresses belong to our own container interface (the first one with a
    sandbox), whatever the IPAM plugin said; where there is none, their own
    indexes are shifted. Lists of DNS servers are joined, without duplicates.
    """
    before = prev or Result()
    shift = len(before.interfaces)
    target = next((shift + n for n, i in enumerate(own.interfaces) if i.sandbox), None)
    ips = (i.replace(interface=_shifted(i.interface, shift) if target is None else target) for i in own.ips)
    return Result(
        interfaces=(*before.interfaces, *own.interfaces),
        ips=(*before.ips, *ips),
        routes=(*before.routes, *own.routes),
        dns=_join_dns(before.dns, own.dns),
    )


def is_ipv6(address: str) -> bool:
    """Tell the family of a well-formed address, with or without a prefix length."""
    return ":" in address


def _shifted(index: int | None, shift: int) -> int | None:
    return None if index is None else index + shift


def _join_dns(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**second, **first}
    for key in DNS_LISTS:
        items = [*first.get(key, ()), *second.get(key, ())]
        if items:
            joined[key] = list(dict.fromkeys(items))
    return joined


# --- writing


def _dns(dns: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in dns.items() if value}
    return {"dns": kept} if kept else {}


def _render_interface(interface: Interface, version: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"mac": interface.mac, "sandbox": interface.sandbox}
    if at_least(version, "1.1.0"):
        fields |= {"mtu": interface.mtu, "socketPath": interface.socket_path, "pciID": interface.pci_id}
    return {"name": interface.name} | {key: value for key, value in fields.items() if value}


def _render_ip(ip: IP, version: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if not at_least(version, "1.0.0"):
        fields["version"] = "6" if is_ipv6(ip.address) else "4"
    fields["address"] = ip.address
    if ip.gateway:
        fields["gateway"] = ip.gateway
    if ip.interface is not None:
        fields["interface"] = ip.interface
    return fields


def _render_route(route: Mapping[str, Any], version: str) -> dict[str, Any]:
    if at_least(version, "1.1.0"):
        return dict(route)
    return {key: route[key] for key in ("dst", "gw") if key in route}


def _families(result: Result) -> dict[str, Any]:
    families: dict[str, Any] = {}
    for ip in result.ips:
        key = "ip6" if is_ipv6(ip.address) else "ip4"
        if key not in families:
            families[key] = {"ip": ip.address} | ({"gateway": ip.gateway} if ip.gateway else {})
    for route in result.routes:
        family = families.get("ip6" if is_ipv6(route["dst"]) else "ip4")
        if family is not None:
            family.setdefault("routes", []).append(_render_route(route, "0.2.0"))
    return {key: families[key] for key in ("ip4", "ip6") if key in families}


# --- reading


class _MalformedError(Exception):
    """What is wrong, beginning with the path in the result."""


def _refuse(value: object, at: str, wanted: str) -> NoReturn:
    raise _MalformedError(f"{at}: {value!r:.80} is no {wanted}")


def _parse(raw: Mapping[str, Any]) -> Result:
    version = _text(raw, "cniVersion", "")
    if version and version not in VERSIONS:
        raise _MalformedError(f"cniVersion {version!r:.80} is none of {', '.join(VERSIONS)}")
    dns = _parse_dns(raw)
    if "ip4" in raw or "ip6" in raw:
        return _parse_families(raw, dns)
    return Result(
        interfaces=tuple(_parse_interface(i, at) for i, at in _items(raw, "interfaces")),
        ips=tuple(_parse_ip(i, at, "address") for i, at in _items(raw, "ips")),
        routes=tuple(_parse_route(r, at) for r, at in _items(raw, "routes")),
        dns=dns,
    )


def _parse_families(raw: Mapping[str, Any], dns: Mapping[str, Any]) -> Result:
    ips: list[IP] = []
    routes: list[Mapping[str, Any]] = []
    for key in ("ip4", "ip6"):
        if raw.get(key) is not None:
            ips.append(_parse_ip(raw[key], key, "ip"))
            routes += (_parse_route(r, f"{key}.{at}") for r, at in _items(raw[key], "routes"))
    return Result(ips=tuple(ips), routes=tuple(routes), dns=dns)


def _parse_interface(raw: object, at: str) -> Interface:
    fields = _mapping(raw, at)
    return Interface(
        name=_text(fields, "name", at),
        mac=_text(fields, "mac", at),
        mtu=_number(fields, "mtu", at) or 0,
        sandbox=_text(fields, "sandbox", at),
        socket_path=_text(fields, "socketPath", at),
        pci_id=_text(fields, "pciID", at),
    )


def _parse_ip(raw: object, at: str, key: str) -> IP:
    fields = _mapping(raw, at)
    return IP(
        address=_cidr(fields, key, at),
        gateway=_gateway(fields, "gateway", at),
        interface=_number(fields, "interface", at),
    )


def _parse_route(raw: object, at: str) -> dict[str, Any]:
    route = dict(_mapping(raw, at))
    route["dst"] = _cidr(route, "dst", at)
    if not _gateway(route, "gw", at):
        route.pop("gw", None)
    return route


def _parse_dns(raw: Mapping[str, Any]) -> dict[str, Any]:
    if raw.get("dns") is None:
        return {}
    dns = {key: value for key, value in _mapping(raw["dns"], "dns").items() if value}
    for key in DNS_LISTS:
        for n, item in enumerate(_list(dns.get(key), f"dns.{key}")):
            if not isinstance(item, str):
                _refuse(item, f"dns.{key}[{n}]", "string")
    _text(dns, "domain", "dns")
    return dns


def _path(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _mapping(value: object, at: str) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _refuse(value, at, "object")


def _list(value: object, at: str) -> Sequence[Any]:
    if value is None:  # Go writes an empty list as null
        return ()
    return value if isinstance(value, list) else _refuse(value, at, "list")


def _items(fields: Mapping[str, Any], key: str) -> list[tuple[Any, str]]:
    return [(item, f"{key}[{n}]") for n, item in enumerate(_list(fields.get(key), key))]


def _text(fields: Mapping[str, Any], key: str, at: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    return value if isinstance(value, str) else _refuse(value, _path(at, key), "string")


def _number(fields: Mapping[str, Any], key: str, at: str) -> int | None:
    value = fields.get(key)
    if value is not None and (type(value) is not int or value < 0):
        _refuse(value, _path(at, key), "whole number from 0")
    return value


def _gateway(fields: Mapping[str, Any], key: str, at: str) -> str:
    address = _text(fields, key, at)
    if address and not _bits(address):
        _refuse(address, _path(at, key), "IP address")
    return address


def _cidr(fields: Mapping[str, Any], key: str, at: str) -> str:
    text = _text(fields, key, at)
    address, _, prefix = text.partition("/")
    bits = _bits(address)
    if not bits or prefix not in map(str, range(bits + 1)):
        _refuse(text, _path(at, key), "IP address with a prefix length")
    return text


def _bits(address: str) -> int:
    family, bits = (AF_INET6, 128) if is_ipv6(address) else (AF_INET, 32)
    try:
        inet_pton(family, address)
    except (OSError, ValueError):  # ValueError: a NUL, or a lone surrogate
        return 0
    return bits
