"""Records and allocations of SR-IOV attachments, as the engine leaves them, for tests of what reads them.

Owns their form alone: nothing is attached. What the engine really writes is
seen in the guest (tests/sriov).
"""

from __future__ import annotations

import os
from typing import Any

from cni_userspace.attach.store import ATTACHED, Key, Record, Store
from cni_userspace.engines.sriov import allocation
from cni_userspace.engines.sriov.allocation import Allocation

PF, VF = "0000:fe:00.0", "0000:fe:10.0"  # on no machine
MAC = "02:00:00:00:00:01"
BEFORE = {"name": "enp254s0v0", "mac": MAC, "mtu": 1500, "up": False, "altnames": [], "addresses": []}
GONE = "/run/netns/gone"
GONE_ID = "00000000:4:4026530000"  # of another boot


def key(container: str = "c1", ifname: str = "net1") -> Key:
    """Return an attachment's identity."""
    return Key(network="fast", container_id=container, ifname=ifname)


def taken(**given: Any) -> Allocation:  # noqa: ANN401  any field
    """Return an allocation of a VF whose container is gone, unless told otherwise."""
    usual = {"pci": VF, "key": key(), "netns": GONE, "netns_id": GONE_ID, "pf": PF, "vf": 0, "netdev": BEFORE}
    return Allocation(**{**usual, **given})


def plan(state: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401  any key
    """Return the plan that a record of that VF has when ADD has ended."""
    usual = {
        "place": f"{state}/{allocation.DEVICES}",
        "pci": VF,
        "pf": PF,
        "whole": False,
        "vf": 0,
        "kernel": True,
        "bound": "igbvf",
        "mac": MAC,
        "mtu": 1500,
        "settings": {"vlan": [7, 0, "802.1q"]},
        "addresses": [],
        "routes": [],
        "pod": {},
    }
    return {**usual, **given}


def record(state: str, whose: Key | None = None, /, state_word: str = ATTACHED, **given: Any) -> Record:  # noqa: ANN401
    """Return the record of an attachment with that plan, its container gone."""
    return Record(
        key=whose or key(),
        state=state_word,
        engine="sriov",
        netns=GONE,
        netns_id=GONE_ID,
        plan=plan(state, **given),
    )


def keep(state: str, *kept: Record | Allocation) -> None:
    """Write them where the plugin keeps them."""
    place = f"{state}/{allocation.DEVICES}"
    store = Store(state)
    for one in kept:
        if isinstance(one, Record):
            folder = f"{state}/attachments/{one.key.container_id}"
            os.makedirs(folder, exist_ok=True)
            store.write(one)
        else:
            os.makedirs(f"{place}/{one.pci}", exist_ok=True)
            allocation.write(place, one)


def tear(state: str, pci: str = VF) -> str:
    """Leave the allocation that a power cut leaves; return its path."""
    path = f"{state}/{allocation.DEVICES}/{pci}/allocation.json"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"pci": "0000')
    return path
