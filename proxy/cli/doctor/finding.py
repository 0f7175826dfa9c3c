"""What one look came to, and how an operator reads it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

WIDTH_CHARS = 80


class State(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should look."""
    FAIL = "fail"
    SKIP = "skip"
    """Not looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do. No key, not even in part, and no text that others wrote."""

    state: State
    title: str
    found: str
    advice: str = ""
    """Only a good finding may go without."""


Groups = Mapping[str, Sequence[Finding]]
"""Findings under their headings, in the order in which they are shown."""


def ok(title: str, found: str, advice: str = "") -> Finding:
    """All is well."""
    return Finding(State.OK, title, found, advice)


def warn(title: str, found: str, advice: str) -> Finding:
    """See `State`."""
    return Finding(State.WARN, title, found, advice)


def fail(title: str, found: str, advice: str) -> Finding:
    """Something does not work."""
    return Finding(State.FAIL, title, found, advice)


def skip(title: str, found: str, advice: str) -> Finding:
    """See `State`."""
    return Finding(State.SKIP, title, found, advice)


def count(groups: Groups) -> dict[State, int]:
    """How many of each state."""
    states = [finding.state for findings in groups.values() for finding in findings]
    return {state: states.count(state) for state in State}


def report(groups: Groups) -> Iterator[str]:
    """Lines of at most 80 characters, save where a name or an address is longer."""
    for heading, findings in groups.items():
        yield heading
        for finding in findings:
            yield from _wrapped(f"{finding.title}: {finding.found}", f"  {finding.state:<4}  ")
            if finding.advice:
                yield from _wrapped(finding.advice, "        → ")
        yield ""
    yield ", ".join(f"{number} {state}" for state, number in count(groups).items() if number)


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH_CHARS,
        initial_indent=first,
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )
