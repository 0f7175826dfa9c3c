import pytest

from proxy.domain.globs import covers, is_glob, matches, precedence


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "GPT-4o", False),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-", True),
        ("*", "", True),
        ("*-mini", "gpt-4o-mini", True),
        ("*-mini", "gpt-4o-minimal", False),
        ("gpt-?", "gpt-4", False),
        ("*[ab]", "x[ab]", True),
        ("*[ab]", "xa", False),
        ("a?*", "a?c", True),
        ("a?*", "abc", False),
        ("*", "line\nbreak", True),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_is_special(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [
        ("*", "*", True),
        ("*", "gpt-4o", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-4*", "gpt-*", False),
        ("*a*", "a*", True),
        ("a*", "*a*", False),
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o*", False),
        ("a*c", "ab*bc", True),
        ("a*b", "a*", False),
    ],
)
def test_a_pattern_covers_another_that_matches_nothing_else(pattern: str, other: str, expected: bool) -> None:
    assert covers(pattern, other) is expected


def test_exact_names_come_first_then_the_pattern_that_says_most() -> None:
    patterns = ["*", "gpt-*", "gpt-4*", "gpt-4o", "a*"]
    assert sorted(patterns, key=precedence) == ["gpt-4o", "gpt-4*", "gpt-*", "a*", "*"]
    assert [pattern for pattern in patterns if not is_glob(pattern)] == ["gpt-4o"]


def test_a_pattern_of_many_stars_ends_soon() -> None:
    assert not matches("*a" * 20 + "b", "a" * 200)
