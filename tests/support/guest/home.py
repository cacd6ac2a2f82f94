"""The picture of the guest's devices that must be the same before and after a test.

Owns what belongs to it: driver and override of every network function, its
netdev's name, MTU, MAC, altnames, addresses and whether it is up, every VF's
settings at its PF, all netdevs and namespaces. Three programs are run for it,
not one for each device: in a guest, starting them is what takes the time.
"""

from __future__ import annotations

import os
import time
from typing import Any

from tests.support.guest.nic import DEVICES, NO_MAC, Device, addresses_of, ip, links, settle
from tests.support.netns import FOLDER

Picture = dict[str, Any]
# Until the kernel has brought a device home from a dead namespace, and udev is done with it.
RETURN_SECONDS = 20.0
NETWORK = "0x02"  # a PCI class


def picture() -> Picture:
    """Return what is there now, once udev has nothing to do; netdevs by name, functions by address."""
    settle()
    told = {one["ifname"]: one for one in links()}
    has = {one["ifname"]: addresses_of(one) for one in ip("", "address")}
    found: Picture = {name: _netdev(one, has.get(name, [])) for name, one in told.items()}
    found["namespaces"] = sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
    for device in (Device(address) for address in sorted(os.listdir(DEVICES))):
        if device.read("class").startswith(NETWORK):
            found[device.address] = {name: getattr(device, name) for name in ("driver", "override", "netdev")}
    for one in told.values():
        found |= _settings(one, told)
    return found


def difference(before: Picture) -> list[str]:
    """Return how the picture differs at last; what is on its way is waited for."""
    end = time.monotonic() + RETURN_SECONDS
    while True:
        after = picture()
        names = sorted(name for name in before | after if before.get(name) != after.get(name))
        lines = [f"{name}: {before.get(name)} -> {after.get(name)}" for name in names]
        if not lines or time.monotonic() > end:
            return lines


def _netdev(told: dict[str, Any], has: list[str]) -> Picture:
    found: Picture = {key: told.get(key) for key in ("mtu", "address", "altnames")}
    return found | {"up": "UP" in told["flags"], "addresses": has}


def _settings(pf: dict[str, Any], told: dict[str, Any]) -> Picture:
    """Return the settings of a PF's VFs.

    As the MAC that the PF keeps for a VF, igb tells none, the one that was set
    there, or the one that the VF had when it last came up: the first and the
    last are the same state.
    """
    found: Picture = {}
    for info in pf.get("vfinfo_list", ()):
        function = os.path.realpath(os.path.join(DEVICES, pf["parentdev"], f"virtfn{info['vf']}"))
        own = told.get(Device(os.path.basename(function)).netdev, {}).get("address")
        its_own = info["address"] in (NO_MAC, own)
        found[f"{pf['ifname']}, VF {info['vf']}"] = info | ({"address": "its own"} if its_own else {})
    return found
