"""The scanner agrees with a JSON parser about every object, and edits nothing but what it was asked to."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.json_members import MEMBERS_LIMIT, Edit, duplicate_keys, new_values, spliced, top_level_members

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
    return spliced(body, new_values(top_level_members(body), key, new_json))


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
    with pytest.raises(KeyError):
        replace_value(body, "model", b"5")


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
