"""Imports point one way (docs/design.md), those inside functions and those for type checkers too."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.support.repository import PACKAGE, ROOT, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "cni_userspace"
GROUND = {"errors", "value", "jsontext"}
MAY = {  # a part of the package -> the parts that it may import beside itself
    "errors": set(),
    "value": set(),
    "jsontext": set(),
    "schema": {"jsontext"},
    "host": GROUND,
    "cni": {*GROUND, "host", "schema"},
    "attach": {*GROUND, "host", "cni"},
    "engines": {*GROUND, "host", "cni", "attach"},
    "plugin": {*GROUND, "host", "cni", "attach", "engines"},
    "node": {*GROUND, "host", "cni", "attach", "engines", "schema", "__version__"},
    "__main__": {"plugin", "node"},
    "__init__": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.Module, module: str) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name: str) -> str:
    """Return the part of the package that a full name belongs to."""
    return name.split(".")[1] if "." in name else "__init__"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def ours(path: Path) -> set[str]:
    names = imported(ast.parse(path.read_text(encoding="utf-8")), shown(path))
    return {name for name in names if name.partition(".")[0] == NAME}


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part(module_name(path)) for path in MODULES} == set(MAY)


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_module_imports_what_its_part_may(path: Path) -> None:
    own = part(module_name(path))
    wrong = {name for name in ours(path) if part(name) not in {*MAY[own], own}}
    assert not wrong


@pytest.mark.parametrize("path", [p for p in MODULES if "engines" in p.parts], ids=shown)
def test_no_engine_knows_another(path: Path) -> None:
    own = module_name(path).split(".")[2:3]
    others = {name.split(".")[2] for name in ours(path) if part(name) == "engines" and name.count(".") > 1}
    assert others <= set(own)


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[-2] in ("attach", "cni", "host")], ids=shown)
def test_below_the_engines_nothing_of_a_switch_is_known_by_name(path: Path) -> None:
    """Only the engine knows its tables and port types; `host.ovsdb` knows two counters of one table."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(n.body[0].value) for n in ast.walk(tree) if _documented(n)}  # type: ignore[attr-defined]
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs}
    assert not {t for t in texts if isinstance(t, str)} & {"Bridge", "Port", "Interface", "vhost-server-path"}


def _documented(node: ast.AST) -> bool:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    return isinstance(node, kinds) and bool(node.body) and isinstance(node.body[0], ast.Expr)
