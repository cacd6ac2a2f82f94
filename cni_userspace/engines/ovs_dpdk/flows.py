"""Flows: what one attachment may send, and where its frames go. Pure.

Owns the text of every flow that is written, in the very words in which
ovs-ofctl shows it again, so that CHECK can compare. Every flow carries the
cookie of its attachment; deleting is by cookie, so nobody else's goes.

Fields and their prerequisites: ovs-fields(7). Neighbour discovery: RFC 4861,
sections 4.3 and 4.4 (an absent link-layer option matches as zero), duplicate
address detection: RFC 4862, section 5.4.2 and RFC 5227; MLD: RFC 3590.
"""

from __future__ import annotations

import _socket

from cni_userspace.attach import naming
from cni_userspace.attach.store import Key
from cni_userspace.engines.ovs_dpdk.rows import CLOSED_VLAN
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Over 32768, the priority of flows that an administrator adds without naming one.
SHUT, ALLOW_EXACT, DROP_REST, ALLOW, BASE = 40400, 40300, 40200, 40100, 40000
NORMAL = "NORMAL"
DROP = "drop"
LOCAL = 65534  # OFPP_LOCAL, the bridge's own port, which ovs-ofctl shows by name
NO_OPTION = "00:00:00:00:00:00"
SOLICITATION, ADVERTISEMENT = 135, 136
REPORTS = (131, 143)  # MLD's, which come from :: before there is an address


class End(Value):
    """One attachment as its flows see it."""

    key: Key
    bridge: str = ""
    port: str  # its name
    ofport: int
    mac: str  # "": unknown, so nothing may be sent with anti-spoofing
    ips: tuple[str, ...] = ()  # without prefix lengths
    anti_spoofing: bool = False
    segment: str = ""
    peer_port: str = ""

    @property
    def cookie(self) -> str:
        """Return the cookie of its flows as ovs-ofctl writes it."""
        return f"0x{naming.cookie(self.key.network, self.key.container_id, self.key.ifname):x}"

    @property
    def wired(self) -> bool:
        """Tell whether its frames go to one other port."""
        return bool(self.segment or self.peer_port)


def flows(end: End, other: int | None) -> list[str]:
    """Return the flows of an end; `other` is the number of the port that it is wired to, if that is there.

    A wired end without the other drops what it gets from the container.
    Frames of the VLAN that its port is shut to everything else with are
    dropped wherever they come from: a port of the learning switch that
    carries all VLANs could forge them into the wire.
    """
    here, action = f"in_port={end.ofport}", _output(end, other)
    found = []
    if end.anti_spoofing and end.mac and action != DROP:
        found += [f"{match} actions={action}" for match in _allowed(end, here)]
        found += [f"{match} actions={DROP}" for match in _rest(end, here)]
    base = DROP if end.anti_spoofing else action
    found.append(f"priority={BASE},{here} actions={base}")
    if end.peer_port and other:
        found.append(f"priority={BASE},in_port={_number(other)} actions=output:{end.ofport}")
    if end.wired:
        found.append(f"priority={SHUT},{_always(end)}dl_vlan={CLOSED_VLAN} actions={DROP}")
    return found


def _always(end: End) -> str:
    """Return a match that is always true and no other attachment's.

    Registers are 0 in the first table, whatever bits of them are compared.
    Two ends with one match would share one flow, and it would go with either.
    """
    bits = int(end.cookie, 16)
    halves = {"reg0": bits >> 32, "reg1": bits & 0xFFFFFFFF}
    return "".join(f"{register}=0/0x{mask:x}," for register, mask in halves.items() if mask)


def additions(end: End, other: int | None) -> list[str]:
    """Return the lines that put an end's flows in the place of those that it had."""
    return [removal(end.cookie), *(f"add cookie={end.cookie},{flow}" for flow in flows(end, other))]


def removal(cookie: str) -> str:
    """Return the line that deletes an attachment's flows and no others."""
    return f"delete cookie={cookie}/-1"


def plain(address: str) -> str:
    """Return an IP address, with or without a prefix length, as the switch writes it."""
    bare = address.partition("/")[0]
    family = _socket.AF_INET6 if ":" in bare else _socket.AF_INET
    return _socket.inet_ntop(family, _socket.inet_pton(family, bare))


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address of a MAC (EUI-64; RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    eui = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return _socket.inet_ntop(_socket.AF_INET6, b"\xfe\x80" + bytes(6) + eui)


def _output(end: End, other: int | None) -> str:
    if not end.wired:
        return NORMAL
    if not other:
        return DROP
    return _number(other) if other == LOCAL else f"output:{other}"


def _number(ofport: int) -> str:
    return "LOCAL" if ofport == LOCAL else str(ofport)


def _allowed(end: End, here: str) -> Iterator[str]:
    sent = f"{here},dl_src={end.mac}"
    if not end.ips:
        yield f"priority={ALLOW_EXACT},arp,{sent},arp_sha={end.mac}"
        for option in (end.mac, NO_OPTION):
            yield f"priority={ALLOW_EXACT},icmp6,{sent},{_icmp(SOLICITATION)},nd_sll={option}"
            yield f"priority={ALLOW_EXACT},icmp6,{sent},{_icmp(ADVERTISEMENT)},nd_tll={option}"
        yield f"priority={ALLOW},{sent}"
        return
    for ip in (ip for ip in end.ips if ":" not in ip):
        yield f"priority={ALLOW_EXACT},arp,{sent},arp_spa={ip},arp_sha={end.mac}"
        yield f"priority={ALLOW_EXACT},arp,{sent},arp_spa=0.0.0.0,arp_tpa={ip},arp_sha={end.mac}"
        yield f"priority={ALLOW},ip,{sent},nw_src={ip}"
    six = [ip for ip in end.ips if ":" in ip]
    if six:
        yield from _neighbours(end.mac, f"icmp6,{sent}", (*six, link_local(end.mac)))
        for ip in (*six, link_local(end.mac)):
            yield f"priority={ALLOW},ipv6,{sent},ipv6_src={ip}"


def _neighbours(mac: str, sent: str, own: Sequence[str]) -> Iterator[str]:
    for ip in own:
        for option in (mac, NO_OPTION):
            yield f"priority={ALLOW_EXACT},{sent},ipv6_src={ip},{_icmp(SOLICITATION)},nd_sll={option}"
            for target in own:
                told = f"nd_target={target},nd_tll={option}"
                yield f"priority={ALLOW_EXACT},{sent},ipv6_src={ip},{_icmp(ADVERTISEMENT)},{told}"
        told = f"nd_target={ip},nd_sll={NO_OPTION}"
        yield f"priority={ALLOW_EXACT},{sent},ipv6_src=::,{_icmp(SOLICITATION)},{told}"
    for kind in REPORTS:
        yield f"priority={ALLOW_EXACT},{sent},ipv6_src=::,{_icmp(kind)}"


def _rest(end: End, here: str) -> Iterator[str]:
    """What a wider rule would let pass although its contents lie."""
    if not end.ips:
        yield f"priority={DROP_REST},arp,{here}"
    if not end.ips or any(":" in ip for ip in end.ips):
        for kind in (SOLICITATION, ADVERTISEMENT):
            yield f"priority={DROP_REST},icmp6,{here},{_icmp(kind)}"


def _icmp(kind: int) -> str:
    return f"icmp_type={kind},icmp_code=0"
