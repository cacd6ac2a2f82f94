"""Frozen values: what the pure steps hand to each other.

Owns one base class. It exists because the ADD path starts an interpreter for
every call: importing `dataclasses` costs 12 ms there and `typing.NamedTuple`
8 ms, as much as the whole of `ovs-vsctl add-port` (see
docs/explanation/performance.md). Type checkers treat subclasses as frozen,
keyword-only dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Stand in for typing's marker, which means nothing at run time."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value:
    """A frozen record of the annotated fields; class attributes are defaults."""

    _fields: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        """Collect the fields that the subclass annotates after its bases' own."""
        own = cls.__annotations__
        cls._fields = (*cls._fields, *(n for n in own if not n.startswith("_") and n not in cls._fields))

    def __init__(self, **given: Any) -> None:
        """Set every field; raise TypeError for a missing or an unknown one."""
        values = self.__dict__
        for name in self._fields:
            if name in given:
                values[name] = given.pop(name)
            elif not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name}")
        if given:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(given))}")

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a value never changes; `replace` makes a new one."""
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __eq__(self, other: object) -> bool:
        """Compare type and fields."""
        return isinstance(other, Value) and type(self) is type(other) and self._own() == other._own()

    def __hash__(self) -> int:
        """Hash like a tuple of the fields."""
        return hash((type(self), *self._own().values()))

    def __repr__(self) -> str:
        """Show the fields in their order."""
        shown = ", ".join(f"{k}={v!r}" for k, v in self._own().items())
        return f"{type(self).__name__}({shown})"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, in the order of declaration; a subclass may choose another form."""
        return self._own()

    def replace(self, **changed: Any) -> Self:
        """Return a copy with the given fields changed."""
        return type(self)(**{**self._own(), **changed})

    def _own(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._fields}
