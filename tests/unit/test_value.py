"""Frozen values: what can be done with one, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest

from cni_userspace.value import Value


class Point(Value):
    """Has a field that must be given, and two that need not."""

    x: int
    y: int = 0
    label: str = "origin"


class Deep(Point):
    """Adds a field and changes a default."""

    z: int
    y: int = 9


class Odd(Value):
    """Shows itself otherwise than it is, as a plan does for its record."""

    items: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the items as a list."""
        return {"items": list(self.items)}


def test_fields_are_given_by_name() -> None:
    point = Point(x=1, y=2, label="a")
    assert (point.x, point.y, point.label) == (1, 2, "a")


def test_defaults_stand_in() -> None:
    assert Point(x=1).as_dict() == {"x": 1, "y": 0, "label": "origin"}


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="Point needs x"):
        Point()  # type: ignore[call-arg]


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="Point has no a, b"):
        Point(x=1, b=2, a=3)  # type: ignore[call-arg]


def test_positions_mean_nothing() -> None:
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[call-arg]


def test_nothing_can_be_changed() -> None:
    point = Point(x=1)
    with pytest.raises(AttributeError, match="Point is frozen: x"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Point is frozen: new"):
        point.new = 2
    assert point == Point(x=1)


def test_replace_makes_another_one() -> None:
    point = Point(x=1, y=2)
    assert point.replace(y=3) == Point(x=1, y=3)
    assert point == Point(x=1, y=2)


def test_replace_knows_its_fields() -> None:
    with pytest.raises(TypeError, match="Point has no w"):
        Point(x=1).replace(w=3)


def test_equal_means_same_type_and_fields() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert Deep(x=1, y=0, z=3) != Point(x=1)
    assert Point(x=1) != {"x": 1, "y": 0, "label": "origin"}


def test_equal_values_are_one_key() -> None:
    assert {Point(x=1): "found"}[Point(x=1, y=0)] == "found"
    assert len({Point(x=1), Point(x=1), Point(x=2)}) == 2


def test_a_value_with_a_dict_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(x={}))  # type: ignore[arg-type]


def test_a_subclass_has_its_bases_fields_first_and_may_change_their_defaults() -> None:
    assert Deep(x=1, z=3).as_dict() == {"x": 1, "y": 9, "label": "origin", "z": 3}


def test_a_subclass_without_annotations_has_its_bases_fields() -> None:
    class Same(Point):
        """Adds nothing."""

    assert Same(x=1).as_dict() == Point(x=1).as_dict()


def test_it_shows_its_fields() -> None:
    assert repr(Point(x=1, label="é")) == "Point(x=1, y=0, label='é')"


def test_another_form_for_records_changes_neither_copies_nor_equality() -> None:
    odd = Odd(items=(1, 2))
    assert odd.replace().items == (1, 2)
    assert odd == Odd(items=(1, 2))
    assert hash(odd) == hash(Odd(items=(1, 2)))
    assert repr(odd) == "Odd(items=(1, 2))"
