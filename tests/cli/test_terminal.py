import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli import terminal
from proxy.cli.terminal import cell, columns, in_colour, plain, rate, seconds, size, span, usd, whole


@given(st.text(max_size=40), st.integers(1, 30))
def test_a_cell_has_its_width_whatever_the_name(text: str, width: int) -> None:
    made = cell(text, width)
    assert columns(made) == width
    assert made.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short   "),
        ("pv_2026_05_21_001", "pv_…_001"),
        ("模型模型模型", "模…模型 "),
        ("e\u0301clair", "e\u0301clair  "),
        ("\x1b[2Jx\u202e", "?[2Jx?  "),
    ],
)
def test_a_long_name_is_cut_in_the_middle_and_moves_no_cursor(text: str, shown: str) -> None:
    assert cell(text, 8) == shown


def test_what_is_not_seen_is_a_question_mark() -> None:
    assert plain("a\nb\x00c\ud800") == "a?b?c?"


@pytest.mark.parametrize(
    ("write", "written"),
    [
        (seconds, {None: "-", 0.0004: "0ms", 0.2214: "221ms", 0.9996: "1.0s", 99.96: "100s", 7200: "7200s"}),
        (whole, {None: "-", 0: "0", 9999: "9999", 9999.6: "10k", 999_600: "1.0M", 12_345_678: "12M", 2e9: "2.0G"}),
        (rate, {None: "-", 0: "0.0", 9.94: "9.9", 9.96: "10", 4321: "4321", 54_321: "54k"}),
        (usd, {None: "-", 0: "$0.00", 1e-6: "<$.0001", 0.000146: "$0.0001", 0.0994: "$0.0994", 0.1: "$0.10"}),
        (usd, {1.234: "$1.23", 12.34: "$12.3", 123.4: "$123", 999.6: "$1.0k", 1.2e6: "$1.2M"}),
        (size, {999: "999 B", 999.9: "0.976 KB", 2048: "2 KB", 1 << 30: "1 GB", 1 << 42: "4.1e+03 GB"}),
        (span, {1: "1 s", 119: "119 s", 120: "2 min", 7200: "2 h", 200_000: "2 d"}),
    ],
)
def test_quantities_are_short(write: Callable[[float | None], str], written: dict[float | None, str]) -> None:
    assert {amount: write(amount) for amount in written} == written


@given(st.floats(0, 9e8))
def test_quantities_keep_to_their_columns(amount: float) -> None:
    assert len(rate(amount)) <= 4
    assert len(whole(amount)) <= 4
    assert len(usd(amount)) <= 7
    assert len(seconds(amount / 1e5)) <= 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert in_colour(Terminal())
    assert not in_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.in_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.in_colour(Terminal())
