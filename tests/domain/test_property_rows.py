import pytest

from proxy.domain.property_rows import (
    ANY,
    AllowList,
    Kind,
    Property,
    boolean,
    check_of,
    group,
    integer,
    many,
    number,
    one_of,
    text,
)


@pytest.mark.parametrize(
    ("row", "good", "bad"),
    [
        (text("a", "a text", 3), ["abc", "ü"], ["", "abcd", 1, None, "a\n"]),
        (one_of("a", ("x", "y"), "a word"), ["x"], ["z", "", True]),
        (integer("a", "a count", 9), [0, 9], [-1, 10, 1.0, True, "1"]),
        (number("a", "a measure", 9), [0, 9, 0.5], [-0.1, 9.1, float("nan"), True]),
        (boolean("a", "a fact"), [True, False], [0, "true"]),
        (
            many("a", Kind.TEXTS, "texts", limit=2, most=2),
            [["a"], ["a", "bb"]],
            [[], ["ccc"], ["a"] * 3, "a", {"a": "b"}],
        ),
        (
            many("a", Kind.MAP, "a map", limit=2, most=1),
            [{"a": "bb"}],
            [{}, {"a": "b", "c": "d"}, {"a": 1}, ["a", "b"]],
        ),
    ],
)
def test_a_value_is_of_its_kind_and_within_bounds(row: Property, good: list[object], bad: list[object]) -> None:
    is_good = check_of(row)
    assert [value for value in good if not is_good(value)] == []
    assert [value for value in bad if is_good(value)] == []


def test_rows_of_a_group_share_its_name_and_events() -> None:
    (row,) = group("size", ("one", "two"), integer("a", "a count"))
    assert (row.group, row.events) == ("size", ("one", "two"))


def test_a_later_row_takes_the_place_of_an_earlier_one_of_its_name() -> None:
    allowed = AllowList((text("a", "a text"), integer("a", "a count")))
    assert (allowed.kept({"a": "x"}), allowed.kept({"a": 1})) == ({}, {"a": 1})


def test_one_row_can_stand_for_all_names_that_begin_like_it() -> None:
    row = Property(name=f"$feature/{ANY}", kind=Kind.VARIANT, meaning="a variant", limit=2)
    given = {"$feature/a": "on", "$feature/b": False, "$feature/c": "too long", "$feature": True, "b": True}
    assert AllowList((row,)).members(given) == b'"$feature/a":"on","$feature/b":false'


def test_words_are_told_as_they_would_be_each_time_and_a_bad_one_never() -> None:
    allowed = AllowList((one_of("a", ("x", "y"), "a word"), integer("b", "a count", 9), boolean("c", "a fact")))
    for given in ({"a": "x", "b": 1, "c": None}, {"a": "z", "b": 10, "c": True}, {"b": 1, "a": "x"}):
        assert [allowed.members_of_words(given) for _ in range(2)] == [allowed.members(given)] * 2
    assert allowed.members_of_words({"b": True}) == b""


def test_the_same_values_are_told_under_the_names_that_they_come_with() -> None:
    allowed = AllowList((integer("a", "a count"), integer("b", "a count")))
    assert [allowed.members_of_words({name: 1}) for name in "abc"] == [b'"a":1', b'"b":1', b""]


def test_what_equals_a_good_value_is_told_like_it() -> None:
    allowed = AllowList((number("a", "a measure", 9),))
    assert [allowed.members_of_words({"a": value}) for value in (1, 1.0)] == [b'"a":1'] * 2


def test_no_more_sets_of_words_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed, checked = AllowList((integer("a", "a count"),)), list[object]()

    def kept(said: dict[str, object]) -> dict[str, object]:
        checked.append(said["a"])
        return said

    monkeypatch.setattr(allowed, "kept", kept)
    for count in (*range(2_000), 0, 1_999):
        allowed.members_of_words({"a": count})
    assert checked[-2:] == [1_999, 0]
