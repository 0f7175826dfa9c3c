"""Regular expressions that others write, in RE2: whose time grows with the text alone, whatever the pattern."""

from typing import Any


class BadPattern(ValueError):
    """RE2 does not take it; the text says why, to whoever wrote it."""


def compiled(pattern: str) -> Any:  # noqa: ANN401 - the package has no types
    """Ready to search. Raises BadPattern."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error.args[0])
        raise BadPattern(f"{reason} (RE2 has no lookaround and no backreferences)") from None
