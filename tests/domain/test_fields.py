import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.fields import NO_FIELDS, Fields, fields_of, names_of

PAIRS = [("X-A", "1"), ("B", "2"), ("x-a", "3")]


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=6))
def test_fields_are_the_pairs_that_came(pairs: list[tuple[str, str]]) -> None:
    fields = fields_of(pairs)
    assert list(fields) == pairs
    for name, _ in pairs:
        assert fields.first(name.lower()) == next(value for other, value in pairs if other.lower() == name.lower())


def test_a_name_has_no_case_and_the_first_value_counts() -> None:
    fields = fields_of(PAIRS)
    assert (fields.first("x-a"), fields.first("b"), fields.first("c")) == ("1", "2", None)
    assert (fields.all("x-a"), fields.all("b"), fields.all("c")) == (["1", "3"], ["2"], [])
    assert fields.names.at == {"x-a": 0, "b": 1}
    assert fields.lines() == "X-A: 1\r\nB: 2\r\nx-a: 3\r\n"
    assert NO_FIELDS.first("b") is None


def test_the_same_names_are_one_object_and_other_spellings_are_not() -> None:
    assert fields_of(PAIRS).names is fields_of((name, "other") for name, _ in PAIRS).names
    assert names_of(("A",)) is not names_of(("a",))


def test_no_value_is_shown() -> None:
    assert "secret" not in repr(fields_of([("Authorization", "secret")]))


def test_a_name_without_a_value_is_a_bug() -> None:
    short = Fields(names_of(("A", "B")), ["1"])
    with pytest.raises(ValueError, match="shorter"):
        list(short)
    with pytest.raises(TypeError):
        short.lines()


@given(st.lists(st.tuples(st.text("%s{}a", max_size=3), st.text("%s{}a", max_size=3)), max_size=3))
def test_lines_say_names_and_values_as_they_are(pairs: list[tuple[str, str]]) -> None:
    assert fields_of(pairs).lines() == "".join(f"{name}: {value}\r\n" for name, value in pairs)
