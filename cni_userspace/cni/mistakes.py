"""Words for mistakes: loaded only after one was made.

Owns the sentence about a key that nobody knows. Which keys an engine has is
read from its schema, the data file beside its code.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from cni_userspace import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cni_userspace.cni.getter import Getter


def unknown(key: str, path: str, getter: Getter, engine: str, *, misplaced: bool) -> str:
    """Say what is wrong with a key that is not known where it stands."""
    if misplaced:
        return f"{path}: counts only in the network configuration itself"
    owners = engines_of(key)
    if owners and engine not in owners:
        return f"{path}: is a key of the engine {owners[0]}, and this network's engine is {engine}"
    return unknown_of(key, path, getter.asked.values())


def unknown_of(key: str, path: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, and which known one is like it."""
    near = close(key, known)
    return f"{path}: unknown key" + (f"; did you mean `{near}`?" if near else "")


def engines_of(key: str) -> list[str]:
    """Return the engine that alone has a key of this name."""
    return [name for name, keys in _owned().items() if key.lower() in keys]


@cache
def _owned() -> dict[str, set[str]]:
    return {name: {key.lower() for key in keys} for name, keys in schema.keys_of_one_engine().items()}


def close(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another, "" if none is."""
    folded = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else ""
