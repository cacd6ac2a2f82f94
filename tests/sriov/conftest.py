"""What these tests share: a PF with VFs, the plugin without a switch, and that all is home afterwards.

They run in the guest alone (tests/support/guest): elsewhere they are not even
collected. The state that each test finds: the first PF up, with VFS VFs on
igbvf; everything else down. A test may change it as it likes through the
fixtures; what the plugin has changed must be back when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sriov.steps import Steps
from tests.support import guest
from tests.support.guest import shares
from tests.support.guest.home import difference, picture
from tests.support.guest.nic import Device, Pf, Vf
from tests.support.plugin import Plugin
from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.guest.home import Picture

    MakePlugin = Callable[..., Plugin]

VFS = 4


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the tests out elsewhere."""
    return None if guest.inside() or collection_path.is_dir() else True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep this guest's share."""
    mine = shares.ours([str(item.path) for item in items])
    items[:] = [item for item, keep in zip(items, mine, strict=True) if keep]


def pytest_report_header() -> str:
    """Say so to who names this folder."""
    return "" if guest.inside() else "tests/sriov runs in a guest: ./dev e2e sriov"


@pytest.fixture(scope="session")
def _pfs() -> tuple[Pf, Pf]:
    """Give both PFs in the state that each test finds."""
    first, second = Pf(guest.FIRST_PF), Pf(guest.SECOND_PF)
    first.up()
    first.set_vfs(VFS)
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


@pytest.fixture(scope="session")
def steps(_pfs: tuple[Pf, Pf]) -> Steps:
    """Give the steps of an ADD and a DEL of the first VF."""
    return Steps(_pfs[0].vfs()[0])


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


@pytest.fixture(scope="session")
def _last(_pfs: tuple[Pf, Pf]) -> list[Picture]:
    """Give the place of the picture that the last test left."""
    return [picture()]


@pytest.fixture(autouse=True)
def _home(_pfs: tuple[Pf, Pf], _last: list[Picture]) -> Iterator[None]:
    """See that everything is as before; else say so, and start the PFs anew."""
    first, _ = _pfs
    yield
    if first.netdev:
        first.set_vfs(VFS)  # which a test may have changed
    lines = difference(_last[0])
    if lines:
        for pf in _pfs:
            pf.rebind()
        first.up()
        first.set_vfs(VFS)
        _last[0] = picture()
        pytest.fail("not as before the test:\n" + "\n".join(lines), pytrace=False)
