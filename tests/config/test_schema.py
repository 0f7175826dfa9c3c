from decimal import Decimal
from typing import Annotated

import pytest
from pydantic import Field

from proxy.config.document import parse_document
from proxy.config.fields import Bytes, EnvName, Name, Section
from proxy.config.problems import HIDE_IT
from proxy.config.schema import check_document


class Leaf(Section):
    size: Bytes = 1
    ratio: Decimal = Decimal(1)
    names: tuple[Name, ...] = ()
    key_env: EnvName | None = None


class Root(Section):
    elsewhere = {"colour": "the variable COLOUR"}  # noqa: RUF012
    version: int
    leaves: dict[str, Leaf] = {}  # noqa: RUF012
    listed: tuple[Leaf, ...] = ()
    some: Annotated[tuple[Leaf, ...], Field(min_length=1)] | None = None
    text: str = "default"


def check(text: str) -> tuple[Root | None, list[str]]:
    document = parse_document("f", text.encode(), {})
    return check_document(document, Root), [str(problem) for problem in document.problems]


def test_a_good_document_becomes_the_model() -> None:
    root, problems = check("version: 1\nleaves: {a: {size: 2MiB, ratio: 0.5, names: [x]}}\n")
    assert problems == []
    assert root == Root(version=1, leaves={"a": Leaf(size=2 * 1024**2, ratio=Decimal("0.5"), names=("x",))})


def test_what_is_wrong_is_left_out_so_that_the_rest_is_checked_too() -> None:
    root, problems = check("version: 1\nleaves:\n  bad: {sise: 1}\n  good: {size: 7}\nlisted: [{size: no}]\ntext: 3\n")
    assert problems == [
        "f:3:9: leaves.bad.sise: unknown key `sise`; did you mean `size`? known: size, ratio, names, key_env",
        "f:5:11: listed.0.size: this must be a whole number, not true or false",
        "f:6:1: text: this must be text, not a number; quote it if it is",
    ]
    assert root == Root(version=1, leaves={"good": Leaf(size=7)})


def test_nothing_usable_gives_nothing() -> None:
    form = "f:1:1: the file must have the form `key: value`, with a space after the colon, line by line"
    assert check("[1]") == check("version:1") == (None, [form])


@pytest.mark.parametrize("version", ["2", "yes", '"1"', "~", "[1]"])
def test_under_another_version_the_rest_is_checked_too(version: str) -> None:
    root, problems = check(f"version: {version}\ntext: a\nsize: 1")
    assert root == Root(version=1, text="a")
    assert [line.split(": ", 2)[1:] for line in problems] == [
        ["version", "this release reads version 1 of this file; write `version: 1`"],
        ["size", "unknown key `size` here; it belongs under `leaves` or `listed` or `some`"],
    ]
    assert check("text: a")[1] == ["f:1:1: version: this key is required; begin the file with `version: 1`"]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("leaves: 3", "f:2:1: leaves", "this must be a mapping of keys to values, not a number"),
        ("leaves: {a: }", "f:2:10: leaves.a", "nothing stands here; write a value, or leave the key out"),
        ("listed: {}", "f:2:1: listed", "this must be a list, not a mapping"),
        (
            "listed: [{nam: 1}]",
            "f:2:11: listed.0.nam",
            "unknown key `nam`; did you mean `names`? known: size, ratio, names, key_env",
        ),
        ("zzz: 1", "f:2:1: zzz", "unknown key `zzz`; known: version, leaves, listed, some, text"),
        (
            "leaves: {a: {key_env: sk-abcdef}}",
            "f:2:14: leaves.a.key_env",
            HIDE_IT,
        ),
        ("leaves: {a: {ratio: 1 kg}}", "f:2:14: leaves.a.ratio", "this must be a number, not text"),
        ("leaves: {a: {ratio: .inf}}", "f:2:14: leaves.a.ratio", "a number must be finite"),
    ],
)
def test_each_fault_has_its_place_and_its_remedy(text: str, place: str, problem: str) -> None:
    assert check("version: 1\n" + text)[1] == [f"{place}: {problem}"]


def test_a_secret_in_a_keys_place_is_hidden() -> None:
    assert "phc_abc" not in check("version: 1\nphc_abc: 1")[1][0]


def test_no_document_is_no_problem() -> None:
    assert check("# nothing\n") == (None, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("text: sk-proj-0123456789ABCDEF", "f:2:1: text: this looks like a secret"),
        ("names: [a, sk-proj-0123456789ABCDEF]", "f:2:12: names.1: this looks like a secret"),
        ("listed: [{names: [sk-proj-0123456789ABCDEF]}]", "f:2:19: listed.0.names.0: this looks like a secret"),
        ("leaves: {sk-proj-0123456789ABCDEF: {size: 1}}", "f:2:10: leaves.(hidden): this looks like a secret"),
    ],
)
def test_a_secret_is_found_wherever_it_stands(text: str, problem: str) -> None:
    root, problems = check("version: 1\n" + text)
    assert problems[0].startswith(problem)
    assert "0123456789" not in "".join(problems)
    assert root == Root(version=1)


def test_what_a_list_of_wrong_entries_is_not_is_empty() -> None:
    assert [line.split(": ")[1] for line in check("version: 1\nsome: [{sise: 1}]")[1]] == ["some.0.sise"]
    assert check("version: 1\nsome: []")[1] == ["f:2:1: some: this list must not be empty"]


def test_a_foreign_file_is_told_by_its_keys() -> None:
    assert check("model_list: []\nx: 1")[1] == [
        "f:1:1: model_list: this is a LiteLLM configuration; run `promptlane import litellm f`"
    ]


def test_a_key_that_belongs_elsewhere_is_told_where() -> None:
    assert check("version: 1\ncolour: red\nsize: 1")[1] == [
        "f:2:1: colour: unknown key `colour` here; it belongs into the variable COLOUR",
        "f:3:1: size: unknown key `size` here; it belongs under `leaves` or `listed` or `some`",
    ]
