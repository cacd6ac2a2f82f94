"""What tests are handed: a switch, containers, the plugin; and the marks they may carry.

Owns fixtures alone; what they hand out is in tests/support. A rig that cannot
stand here says so through `need`.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.need import DPDK_SWITCH, ROOT, SWITCH, need, strict
from tests.support.netns import Netns
from tests.support.plugin import Plugin
from tests.support.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeNetns = Callable[[], Netns]
    MakePlugin = Callable[..., Plugin]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks; hear the signals that a background job or nohup(1) has us ignore.

    Ignoring is inherited, and the plugin would rightly ignore them too.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
    config.addinivalue_line(
        "markers",
        "runtime: runs the plugin as a runtime does; ./dev test runs it once more with the built executable",
    )
    config.addinivalue_line("markers", "built: needs what ./dev build makes; ./dev test builds before")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let a run fail that left something out although everything was set up for it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if strict() and not exitstatus and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def session_switch() -> Iterator[Switch]:
    """Give the one DPDK switch of this run; use `switch`, which cleans it."""
    need(*DPDK_SWITCH)
    with Switch() as switch:
        yield switch


@pytest.fixture
def switch(session_switch: Switch) -> Iterator[Switch]:
    """Give the run's DPDK switch, without bridges, both daemons alive."""
    session_switch.clean()
    yield session_switch
    session_switch.clean()


@pytest.fixture
def fresh_switch() -> Iterator[Switch]:
    """Give a DPDK switch of the test's own, to break as it likes."""
    need(*DPDK_SWITCH)
    with Switch() as switch:
        yield switch


@pytest.fixture
def plain_switch() -> Iterator[Switch]:
    """Give a switch of the test's own without DPDK: no vhost ports; 50 ms."""
    need(*SWITCH)
    with Switch(dpdk=False) as switch:
        yield switch


@pytest.fixture
def make_netns() -> Iterator[MakeNetns]:
    """Give a maker of containers' network namespaces; they end with the test."""
    need(ROOT, "ip")
    made: list[Netns] = []

    def make() -> Netns:
        made.append(Netns())
        return made[-1]

    yield make
    for netns in made:
        netns.close()


@pytest.fixture
def netns(make_netns: MakeNetns) -> Netns:
    """Give one container's network namespace."""
    return make_netns()


@pytest.fixture
def make_plugin() -> Iterator[MakePlugin]:
    """Give a maker of plugins with a node of their own each: `make_plugin(switch, **node_keys)`."""
    need(ROOT)
    made: list[Plugin] = []

    def make(switch: Switch | None = None, **node: object) -> Plugin:
        made.append(Plugin(switch, **node))
        return made[-1]

    yield make
    for plugin in made:
        plugin.close()


@pytest.fixture
def plugin(switch: Switch, make_plugin: MakePlugin) -> Plugin:
    """Give the plugin on a node of its own whose switch is `switch`."""
    return make_plugin(switch)
