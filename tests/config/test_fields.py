import re
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config.fields import Address, Bytes, EnvName, Matching, ModelPattern, Name


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, 1), ("1KiB", 1024), ("64MiB", 64 * 1024**2), ("1 GiB", 1024**3), ("2TiB", 2 * 1024**4),
     ("5kb", 5000), ("1MB", 10**6), ("7B", 7)],
)  # fmt: skip
def test_sizes_have_units(size: object, expected: int) -> None:
    assert TypeAdapter(Bytes).validate_python(size) == expected


@pytest.mark.parametrize("size", ["", "12", "1.5GiB", "-1MiB", "MiB", "1XiB", "1e3MiB", "0MiB", 0, -1, "9" * 16 + "B"])
def test_what_is_no_size(size: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bytes).validate_python(size)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Name, ["a", "openai_ours", "x.y-z", "a" * 64], ["", "-a", "a b", "ä", "a/b", "a" * 65, "a\n"]),
        (EnvName, ["OPENAI_API_KEY", "_x", "a1"], ["", "1A", "A-B", "$A", "A B", "Ä", "os.environ/A"]),
        (ModelPattern, ["gpt-4.1", "*", "claude-*", "org/model:free", "ft:x@y+z"], ["", "a?", "[a]", "^a$", "x" * 201]),
        (Address, ["https://x", "http://127.0.0.1:8000/v1"], ["", "x", "https://x?y", "https://x/v1/messages"]),
    ],
)  # fmt: skip
def test_what_text_is_taken_for(kind: Any, good: list[str], bad: list[str]) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    assert [adapter.validate_python(text) for text in good] == good
    for text in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


@pytest.mark.parametrize("secret", ["phc_abc", "sk_live_abc", "a1b2c3d4e5f6a7b8c9d0e1f2"])
def test_a_secret_is_no_name_of_a_variable(secret: str) -> None:
    with pytest.raises(ValidationError, match="this looks like a secret"):
        TypeAdapter(EnvName).validate_python(secret)


def test_an_editor_gets_the_pattern_and_the_hint() -> None:
    schema = TypeAdapter(Annotated[str, Matching("thing", "a|b", "write a or b")]).json_schema()
    assert schema == {
        "type": "string", "title": "thing", "pattern": "^(?:a|b)$", "patternErrorMessage": "write a or b",
    }  # fmt: skip
    assert [bool(re.search(schema["pattern"], text)) for text in ("a", "b", "ab")] == [True, True, False]
