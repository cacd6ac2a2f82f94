"""The guest's network devices, seen from outside the plugin: sysfs and ip(8).

Owns the number of VFs of a PF and the picture of a device that must be the
same before and after. Must never ask the plugin's own code anything: this is
the witness. Names come from udev some time after the kernel has made a device
(udev also gives an igbvf another MAC): hence the waits.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.support.child import wait_for

DEVICES = "/sys/bus/pci/devices"
SECONDS = 60.0
NO_MAC = "00:00:00:00:00:00"


def link(name: str, netns: str = "") -> dict[str, Any]:
    """Return what `ip -d -j link` says of a netdev, in a namespace by its name. Raises CalledProcessError."""
    (found,) = _ip(netns, "-d", "link", "show", "dev", name)
    return found


def links(netns: str = "") -> list[dict[str, Any]]:
    """Return what it says of all, loopback not counted."""
    return [one for one in _ip(netns, "-d", "link") if one["ifname"] != "lo"]


def addresses(name: str, netns: str = "") -> list[str]:
    """Return a netdev's addresses as `192.0.2.1/24`, link-local ones of IPv6 not counted."""
    (found,) = _ip(netns, "address", "show", "dev", name)
    infos = (
        info for info in found["addr_info"] if not (info["family"] == "inet6" and info["scope"] == "link")
    )
    return [f"{info['local']}/{info['prefixlen']}" for info in infos]


@dataclass(frozen=True)
class Device:
    """One PCI function."""

    address: str  # as `0000:01:00.0`

    @property
    def path(self) -> str:
        """Its directory."""
        return os.path.join(DEVICES, self.address)

    @property
    def driver(self) -> str:
        """Its driver's name, "" without one."""
        return _pointed_at(os.path.join(self.path, "driver"))

    @property
    def override(self) -> str:
        """The driver that it is reserved for, "" for none."""
        told = self._read("driver_override")
        return "" if told == "(null)" else told

    @property
    def group(self) -> list[str]:
        """The addresses in its IOMMU group, itself included."""
        return sorted(os.listdir(os.path.join(self.path, "iommu_group", "devices")))

    @property
    def netdev(self) -> str:
        """Its netdev's name, "" where it is in another namespace, or there is none."""
        folder = os.path.join(self.path, "net")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return names[0] if names else ""

    @property
    def link(self) -> dict[str, Any]:
        """What `ip -d -j link` says of its netdev; it must be at home."""
        return link(self.netdev)

    def picture(self) -> dict[str, Any]:
        """Return all that must be as before when nobody has it any more."""
        found: dict[str, Any] = {"driver": self.driver, "override": self.override, "netdev": self.netdev}
        if self.netdev:
            told = self.link
            found |= {key: told.get(key) for key in ("mtu", "address", "altnames")}
            found |= {"up": "UP" in told["flags"], "addresses": addresses(self.netdev)}
        return found

    def rebind(self, driver: str = "") -> None:
        """Hand it to a driver, "" for its own, which starts it anew: VFs and settings are gone then."""
        self.write("driver_override", driver or "\n")
        if self.driver:
            self.write("driver/unbind", self.address)
        with open("/sys/bus/pci/drivers_probe", "w", encoding="ascii") as file:
            file.write(self.address)
        settle()
        wait_for("a driver", lambda: self.driver, SECONDS, proof=_all)

    def write(self, name: str, text: str) -> None:
        """Write to one of its files in sysfs."""
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _read(self, name: str) -> str:
        with open(os.path.join(self.path, name), encoding="utf-8") as file:
            return file.read().strip()


@dataclass(frozen=True)
class Vf(Device):
    """A virtual function."""

    index: int
    pf: Pf

    def settings(self) -> dict[str, Any]:
        """Return what `ip -d -j link` says of it at its PF."""
        (found,) = (info for info in self.pf.link["vfinfo_list"] if info["vf"] == self.index)
        return dict(found)


class Pf(Device):
    """A physical function."""

    def picture(self) -> dict[str, Any]:
        """Return what a device's picture has, and the settings of the VFs.

        As the MAC that the PF keeps for a VF, igb tells none, the one that was
        set there, or the one that the VF has taken by itself when it last came
        up: the first and the last are the same state.
        """
        found = super().picture()
        if self.netdev:
            own = {vf.index: link(vf.netdev)["address"] for vf in self.vfs() if vf.netdev}
            for info in self.link.get("vfinfo_list", ()):
                its_own = info["address"] in (NO_MAC, own.get(info["vf"]))
                found[f"VF {info['vf']}"] = info | ({"address": "its own"} if its_own else {})
        return found

    def up(self) -> None:
        """Bring its netdev up and wait for the carrier."""
        subprocess.run(["ip", "link", "set", self.netdev, "up"], check=True)
        await_carrier(self.netdev)

    def set_vfs(self, count: int) -> tuple[Vf, ...]:
        """Have this many VFs, each with its netdev under the name that udev gives.

        Another number than before makes all of them anew, with other MACs, and
        resets the PF: its link goes down for some seconds.
        """
        if int(self._read("sriov_numvfs")) != count:
            self.write("sriov_numvfs", "0")
            if count:
                self.write("sriov_numvfs", str(count))
            settle()
            if "UP" in self.link["flags"]:
                await_carrier(self.netdev)
        found = self.vfs()
        wait_for(
            "VFs named by udev", lambda: all(vf.netdev.startswith("en") for vf in found), SECONDS, proof=_all
        )
        return found

    def vfs(self) -> tuple[Vf, ...]:
        """Return its VFs by index."""
        names = [name for name in os.listdir(self.path) if name.startswith("virtfn")]
        indexes = sorted(int(name.removeprefix("virtfn")) for name in names)
        return tuple(Vf(_pointed_at(f"{self.path}/virtfn{index}"), index, self) for index in indexes)


def await_carrier(name: str, netns: str = "") -> None:
    """Wait until a netdev that is up has its link: igbvf looks every two seconds. Raises RigError."""

    def there() -> bool:
        return "LOWER_UP" in link(name, netns)["flags"]

    wait_for(f"the link of {name}", there, SECONDS, proof=lambda: str(link(name, netns)))


def settle() -> None:
    """Wait until udev has nothing more to do."""
    subprocess.run(["udevadm", "settle", f"--timeout={SECONDS:.0f}"], check=True)


def _ip(netns: str, *words: str) -> list[dict[str, Any]]:
    place = ["-n", netns] if netns else []
    done = subprocess.run(["ip", *place, "-j", *words], check=True, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _all() -> str:
    return subprocess.run(["ip", "-d", "link"], check=True, capture_output=True, text=True).stdout


def _pointed_at(path: str) -> str:
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else ""
