from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config.document import Value
from proxy.config.wording import misfit, nearest, unknown, unknown_key


def said(kind: Any, value: Value, key: str = "key", keys: tuple[str, ...] = ()) -> str:
    """What is said of a value that pydantic refuses for this type."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value, strict=True)
    return misfit(caught.value.errors()[0], value, key, keys)


@pytest.mark.parametrize(
    ("kind", "value", "key", "words"),
    [
        (str, 1, "key", "this must be text, not a number; quote it if it is"),
        (str, [], "key", "this must be text, not a list"),
        (str, None, "key", "nothing stands here; write a value, or leave the key out"),
        (int, "3", "key", "this must be a whole number, not text; take the quotes off"),
        (int, "3ms", "commit_ms", "this must be a whole number (of milliseconds, without the unit), not text"),
        (int, Decimal("1.5"), "key", "this must be a whole number, not a number with a fraction"),
        (bool, "yes", "key", "this must be true or false, not text; take the quotes off"),
        (bool, "maybe", "key", "this must be true or false, not text"),
        (tuple[str, ...], "x", "key", "this must be a list, not text; put it into [ ]"),
        (dict[str, str], [], "key", "this must be a mapping of keys to values, not a list"),
    ],
)
def test_a_value_is_described_and_told_what_it_must_be(kind: Any, value: Value, key: str, words: str) -> None:
    assert said(kind, value, key) == words


def test_keys_of_a_mapping_are_listed_while_they_are_few() -> None:
    assert said(dict[str, str], 1, keys=("a", "b")) == (
        "this must be a mapping of keys to values (known: a, b), not a number"
    )
    assert "known" not in said(dict[str, str], 1, keys=tuple("abcdefghi"))


def test_an_unknown_name_gives_the_nearest_and_the_known_ones() -> None:
    assert unknown("provider", "opena", ("openai", "local")) == (
        "unknown provider `opena`; did you mean `openai`? known: openai, local"
    )
    assert unknown("provider", "x", ()) == "unknown provider `x`; known: none"
    many = tuple(f"provider_{number}" for number in range(9))
    assert unknown("provider", "provider-1", many) == "unknown provider `provider-1`; did you mean `provider_1`?"
    assert unknown("provider", "x", many).endswith("provider_7, provider_8")


def test_no_secret_is_among_the_known_names() -> None:
    assert unknown("provider", "sk-a", ("sk-abc", "b")) == (
        "unknown provider (a value that looks like a secret); known: b"
    )


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("apiKey", ("key_env",), "write `key_env` with the name of the environment variable that holds the key"),
        ("provider", ("target",), "write `target` with `provider` or `provider/model`"),
        ("url", ("base_url",), "write `base_url`"),
        ("baseUrl", ("base_url",), "did you mean `base_url`? known: base_url"),
        ("provider", ("b",), "known: b"),
    ],
)
def test_the_names_of_other_tools_are_known(name: str, known: tuple[str, ...], words: str) -> None:
    assert unknown_key(name, known, {}, {}) == f"unknown key `{name}`; {words}"


def test_case_and_separators_count_for_nothing() -> None:
    assert nearest("Max-Bytes", ("max_bytes", "max_age_days")) == "max_bytes"
    assert nearest("nothing like it", ("max_bytes",)) is None
