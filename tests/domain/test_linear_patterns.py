import pytest

from proxy.domain.linear_patterns import BadPattern, compiled


def test_a_pattern_is_searched_for_anywhere() -> None:
    assert compiled(r"T-\d+").search("see T-77") is not None
    assert compiled(r"^T-\d+$").search("see T-77") is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [("(?<!a)b", "no lookaround"), (r"(a)\1", "no backreferences"), ("(", r"missing \)"), ("a{2000}", "repetition")],
)
def test_what_it_does_not_take_it_says(pattern: str, why: str) -> None:
    with pytest.raises(BadPattern, match=why):
        compiled(pattern)
