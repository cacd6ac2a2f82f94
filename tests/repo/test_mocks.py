"""The tests touch real things: hardly any of them replaces a part of what it tests."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.support.repository import files

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 0.1  # per test
NAMES = {"Mock", "MagicMock", "AsyncMock", "PropertyMock", "patch", "create_autospec", "mocker"}


def trees() -> Iterator[ast.Module]:
    for path in files("tests/*.py"):
        yield ast.parse(path.read_text(encoding="utf-8"))


def is_mock(node: ast.AST) -> bool:
    """Tell whether a call replaces something of the program; setting an environment variable does not."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("setattr", "setitem", "delattr"):
        return isinstance(node.func, ast.Attribute)  # monkeypatch's
    return name in NAMES


def test_there_is_at_most_one_mock_in_ten_tests() -> None:
    nodes = [node for tree in trees() for node in ast.walk(tree)]
    tests = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    mocks = [n for n in nodes if is_mock(n)]
    assert len(tests) > 100
    assert len(mocks) / len(tests) <= MOST
