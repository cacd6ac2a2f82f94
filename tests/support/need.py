"""What a test needs of the machine, said out loud where it is not there.

Owns the difference between a person's machine and CI. `need` skips the test
with what is missing and the command that brings it; where the set-up has put
everything in place (CI=true, or USERSPACE_TESTS_STRICT=1, which ./dev sets as
root) the same is a failure: a green run must never be green by not running.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing import NoReturn

ROOT = "root"
HUGEPAGES = "hugepages"
SWITCH = ("ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", ROOT)
DPDK_SWITCH = (*SWITCH, "ovs-vswitchd-dpdk", HUGEPAGES)
SEARCH_PATH = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ":/usr/lib/openvswitch-switch-dpdk:/usr/lib/openvswitch-switch"
)
# Debian 12: apt-file search bin/NAME
PACKAGES = {
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-common",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-common",
    "ovs-appctl": "openvswitch-common",
    "ovs-vswitchd-dpdk": "openvswitch-switch-dpdk",
    "dpdk-testpmd": "dpdk-dev",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "host-local": "containernetworking-plugins",
}


def strict() -> bool:
    """Tell whether something missing is a failure."""
    return os.environ.get("CI") == "true" or os.environ.get("USERSPACE_TESTS_STRICT") == "1"


def missing(reason: str, remedy: str = "") -> NoReturn:
    """End the test: skipped with the reason and the remedy, or failed where CI promises the thing."""
    text = f"{reason} ({remedy})" if remedy else reason
    if strict():
        pytest.fail(f"needed here, and missing: {text}", pytrace=False)
    pytest.skip(text)


def find(program: str) -> str | None:
    """Return a program's path, looking also where Debian keeps what is not for users' PATH."""
    return shutil.which(program) or shutil.which(program, path=SEARCH_PATH)


def need(*things: str) -> None:
    """Go on only where all of these are there: program names, ROOT, HUGEPAGES."""
    for thing in things:
        if thing == ROOT:
            if os.geteuid():
                missing("needs root", "sudo ./dev test")
        elif thing == HUGEPAGES:
            if not os.path.isdir("/sys/kernel/mm/hugepages/hugepages-2048kB"):
                missing("the kernel has no 2 MiB hugepages", "boot one with CONFIG_HUGETLBFS")
        elif find(thing) is None:
            package = PACKAGES.get(thing, thing)
            missing(f"there is no {thing}", f"apt-get install {package}")
