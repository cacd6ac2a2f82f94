"""The network device of a VF or PF: out into a container, and home again whole.

Owns where it is, its way between namespaces, and what it was like before. Never
renames a device at home, where udev would see it: into the container the kernel
renames it while it moves, home it goes through a temporary namespace, where it
gets its name back, so that nothing ever clashes.

The kernel brings a physical device home by itself when its namespace dies, a
moment later, down, without addresses, and under the name that it had there.
So a device that is found at home may still need its name back.
"""

from __future__ import annotations

import os
from errno import EEXIST, ENODEV

from cni_userspace.errors import ConflictError, UnknownContainerError
from cni_userspace.host import netns
from cni_userspace.host.netlink import Address, Netlink
from cni_userspace.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cni_userspace.engines.sriov.allocation import Allocation
    from cni_userspace.host.deadline import Deadline
    from cni_userspace.host.netlink import Link
    from cni_userspace.host.sysfs import Sysfs

HOME_SECONDS = 10  # for the kernel to bring a device home: it takes namespaces apart one by one
MAC_SECONDS = 2
UDEV_SECONDS = 5
_LINK_LOCAL = "fe80:"


class Before(Value):
    """A network device as it was at home."""

    name: str
    mac: str
    mtu: int
    up: bool
    altnames: tuple[str, ...] = ()
    addresses: tuple[Mapping[str, Any], ...] = ()  # the kernel's own link-local ones left out


def snapshot(home: Netlink, link: Link) -> dict[str, Any]:
    """Return what a device needs to be the same again, in the record's form."""
    before = Before(
        name=link.name,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        altnames=link.altnames,
        addresses=tuple(a.as_dict() for a in _addresses(home, link)),
    )
    return {k: list(v) if isinstance(v, tuple) else v for k, v in before.as_dict().items()}


def _addresses(home: Netlink, link: Link) -> list[Address]:
    return [a for a in home.addresses(link.index) if not a.address.startswith(_LINK_LOCAL)]


def at_home(home: Netlink, pci: str, sysfs: Sysfs) -> Link | None:
    """Return a PCI device's network device in our own namespace, None without one there."""
    found = home.by_pci(pci)
    names = () if found else sysfs.netdevs(pci)  # kernels before 5.14 do not tell a link's device
    return home.link(names[0]) if names else found


def _is_of(link: Link, pci: str, sysfs: Sysfs) -> bool:
    """Tell whether a link of our own namespace is that PCI device's."""
    return link.pci == pci or (not link.pci and link.name in sysfs.netdevs(pci))  # kernels before 5.14


def in_container(there: Netlink, pci: str, name: str) -> Link | None:
    """Return a PCI device's network device in a container, where ADD gave it that name."""
    found = there.by_pci(pci)
    if found is None:
        named = there.link(name)
        found = named if named and not named.pci and not named.kind else None  # kernels before 5.14
    return found


def into(home: Netlink, link: Link, container: int, name: str) -> None:
    """Move a device into the container (an open namespace) under its new name; it is down then."""
    if name in link.altnames:
        home.remove_altname(link.index, name)
    home.move(link.index, container, name)


def tell_changes(container: int, name: str) -> list[str]:
    """Have the kernel tell neighbours when the interface's MAC changes later on; return what it refuses."""
    refused = []
    for key in (f"ipv4/conf/{name}/arp_notify", f"ipv6/conf/{name}/ndisc_notify"):
        try:
            netns.sysctl(container, key, "1")
        except FileNotFoundError:  # a kernel without IPv6
            pass
        except OSError as error:  # a read-only /proc/sys
            refused.append(f"{key} cannot be set: {error.strerror}")
    return refused


def back(there: Netlink, link: Link, before: Before, home: int, deadline: Deadline) -> list[str]:
    """Move a device home from a container, under the name that it had; return what would not go.

    Where somebody else has that name by now, it comes home under another one.
    """
    failures = []
    with netns.Temporary() as between:
        there.move(link.index, between)
        with Netlink(deadline, between) as inside:
            moved = required(inside, link.name)
            _rename(inside, moved, before.name)
            try:
                inside.move(moved.index, home)
            except OSError as error:
                if error.errno != EEXIST:
                    raise
                failures.append(f"its name {before.name} is another's at home")
                inside.rename(moved.index, _other_name(link))
                inside.move(moved.index, home)
    return failures


def _other_name(link: Link) -> str:
    """Return a name that only this device can have: of its PCI address, else of its number."""
    return "pci" + link.pci.replace(":", "").replace(".", "")[-12:] if link.pci else f"home{link.index}"


def _rename(netlink: Netlink, link: Link, name: str) -> None:
    """Give a device that is down a name, also where that is one of its alternative ones."""
    if name in link.altnames:
        netlink.remove_altname(link.index, name)
    if name == link.name:
        return
    try:
        netlink.rename(link.index, name)
    except FileExistsError:  # udev gives a device that came home by itself its old name as an alternative
        now = netlink.link_at(link.index)
        if now is None or name not in now.altnames:
            raise
        netlink.remove_altname(link.index, name)
        netlink.rename(link.index, name)


