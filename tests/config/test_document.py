from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import MAX_FILE_BYTES, Document, parse_document


def read(text: str, **env: str) -> Document:
    return parse_document("f.yaml", text.encode(), env)


def problems(text: str, **env: str) -> list[str]:
    return [str(problem) for problem in read(text, **env).problems]


def test_values_keep_their_kind_and_prices_their_digits() -> None:
    document = read(
        'a: 0.1500000000000000055\nb: 3\nc: yes\nd: ~\ne: "1"\nf: 2025-04-14\ng: [x, {y: 1e2}]\n'
        "h: 010\ni: 1:30\nj: 1_000\non: off\nk: 1.5e+3\n"
    )
    assert document.problems == []
    assert document.value == {
        "a": Decimal("0.1500000000000000055"), "b": 3, "c": True, "d": None, "e": "1", "f": "2025-04-14",
        "g": ["x", {"y": "1e2"}], "h": "010", "i": "1:30", "j": "1_000", "on": False, "k": Decimal(1500),
    }  # fmt: skip


def test_places_count_from_one() -> None:
    document = read("version: 1\nmodels:\n  - a: 1\n  - {b: 2}\n")
    assert document.places[("models", 1, "b")] == (4, 6)
    assert document.places[("models",)] == (2, 1)


def test_a_problem_stands_at_the_nearest_written_place() -> None:
    document = read("models:\n  x: {}\n")
    document.report(("models", "x", "target"), "missing")
    assert str(document.problems[0]) == "f.yaml:2:3: models.x.target: missing"


def test_every_duplicate_key_is_found() -> None:
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:2:11: b.c: duplicate key: it stands on line 2 already; keep one of them",
        "f.yaml:3:1: a: duplicate key: it stands on line 1 already; keep one of them",
    ]


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", ".NaN"])
def test_numbers_are_finite(number: str) -> None:
    assert problems(f"a: {number}") == ["f.yaml:1:1: a: a number must be finite"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "f.yaml:2:1: expected `,` or `]`: the bracket of line 1, column 4 is open"),
        ("a: &x [*x]", "f.yaml:1:1: a: too many or too deeply nested values here; look at the aliases"),
        ("[" * 2_000, "f.yaml: the file is nested too deeply"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; a file holds one: take the `---` out"),
        ("? [a]\n: 1\n", "f.yaml:1:3: ?: a key must be plain text, and text that begins with { or [ quoted"),
        ("a: !!python/name:os.x x", "f.yaml:1:1: a: a value is plain text, a number or a truth value; no tags"),
        ("a: !!binary aGk=", "f.yaml:1:1: a: a value is plain text, a number or a truth value; no tags"),
        ("a: \x07", "f.yaml:1:4: there is a character here that YAML does not allow"),
        ('a: "\\ud800"',
         "f.yaml:1:1: a: this holds no character: an escape from \\ud800 to \\udfff, or no UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_plain_document(text: str, problem: str) -> None:
    assert problems(text + "\n") == [problem]


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 10)]
    assert "too many" in problems("\n".join(lines))[0]


def test_a_number_of_endless_digits_is_text() -> None:
    assert read(f"a: {'9' * 5000}").value == {"a": "9" * 5000}


def test_a_variable_that_is_not_utf_8_is_a_problem() -> None:
    assert "no character" in problems("a: ${NAME}", NAME="\udcff")[0]


def test_a_plain_alias_is_fine() -> None:
    assert read("a: &x {b: 1}\nc: *x\n").value == {"a": {"b": 1}, "c": {"b": 1}}


def test_size_and_encoding() -> None:
    assert (
        parse_document("f", b"a" * (MAX_FILE_BYTES + 1), {}).problems[0].message == "the file is larger than 1024 KiB"
    )
    assert str(parse_document("f", b"# \xc3\xa4\na: \xff", {}).problems[0]) == (
        "f:2:4: this character is not UTF-8; save the file as UTF-8"
    )
    assert (
        parse_document("f", "a: 1".encode("utf-16"), {}).problems[0].message == "the file is UTF-16; save it as UTF-8"
    )
    assert parse_document("f", b"\xef\xbb\xbfa: 1", {}).value == {"a": 1}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_an_empty_file_has_no_value(text: str) -> None:
    document = read(text)
    assert document.value is None
    assert document.problems == []


def test_variables_are_read_in_scalars() -> None:
    document = read('a: ${PORT}\nb: "${PORT}"\nc: x${A:-1}y${B:-}z\nd: ${NONE:-}\ne: ${A:-2.5}\n', PORT="4000")
    assert document.problems == []
    assert document.value == {"a": 4000, "b": "4000", "c": "x1yz", "d": None, "e": Decimal("2.5")}


def test_a_variables_value_is_never_syntax() -> None:
    evil = "[x, {y: 1}] # ${HOME}\nz: 1"
    assert read("a: ${EVIL}\n", EVIL=evil, HOME="/").value == {"a": evil}


def test_keys_take_no_variables() -> None:
    assert read("${KEY}: 1\n", KEY="a").value == {"${KEY}": 1}


def test_a_missing_variable_is_named_with_the_way_out() -> None:
    expected = ["f.yaml:1:1: a: the environment variable GONE is not set or empty; set it, or write ${NAME:-default}"]
    assert problems("a: ${GONE}") == expected
    assert problems("a: ${GONE}", GONE="") == expected


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A:x}"])
def test_a_malformed_reference_is_a_problem(text: str) -> None:
    assert problems(f'a: "{text}"', A="a") == [
        "f.yaml:1:1: a: a reference to a variable has the form ${NAME} or ${NAME:-default}"
    ]


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*!|>'\"%@`#, \n\t$1.", max_size=100).map(str.encode))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    document = parse_document("f.yaml", raw, {})
    assert all(problem.file == "f.yaml" for problem in document.problems)
