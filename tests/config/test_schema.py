from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config.document import parse_document
from proxy.config.schema import Bytes, EnvName, Name, Section, check_document, unknown


class Leaf(Section):
    size: Bytes = 1
    ratio: Decimal = Decimal(1)
    names: tuple[Name, ...] = ()
    key_env: EnvName | None = None


class Root(Section):
    version: int
    leaves: dict[str, Leaf] = {}  # noqa: RUF012
    listed: tuple[Leaf, ...] = ()
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
        "f:5:11: listed.0.size: this must be a valid integer",
        "f:6:1: text: this must be text; quote it if it is (YAML reads yes, no, on, off and numbers as something else)",
    ]
    assert root == Root(version=1, leaves={"good": Leaf(size=7)})


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("text: a", "f:1:1: version", "this key is required"),
        ("[1]", "f:1:1", "the file must be a mapping of keys to values"),
        ("version: yes", "f:1:1: version", "this must be a valid integer"),
        ('version: "1"', "f:1:1: version", "this must be a valid integer"),
    ],
)
def test_nothing_usable_gives_nothing(text: str, place: str, problem: str) -> None:
    assert check(text) == (None, [f"{place}: {problem}"])


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("leaves: 3", "f:2:1: leaves", "this must be a mapping of keys to values"),
        ("leaves: {a: }", "f:2:10: leaves.a", "this must be a mapping of keys to values"),
        ("listed: {}", "f:2:1: listed", "this must be a list"),
        (
            "listed: [{nam: 1}]",
            "f:2:11: listed.0.nam",
            "unknown key `nam`; did you mean `names`? known: size, ratio, names, key_env",
        ),
        ("zzz: 1", "f:2:1: zzz", "unknown key `zzz`; known: version, leaves, listed, text"),
        (
            "leaves: {a: {key_env: sk-abcdef}}",
            "f:2:14: leaves.a.key_env",
            "this looks like a secret itself; put it into an environment variable and name that here",
        ),
        ("leaves: {a: {key_env: A-B}}", "f:2:14: leaves.a.key_env", "this must be the name of an environment variable"),
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


def test_an_unknown_name_gives_the_known_ones() -> None:
    assert unknown("provider", "opena", ("openai", "local")) == (
        "unknown provider `opena`; did you mean `openai`? known: openai, local"
    )
    assert unknown("provider", "x", ()) == "unknown provider `x`; known: none"
