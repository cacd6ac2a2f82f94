"""What these tests share: a maker of attachments on the run's switch, a node with one container."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import attached, gotools
from tests.support.need import missing
from tests.support.netns import Netns
from tests.support.node import Node
from tests.support.plugin import Plugin
from tests.support.switch import Switch

Attach = Callable[..., attached.Attached]


@pytest.fixture
def attach(plugin: Plugin, switch: Switch, netns: Netns) -> Attach:
    """Give a maker of attachments: `attach(ifname=..., container=..., **keys of the netconf)`."""

    def do(**keys: object) -> attached.Attached:
        return attached.attach(plugin, switch, netns, **keys)  # type: ignore[arg-type]

    return do


@pytest.fixture
def node(plugin: Plugin, switch: Switch, netns: Netns) -> Node:
    """Give a node whose switch has an administrator's bridge br0, and one container on it."""
    return Node(plugin, switch, netns)


@pytest.fixture(scope="session")
def reference_plugins() -> str:
    """Give the directory of the pinned reference plugins: unlike Debian 12's they know CNI 1.1.0."""
    try:
        return gotools.build()
    except gotools.GoToolsMissingError as error:
        missing(str(error))
