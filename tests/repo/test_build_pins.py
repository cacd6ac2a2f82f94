"""What the executable is made with is exact, and is all that the package asks for."""

from __future__ import annotations

import re

from tests.support import pins


def test_every_package_that_the_plugin_needs_is_pinned() -> None:
    names = {pins.normal(re.split(r"[<>=!~\[; ]", text)[0]) for text in pins.wanted()}
    assert names <= set(pins.pinned())


def test_nothing_else_of_the_package_gets_into_the_executable() -> None:
    """Its extras, for development and for containers, are not what a node needs."""
    assert not {"grpcio", "protobuf", "pytest", "mypy", "ruff"} & set(pins.pinned())
