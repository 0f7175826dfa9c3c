from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import parse_document
from proxy.config.yaml_text import Plain, comment, flow, printable, scalar

TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "${" not in text)
KEY = TEXT.filter(lambda text: text.isprintable() and text != "<<")
PRICE = st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=9)
SCALAR = st.one_of(TEXT, st.integers(-(10**12), 10**12), st.booleans(), st.none())
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(KEY, inner), max_leaves=8)


def read(text: str) -> object:
    document = parse_document("f", f"{text}\n".encode(), {})
    assert document.problems == []
    return document.value


@given(VALUE)
def test_what_is_written_is_read_back(value: Plain) -> None:
    assert read(flow({"a": value})) == {"a": value}
    assert read(f"b:\n  - {flow(value)}") == {"b": [value]}


@given(KEY)
def test_text_is_read_back_as_a_key_and_as_a_value(text: str) -> None:
    assert read(f"{scalar(text)}: {scalar(text)}") == {text: text}


@given(PRICE)
def test_a_price_keeps_its_value(price: Decimal) -> None:
    assert read(f"a: {scalar(price)}") == {"a": price}


@given(TEXT, TEXT)
def test_a_comment_is_nothing_to_the_reader(text: str, other: str) -> None:
    lines = [*comment(text, indent="  "), "a: 1", *comment(other, hanging="    ")]
    assert read("\n".join(lines)) == {"a": 1}
    assert all(line.lstrip().startswith("#") for line in lines if line != "a: 1")


@pytest.mark.parametrize("text", ["gpt-4.1-mini", "openai/gpt-4.1", "OPENAI_API_KEY", "_x", "a.b-c"])
def test_a_plain_name_stays_bare(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    "text", ["", "yes", "On", "null", "~", "1", "1.5", "2025-04-14", "a: b", "x #y", "*", "a,b", "5xx"]
)
def test_what_yaml_would_read_otherwise_is_quoted(text: str) -> None:
    assert scalar(text) == f'"{text}"'


def test_an_entry_stands_on_one_line() -> None:
    entry: Plain = {
        "provider": "openai",
        "model": "gpt 4",
        "weight": 9,
        "on": ["connect", "429"],
        "price": Decimal("1E-7"),
    }
    assert flow(entry) == '{provider: openai, model: "gpt 4", weight: 9, "on": [connect, "429"], price: 0.0000001}'


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert printable("a\x1b[2J\nb\u2028c\u202ed") == "a?[2J b c?d"
