"""Regular expressions that others write, in RE2: whose time grows with the text alone, whatever the pattern."""

from typing import Any


class BadPattern(ValueError):
    """It cannot be used; the text says why. What RE2 itself says, which quotes the pattern, is its cause."""


def compiled(pattern: str) -> Any:  # noqa: ANN401 - the package has no types
    """Ready to search. Raises BadPattern."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise BadPattern("RE2 cannot read it; it knows no look-around and no references back") from error