def required(netlink: Netlink, name: str) -> Link:
    """Return a link that was just there; raise ConflictError where it has gone."""
    found = netlink.link(name)
    if found is None:
        raise ConflictError("the device went away while it was moved", details=name)
    return found


def await_new(home: Netlink, pci: str, sysfs: Sysfs, deadline: Deadline) -> Link:
    """Wait for the network device of a device that has gone back to its own driver; return it.

    It is a new one in the node's namespace: with another index, down, MTU 1500,
    without alternative names and addresses. Where udev runs, it has done with it
    (see `host.udev`), so that name and MAC are there to stay or to be set. The
    MAC is the hardware's (a PF), the one that the PF has for the VF, or made up
    by kernel or udev: also where the PF is down, which igbvf then cannot ask.
    VLAN and other settings of the VF at its PF stay. Raises TimeoutError where
    none appears.
    """
    from cni_userspace.host import udev

    found = home.await_link(lambda link: _is_of(link, pci, sysfs), deadline)
    udev.await_netdev(found.index, deadline.within(UDEV_SECONDS))
    return home.link_at(found.index) or found


def settle(home: Netlink, link: Link, before: Before, deadline: Deadline) -> list[str]:
    """Make a device at home what it was; return what would not go. A repeat changes nothing."""
    failures = []
    index = link.index
    if (link.name, link.mac, link.mtu) != (before.name, before.mac, before.mtu):
        home.set_up(index, up=False)  # names and many drivers' MACs change only then
        failures += _attempt(f"name {before.name}", lambda: _rename(home, link, before.name))
        if link.mac != before.mac:
            failures += _attempt(f"MAC {before.mac}", lambda: set_mac(home, link, before.mac, deadline))
        if link.mtu != before.mtu:
            failures += _attempt(f"MTU {before.mtu}", lambda: home.set_mtu(index, before.mtu))
    for name in link.altnames:
        if name not in (*before.altnames, before.name):  # a container could take any name
            failures += _attempt(f"alternative name {name}", lambda n=name: home.remove_altname(index, n))
    for name in before.altnames:
        if name not in link.altnames:
            failures += _attempt(f"alternative name {name}", lambda n=name: home.add_altname(index, n))
    failures += _attempt("up or down", lambda: home.set_up(index, up=before.up))
    there = {address.address for address in home.addresses(link.index)}
    for found in before.addresses:
        if found["address"] not in there:
            failures += _attempt(
                f"address {found['address']}",
                lambda a=found: home.add_address(index, Address(**a)),
            )
    return failures


def set_mac(netlink: Netlink, link: Link, mac: str, deadline: Deadline) -> None:
    """Give a device that is down its effective MAC, and see it.

    A VF's driver asks its PF, which answers later, or refuses even the MAC that
    it has itself set for the VF: igb does, for one that it does not trust. Such
    drivers take over the PF's when they reset, which igbvf does on its way down,
    others on their way up. Raises OSError, TimeoutError.
    """
    refusal: OSError | None = None
    try:
        netlink.set_mac(link.index, mac)
    except OSError as error:
        refusal = error
        netlink.set_up(link.index, up=True)
        netlink.set_up(link.index, up=False)
    try:
        netlink.await_link(
            lambda found: found.index == link.index and found.mac == mac, deadline.within(MAC_SECONDS)
        )
    except TimeoutError:
        raise refusal or TimeoutError(f"{mac} does not show") from None


def _attempt(what: str, step: Any) -> list[str]:  # noqa: ANN401  any call without arguments
    try:
        step()
    except OSError as error:
        return [f"{what}: {error.strerror or error}"]
    return []


def bring_home(allocation: Allocation, home: Netlink, sysfs: Sysfs, deadline: Deadline) -> list[str]:
    """Bring an allocation's network device home, wherever it is; return what would not go.

    One that is nowhere to be seen is on its way out of a dead namespace, or is
    held there by a process that keeps the namespace open: it is waited for.
    """
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in allocation.netdev.items()}
    before = Before(**told)
    link = at_home(home, allocation.pci, sysfs)
    failures: list[str] = []
    if link is None and allocation.lives:
        failures = _fetch(allocation, before, deadline)
    if link is None:
        try:
            link = home.await_link(
                lambda found: _is_of(found, allocation.pci, sysfs), deadline.within(HOME_SECONDS)
            )
        except TimeoutError:
            return [*failures, f"{before.name} has not come home: a process may hold its namespace"]
    return failures + settle(home, link, before, deadline)


def _fetch(allocation: Allocation, before: Before, deadline: Deadline) -> list[str]:
    """Move the device out of a namespace that lives; nothing where it is not there."""
    try:
        container = netns.opened(allocation.netns, allocation.netns_id)
    except UnknownContainerError:  # it died this moment: the kernel brings the device
        return []
    home = netns.opened(netns.SELF)
    try:
        with Netlink(deadline, container) as there:
            link = in_container(there, allocation.pci, allocation.key.ifname)
            return back(there, link, before, home, deadline) if link else []
    except OSError as error:
        if error.errno == ENODEV:  # the namespace died meanwhile: the kernel brings it
            return []
        return [f"{before.name} cannot be moved home: {error.strerror}"]
    finally:
        os.close(home)
        os.close(container)
