import pytest

from proxy.domain.linear_patterns import BadPattern, compiled


def test_a_pattern_is_searched_for_anywhere() -> None:
    assert compiled(r"T-\d+").search("see T-77") is not None
    assert compiled(r"^T-\d+$").search("see T-77") is None


@pytest.mark.parametrize("pattern", ["(?<!a)b", r"(a)\1", "(", "a{2000}"])
def test_what_it_does_not_take_it_says(pattern: str) -> None:
    with pytest.raises(BadPattern, match="RE2 cannot read it; it knows no look-around and no references back"):
        compiled(pattern)
