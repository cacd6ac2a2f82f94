"""The way back of a device whose node has booted meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cni_userspace.engines.sriov import allocation, remove
from cni_userspace.host import netns
from cni_userspace.host.deadline import Deadline
from cni_userspace.host.sysfs import Sysfs
from tests.support import allocated

if TYPE_CHECKING:
    from pathlib import Path

    from cni_userspace.engines.sriov.allocation import Allocation

GONE_ID = f"{netns.boot()}:4:4026530000"


@pytest.fixture
def taken() -> Allocation:
    """Return an allocation of a real device that is at home, and whose network device is nowhere."""
    plain = (d for d in os.listdir("/sys/bus/pci/devices") if not Sysfs().netdevs(d))
    pci = next(plain, "")
    if not pci:
        pytest.skip("this machine has no PCI device")
    return allocated.taken(pci=pci, pf="", netns_id=GONE_ID)


def freed(state: Path, given: Allocation) -> bool:
    """Give a device back at once; tell whether it is free then."""
    allocated.keep(str(state), given)
    place = str(state / allocation.DEVICES)
    with allocation.hold(place, given.pci, Deadline(5)):
        failures = remove.free(place, given, Deadline(0.2))
        return not failures and allocation.read(place, given.pci) is None


def test_what_has_not_come_home_stays_allocated(tmp_path: Path, taken: Allocation) -> None:
    assert not freed(tmp_path, taken)


def test_what_an_earlier_boot_gave_away_is_free_and_nothing_is_set_on_it(
    tmp_path: Path, taken: Allocation
) -> None:
    """Its network device may have another name and address by now, which are right."""
    assert freed(tmp_path, taken.replace(netns_id=allocated.GONE_ID))
