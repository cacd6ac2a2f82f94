"""Each engine has every function of the contract, with the same parameters, however often it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from cni_userspace import engines
from cni_userspace.errors import UnsupportedFieldError


def contract() -> dict[str, list[tuple[str, str]]]:
    """Return the functions of attach.engine.Engine: it exists for type checkers only."""
    tree = ast.parse(Path(engines.__file__).parents[1].joinpath("attach", "engine.py").read_text())
    (engine,) = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == "Engine")
    found = {}
    for node in engine.body:
        if isinstance(node, ast.FunctionDef):
            positional = [(a.arg, "POSITIONAL_OR_KEYWORD") for a in node.args.args if a.arg != "self"]
            found[node.name] = positional + [(a.arg, "KEYWORD_ONLY") for a in node.args.kwonlyargs]
    return found


def load_all_of_it(name: str) -> ModuleType:
    """Return an engine with each of its modules loaded: none may take a function's place."""
    package = importlib.import_module(engines.MODULES[name])
    for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return package


def test_there_is_a_contract() -> None:
    assert {"parse_options", "plan", "attach", "detach", "check", "status"} <= set(contract())


@pytest.mark.parametrize("name", sorted(engines.MODULES))
@pytest.mark.parametrize("function", sorted(contract()))
def test_an_engine_has_each_function_with_the_same_parameters(name: str, function: str) -> None:
    found = getattr(load_all_of_it(name), function, None)
    assert isinstance(found, FunctionType)
    parameters = inspect.signature(found).parameters.values()
    assert [(p.name.lstrip("_"), p.kind.name) for p in parameters] == contract()[function]
    assert all(p.default is p.empty for p in parameters)


@pytest.mark.parametrize("name", sorted(engines.MODULES))
def test_an_engine_is_loaded_by_its_name(name: str) -> None:
    assert engines.load(name) is importlib.import_module(engines.MODULES[name])


def test_an_engine_that_is_not_there_is_code_2_with_key_and_value() -> None:
    with pytest.raises(UnsupportedFieldError) as caught:
        engines.load("vpp")
    assert caught.value.code == 2
    assert "engine = 'vpp'" in caught.value.details
