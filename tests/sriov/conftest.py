"""What these tests share: a PF with VFs, the plugin without a switch, and that all is home afterwards.

They run in the guest alone (tests/support/guest): elsewhere they are not even
collected. The state that each test finds: the first PF up, with VFS VFs on
igbvf; everything else down. A test may change it as it likes through the
fixtures; what the plugin has changed must be back when it ends.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import guest
from tests.support.guest.nic import Device, Pf, Vf, links, settle
from tests.support.plugin import Plugin
from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakePlugin = Callable[..., Plugin]
    Picture = dict[str, Any]

VFS = 4
RETURN_SECONDS = 20.0  # until the kernel has brought a device home from a dead namespace, and udev is done


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the tests out elsewhere."""
    return None if guest.inside() or collection_path.is_dir() else True


def pytest_report_header() -> str:
    """Say so to who names this folder."""
    return "" if guest.inside() else "tests/sriov runs in a guest: ./dev e2e sriov"


@pytest.fixture(scope="session")
def _pfs() -> tuple[Pf, Pf]:
    """Give both PFs in the state that each test finds."""
    first, second = Pf(guest.FIRST_PF), Pf(guest.SECOND_PF)
    first.set_vfs(VFS)
    first.up()
    return first, second


@pytest.fixture
def pf(_pfs: tuple[Pf, Pf]) -> Pf:
    """Give the first PF: up, with VFs."""
    return _pfs[0]


@pytest.fixture
def other_pf(_pfs: tuple[Pf, Pf]) -> Pf:
    """Give the second PF: down, without VFs, wired to the first one."""
    return _pfs[1]


@pytest.fixture
def vfs(pf: Pf) -> tuple[Vf, ...]:
    """Give the first PF's VFs; for another number call `pf.set_vfs(n)`, which makes all of them anew."""
    return pf.vfs()


@pytest.fixture
def vf(vfs: tuple[Vf, ...]) -> Vf:
    """Give the first VF."""
    return vfs[0]


@pytest.fixture
def sharing() -> tuple[Device, ...]:
    """Give two network devices of one IOMMU group."""
    return tuple(Device(address) for address in guest.SHARING_A_GROUP)


@pytest.fixture
def make_plugin() -> Iterator[MakePlugin]:
    """Give a maker of plugins with a node of their own each; in the end nothing may be attached there."""
    made: list[Plugin] = []

    def make(**node: object) -> Plugin:
        made.append(Plugin(None, **node))
        return made[-1]

    yield make
    left = [path for plugin in made for path in remains(plugin)]
    for plugin in made:
        plugin.close()
    if left:
        pytest.fail("left by the plugin:\n" + "\n".join(left), pytrace=False)


@pytest.fixture
def plugin(make_plugin: MakePlugin) -> Plugin:
    """Give the plugin on a node of its own, without a switch."""
    return make_plugin()


@pytest.fixture(autouse=True)
def _home(_pfs: tuple[Pf, Pf]) -> Iterator[None]:
    """See that everything is as before; else say so, and start the PFs anew."""
    first, _ = _pfs
    vfs, before = first.vfs(), _picture()
    yield
    if first.vfs() != vfs:
        first.set_vfs(VFS)
        before = {name: told for name, told in before.items() if name not in {vf.address for vf in vfs}}
    difference = _difference(before)
    if difference:
        for pf in _pfs:
            pf.rebind()
        first.set_vfs(VFS)
        first.up()
        pytest.fail("not as before the test:\n" + "\n".join(difference), pytrace=False)


def _picture() -> Picture:
    functions = [Pf(a) for a in sorted(os.listdir("/sys/bus/pci/devices")) if _is_nic(a)]
    found: Picture = {pf.address: pf.picture() for pf in functions}
    netdevs = sorted(one["ifname"] for one in links())
    namespaces = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    return {**found, "netdevs": netdevs, "namespaces": namespaces}


def _difference(before: Picture) -> list[str]:
    """Return how the picture differs in the end; what is on its way is waited for."""
    end = time.monotonic() + RETURN_SECONDS
    while True:
        settle()
        after = _picture()
        lines = [
            f"{name}: {told} -> {after.get(name)}" for name, told in before.items() if told != after.get(name)
        ]
        if not lines or time.monotonic() > end:
            return lines


def _is_nic(address: str) -> bool:
    with open(f"/sys/bus/pci/devices/{address}/class", encoding="ascii") as file:
        return file.read().startswith("0x02")
