from dataclasses import field, fields, replace

import pytest

from proxy.domain.values import value_class


@value_class
class Point:
    x: int
    y: int = 0
    notes: tuple[str, ...] = field(default=(), repr=False)


def test_values_are_compared_and_hashed_by_their_fields() -> None:
    assert Point(x=1) == Point(x=1, y=0) != replace(Point(x=1), x=2)
    assert len({Point(x=1), Point(x=1), Point(x=2)}) == 2
    assert [entry.name for entry in fields(Point)] == ["x", "y", "notes"]
    assert repr(Point(x=1)) == "Point(x=1, y=0)"


def test_fields_are_given_by_name_or_in_order_and_there_are_no_others() -> None:
    assert Point(1) == Point(x=1)
    with pytest.raises(TypeError):
        Point(1, 2, (), 4)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Point(x=1).z = 1  # type: ignore[attr-defined]


def test_it_is_the_type_checker_that_refuses_a_change() -> None:
    """mypy fails here, on an ignore without a use, once it lets this pass."""
    point = Point(x=1)
    point.x = 2  # type: ignore[misc]
    assert point.x == 2
