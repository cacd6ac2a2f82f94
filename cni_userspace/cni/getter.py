"""Typed getters: read one key at a time, collect what is wrong, never raise.

Owns the rules that hold for every key: Go programs decode keys without regard
to case, so do these; an empty string means the same as an absent key; a bool
is no number; a number without a fraction is an integer (JSON Schema has no
other). A value that is wrong is remembered with its JSON path and counts as
absent, so one pass finds every mistake, and DEL can go on with the defaults.

A getter reads several sources that stand behind each other (the netconf, a
dialect's translation, `configuration_path`, the node file); the first that
holds a key wins.
"""

from __future__ import annotations

from cni_userspace.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Source = dict[str, tuple[str, str, Any]]  # folded key -> (key as written, its path, value)

MISSING = object()
SHOWN = 60  # characters of a wrong value, or of a key, that a message repeats


class Problems:
    """What is wrong with a configuration: one line each, in the order of reading."""

    def __init__(self) -> None:
        """Start without any."""
        self.mistakes: list[str] = []
        self.unsupported: list[str] = []

    def add(self, path: str, value: object, reason: str) -> None:
        """Remember a mistake: `$.vlan: 5000 is over 4094`."""
        self.mistakes.append(f"{path}: {shown(value)} {reason}")

    def refuse(self, path: str, value: object, reason: str) -> None:
        """Remember something understood that this plugin does not do (CNI code 2)."""
        self.unsupported.append(f"{path}: {shown(value)} {reason}")


class Getter:
    """Reads the keys of one object."""

    def __init__(self, sources: Sequence[Source], problems: Problems, *, dialect: str = "native") -> None:
        """Read from the first source that holds a key."""
        self.sources = sources
        self.problems = problems
        self.dialect = dialect
        self.asked: dict[str, str] = {}  # folded -> as documented: what a did-you-mean may offer
        self.own: set[str] = set()  # folded keys that count in the first source only
        self.node: Source = {}  # the node file's source: its keys are judged where it is loaded
        self.args: Mapping[str, str] = {}  # CNI_ARGS, for what an engine reads from there
        self.mac = ("", "")  # (path, value) of the MAC that counts, and of the device:
        self.device = ("", "")  # see `injected`
        self.device_later = False  # a runtime names the device only when it calls ADD

    def find(self, key: str, *, own: bool = False) -> tuple[str, Any]:
        """Return (path, value) of a key, or ("", MISSING). `own`: not from the sources behind."""
        folded = key.lower()
        self.asked[folded] = key
        if own:
            self.own.add(folded)
        for source in self.sources[:1] if own else self.sources:
            if folded in source:
                _, path, value = source[folded]
                return path, value
        return "", MISSING

    def from_node(self, key: str) -> bool:
        """Tell whether it is the node file that says a key."""
        folded = key.lower()
        return next((source for source in self.sources if folded in source), None) is self.node

    def text(
        self,
        key: str,
        default: str = "",
        *,
        check: Callable[[str], str] | None = None,
        own: bool = False,
    ) -> str:
        """Return a string. `check` returns what is wrong with it, or ""."""
        path, value = self.find(key, own=own)
        if value is MISSING or value == "":
            return default
        if not isinstance(value, str):
            self.problems.add(path, value, "is no string")
            return default
        if check and (wrong := check(value)):
            self.problems.add(path, value, wrong)
            return default
        return value

    def choice(self, key: str, options: Sequence[str], default: str, *, fold: bool = False) -> str:
        """Return one of the options; `fold` accepts any case."""
        value = self.text(key)
        if not value:
            return default
        found = value.lower() if fold else value
        if found not in options:
            self.problems.add(self.find(key)[0], value, f"is none of {', '.join(options)}")
            return default
        return found

    def integer(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number within the bounds (both included), None when absent."""
        path, value = self.find(key)
        return None if value is MISSING else whole(value, path, low, high, self.problems)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        path, value = self.find(key)
        if value is MISSING:
            return default
        if not isinstance(value, bool):
            self.problems.add(path, value, "is neither true nor false")
            return default
        return value

    def items(self, key: str, *, own: bool = False) -> list[tuple[str, Any]]:
        """Return the (path, value) pairs of a list."""
        path, value = self.find(key, own=own)
        if value is MISSING:
            return []
        if not isinstance(value, list):
            self.problems.add(path, value, "is no list")
            return []
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

    def child(self, key: str, *, own: bool = False, null: bool = False) -> Getter:
        """Return a getter of a nested object, an empty one when absent. `null` accepts null."""
        path, value = self.find(key, own=own)
        if value is MISSING or (null and value is None):
            value = {}
        if not isinstance(value, dict):
            self.problems.add(path, value, "is no object")
            value = {}
        return Getter([fold(value, path, self.problems)], self.problems, dialect=self.dialect)

    def leftovers(self) -> list[tuple[str, str, bool]]:
        """Return (key, path, misplaced) of each key that nobody asked for where it stands."""
        found = []
        for index, source in enumerate(self.sources):
            if source is self.node:
                continue
            for folded, (key, path, _) in source.items():
                misplaced = index > 0 and folded in self.own
                if misplaced or folded not in self.asked:
                    found.append((key, path, misplaced))
        return found


def whole(value: Any, path: str, low: int, high: int, problems: Problems) -> int | None:  # noqa: ANN401
    """Return a value as a whole number within the bounds (both included), else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        problems.add(path, value, "is no whole number")
        return None
    if not low <= value <= high:
        problems.add(path, value, f"is not within {low} and {high}")
        return None
    return value


def fold(value: Mapping[str, Any], path: str, problems: Problems) -> Source:
    """Index an object by its keys without their case; two spellings must agree."""
    source: Source = {}
    for key, item in value.items():
        folded = key.lower()
        where = f"{path}{step(key)}"
        if folded in source and source[folded][2] != item:
            problems.add(where, item, f"contradicts {source[folded][1]}, another spelling of it")
            continue
        source[folded] = (key, where, item)
    return source


def step(key: str) -> str:
    """Return a key as a step of a JSON path, cut where it is long."""
    key = key if len(key) <= SHOWN else f"{key[:SHOWN]}..."
    return f".{key}" if key.isidentifier() else f"[{dumps(key)}]"


def shown(value: object) -> str:
    """Return a value for a message, as JSON, cut where it is long."""
    text = dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
