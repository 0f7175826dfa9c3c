"""The scanner agrees with a JSON parser about every object, and edits nothing but what it was asked to."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.json_members import (
    MEMBERS_LIMIT,
    Edit,
    appended,
    array_items,
    changed_members,
    duplicate_keys,
    only_text,
    spliced,
    top_level_members,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", '\\"', "{", "}", "[", "],", '":', "a\\\\", "\u2028", ""]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)
PAIRS = st.lists(st.tuples(TEXTS, VALUES), max_size=6)
LAYOUTS = st.sampled_from([(",", ":", ""), (", ", ": ", " "), (" ,\n", " :\t", "\r\n ")])


def written(pairs: list[tuple[str, Any]], layout: tuple[str, str, str], *, ascii_only: bool) -> bytes:
    comma, colon, edge = layout
    separators = (comma, colon)

    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=separators)

    members = comma.join(f"{dump(name)}{colon}{dump(value)}" for name, value in pairs)
    return f"{edge}{{{edge}{members}{edge}}}{edge}".encode()


def replace_value(body: bytes, key: str, new_json: bytes) -> bytes:
    return spliced(body, changed_members(body, top_level_members(body), {key: new_json}))


@given(PAIRS, LAYOUTS, st.booleans())
def test_members_are_those_of_a_parser(
    pairs: list[tuple[str, Any]], layout: tuple[str, str, str], ascii_only: bool
) -> None:
    body = written(pairs, layout, ascii_only=ascii_only)
    members = top_level_members(body)
    assert [(m.name, json.loads(body[m.value_start : m.value_end])) for m in members] == pairs
    assert all(body[m.start : m.start + 1] == b'"' for m in members)


@given(PAIRS, LAYOUTS, TEXTS)
def test_only_the_value_is_replaced(pairs: list[tuple[str, Any]], layout: tuple[str, str, str], value: str) -> None:
    body = written([*pairs, ("model", {"x": 1})], layout, ascii_only=False)
    expected = [(name, value if name == "model" else old) for name, old in [*pairs, ("model", None)]]
    assert replace_value(body, "model", orjson.dumps(value)) == written(expected, layout, ascii_only=False).replace(
        json.dumps(value, ensure_ascii=False).encode(), orjson.dumps(value)
    )


@given(PAIRS, LAYOUTS, st.dictionaries(TEXTS, VALUES, max_size=4), st.sets(TEXTS, max_size=4))
def test_members_are_set_and_taken_out(
    pairs: list[tuple[str, Any]], layout: tuple[str, str, str], put: dict[str, Any], drop: set[str]
) -> None:
    body = written(pairs, layout, ascii_only=False)
    drop = {name for position, (name, _) in enumerate(pairs) if position % 2} | drop - put.keys()
    put = {name: value for name, value in put.items() if name not in drop}
    edits = changed_members(body, top_level_members(body), {name: orjson.dumps(put[name]) for name in put}, drop)
    kept = [(name, put.get(name, value)) for name, value in pairs if name not in drop]
    names = [name for name, _ in kept]
    after = spliced(body, edits)
    members = top_level_members(after)
    assert [(m.name, json.loads(after[m.value_start : m.value_end])) for m in members] == [
        *kept, *((name, value) for name, value in put.items() if name not in names)
    ]  # fmt: skip
    assert after == body or edits


@given(st.lists(VALUES, max_size=5), LAYOUTS)
def test_items_are_those_of_a_parser(items: list[Any], layout: tuple[str, str, str]) -> None:
    comma, colon, edge = layout
    inner = comma.join(json.dumps(item, separators=(comma, colon)) for item in items)
    array = f"{edge}[{edge}{inner}{edge}]{edge}".encode()
    assert [json.loads(array[start:end]) for start, end in array_items(array)] == items


@pytest.mark.parametrize("broken", [b"", b"{}", b"[1 2]", b"[1,", b"[[1]"])
def test_what_is_no_array_is_told(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|closed|array"):
        list(array_items(broken))


@given(PAIRS)
def test_duplicates_are_told(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    body = written(pairs, (",", ":", ""), ascii_only=True)
    assert duplicate_keys(body) == {name for name in names if names.count(name) > 1}


def test_names_are_compared_as_they_read() -> None:
    assert duplicate_keys(b'{"model":"a","mod\\u0065l":"b"}') == {"model"}
    assert replace_value(b'{"mod\\u0065l" : "a"}', "model", b'"b"') == b'{"mod\\u0065l" : "b"}'


def test_nested_members_are_nobodys_business() -> None:
    body = b'{"a":{"model":1,"model":2},"b":[{"model":3}],"c":"\\"model\\":4"}'
    assert duplicate_keys(body) == set()
    assert replace_value(body, "model", b"5") == body[:-1] + b',"model":5}'


def test_edits_are_made_in_the_order_of_their_places() -> None:
    assert spliced(b"0123456789", [Edit(7, 9, b"seven, eight"), Edit(1, 2, b"one"), Edit(9, 9, b", ")]) == (
        b"0one23456seven, eight, 9"
    )
    assert spliced(b"as it was", []) == b"as it was"


def test_every_member_of_a_name_is_replaced() -> None:
    assert replace_value(b'{"m":1,"x":2,"m":{}}', "m", b"0") == b'{"m":0,"x":2,"m":0}'


@pytest.mark.parametrize("levels", [1, 4, 5, 6, 7, 40, 900])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"k":', b"}")])
def test_any_depth(levels: int, opening: bytes, closing: bytes) -> None:
    value = opening * levels + b'"]}"' + closing * levels
    body = b'{"deep":' + value + b',"next":1}'
    assert [(m.name, body[m.value_start : m.value_end]) for m in top_level_members(body)] == [
        ("deep", value),
        ("next", b"1"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"{}"',
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":}',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1 "b":2}',
        b"{a:1}",
        b'{"a":{"b":1}',
        b'{"a":["}',
        b'{"a":"x}',
        b'{"a\\":1}',
    ],
)
def test_what_is_no_whole_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|not"):
        top_level_members(body)


def test_more_members_than_any_call_has_are_refused() -> None:
    body = orjson.dumps({str(n): n for n in range(MEMBERS_LIMIT)})
    assert len(top_level_members(body)) == MEMBERS_LIMIT
    with pytest.raises(ValueError, match="too many"):
        top_level_members(orjson.dumps({str(n): n for n in range(MEMBERS_LIMIT + 1)}))


@given(PAIRS, VALUES, PAIRS, LAYOUTS, st.booleans())
def test_what_is_found_without_the_scanner_is_what_it_finds(
    before: list[tuple[str, Any]],
    value: Any,
    after: list[tuple[str, Any]],
    layout: tuple[str, str, str],
    ascii_only: bool,
) -> None:
    body = written([*before, ("model", value), *after], layout, ascii_only=ascii_only)
    found = only_text(body, "model")
    assert found is None or [found] == [member for member in top_level_members(body) if member.name == "model"]


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        (b'{"model":"a","x":"\\"model\\""}', True),
        (b'{"x":"caf\\u4e2d","model" : "a\\\\\\"b" }', True),
        (b'{"x":"caf\\u00e9","model":"a"}', True),
        (b'{"x":"\\u006Dodel","model":"a"}', False),
        (b'{"x":"\\u0070","model":"a"}', False),
        (b'{"model":{"a":[1]}}', False),
        (b'{"model":"a","x":"\\"model"}', False),
        (b'{"model":"a","x":{"model":"b"}}', False),
        (b'{"mod\\u0065l":"a","x":{"model":"b"}}', False),
        (b'{"model":"a","x":["model"]}', False),
    ],
)
def test_a_name_that_stands_once_is_found(body: bytes, is_found: bool) -> None:
    found = only_text(body, "model")
    assert (found is not None) is is_found
    assert found is None or found == next(member for member in top_level_members(body) if member.name == "model")


@given(PAIRS, VALUES, LAYOUTS)
def test_a_member_more_comes_last(pairs: list[tuple[str, Any]], value: Any, layout: tuple[str, str, str]) -> None:
    body = written(pairs, layout, ascii_only=False)
    longer = spliced(body, [appended(body, "more", orjson.dumps(value, default=str))])
    assert json.loads(longer, object_pairs_hook=list)[-1][0] == "more"
    assert [member.name for member in top_level_members(longer)][:-1] == [name for name, _ in pairs]
