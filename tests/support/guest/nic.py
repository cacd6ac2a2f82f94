"""The guest's network devices, seen from outside the plugin: sysfs and ip(8).

Owns the functions' drivers and the number of VFs of a PF. Must never ask the
plugin's own code anything: this is the witness. Names come from udev some time
after the kernel has made a device (udev also gives an igbvf another MAC): hence
the waits.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.child import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

DEVICES = "/sys/bus/pci/devices"
SECONDS = 60.0
NO_MAC = "00:00:00:00:00:00"


def link(name: str, netns: str = "") -> dict[str, Any]:
    """Return what `ip -d -j link` says of a netdev, in a namespace by its name. Raises CalledProcessError."""
    (found,) = ip(netns, "-d", "link", "show", "dev", name)
    return found


def links(netns: str = "") -> list[dict[str, Any]]:
    """Return what it says of all, loopback not counted."""
    return [one for one in ip(netns, "-d", "link") if one["ifname"] != "lo"]


def addresses(name: str, netns: str = "") -> list[str]:
    """Return a netdev's addresses as `192.0.2.1/24`, link-local ones of IPv6 not counted."""
    (found,) = ip(netns, "address", "show", "dev", name)
    return addresses_of(found)


def addresses_of(told: dict[str, Any]) -> list[str]:
    """Return the addresses in what `ip -j address` says of one netdev."""
    scopes = ((info, (info["family"], info["scope"])) for info in told["addr_info"])
    return [f"{info['local']}/{info['prefixlen']}" for info, scope in scopes if scope != ("inet6", "link")]


def ip(netns: str, *words: str) -> list[dict[str, Any]]:
    """Return what `ip -j` answers. Raises CalledProcessError."""
    place = ["-n", netns] if netns else []
    done = subprocess.run(["ip", *place, "-j", *words], check=True, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


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
        told = self.read("driver_override")
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

    def read(self, name: str) -> str:
        """Return what one of its files in sysfs says."""
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

    def up(self) -> None:
        """Bring its netdev up and wait for the carrier."""
        subprocess.run(["ip", "link", "set", self.netdev, "up"], check=True)
        await_carrier(self.netdev)

    def set_vfs(self, count: int) -> tuple[Vf, ...]:
        """Have this many VFs; where they are made, also wait for their names, which udev gives.

        Another number than before makes all of them anew and resets the PF,
        whose link goes down for a second.
        """
        if int(self.read("sriov_numvfs")) == count:
            return self.vfs()
        self.write("sriov_numvfs", "0")
        if count:
            self.write("sriov_numvfs", str(count))
        settle()
        found = self.vfs()
        wait_for("VFs with names", lambda: all(vf.netdev[:2] == "en" for vf in found), SECONDS, proof=_all)
        if "UP" in self.link["flags"]:
            await_carrier(self.netdev)
            _wake(found)
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


def _wake(vfs: Sequence[Vf]) -> None:
    """Take each VF up and down once, which resets it: its link is there at once from then on.

    At its making the PF is in reset itself and does not answer; left alone,
    igbvf tries again ten seconds later (igbvf_has_link() of the kernel).
    """
    names = [vf.netdev for vf in vfs]
    script = "".join(f"link set {name} {state}\n" for name in names for state in ("up", "down"))
    subprocess.run(["ip", "-batch", "-"], check=True, input=script, text=True)


def settle() -> None:
    """Wait until udev has nothing more to do."""
    subprocess.run(["udevadm", "settle", f"--timeout={SECONDS:.0f}"], check=True)


def _all() -> str:
    return subprocess.run(["ip", "-d", "link"], check=True, capture_output=True, text=True).stdout


def _pointed_at(path: str) -> str:
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else ""
