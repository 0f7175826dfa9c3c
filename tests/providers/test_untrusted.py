"""What cannot be a count, a sum or a name is unknown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.untrusted import LABEL_LIMIT_CHARS, MAX_COUNT, amount, count, label, mapping, objects, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (MAX_COUNT, MAX_COUNT),
        (MAX_COUNT + 1, None),
        (2**63, None),
        (-1, None),
        (1.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("7", None),
        (None, None),
        ([7], None),
    ],
)
def test_counts(value: object, expected: int | None) -> None:
    assert count(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, Decimal(0)),
        (0.1, Decimal("0.1")),
        (3e-7, Decimal("0.0000003")),
        (12, Decimal(12)),
        (-0.1, None),
        (1e300, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("0.1", None),
        ({}, None),
    ],
)
def test_amounts(value: object, expected: Decimal | None) -> None:
    assert amount(value) == expected


@given(st.integers() | st.floats())
def test_no_number_becomes_a_negative_count_or_amount(value: float) -> None:
    assert (count(value) or 0) >= 0
    assert (amount(value) or 0) >= 0


def test_names_are_cut_and_empty_ones_are_none() -> None:
    assert label("m" * 300) == "m" * LABEL_LIMIT_CHARS
    assert [label(""), label(5), label(None)] == [None, None, None]


def test_shapes() -> None:
    assert mapping({"a": 1}) == {"a": 1}
    assert mapping([1]) == {}
    assert objects([{"a": 1}, 2, None, {}]) == [{"a": 1}, {}]
    assert objects({"a": {}}) == []
    assert [text("x"), text(None)] == ["x", ""]
