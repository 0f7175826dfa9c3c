"""A problem of the configuration, and the one error that carries them all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.domain.privacy import looks_like_secret

_SECRET_PREFIXES = ("sk-", "sk_", "phc_", "phx_", "phs_", "plk_", "gsk_", "xai-", "AIza", "pplx-", "Bearer ")

Path = tuple[str | int, ...]
"""Keys and list positions from the root of a document."""


def is_secret(text: str) -> bool:
    """True for what must never be echoed, and never stand in a file."""
    return text.startswith(_SECRET_PREFIXES) or looks_like_secret(text)


def shown(text: str) -> str:
    """A value from a file as a message may quote it."""
    return "(a value that looks like a secret)" if is_secret(text) else f"`{text[:80]}`"


def dotted(path: Path) -> str:
    """The path as a message shows it."""
    return ".".join("(hidden)" if isinstance(part, str) and is_secret(part) else str(part) for part in path)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing to put right. `line` and `column` count from 1; 0 where the place is a file or a variable as a whole.

    `message` says what to do. It never quotes a value that could be a secret.
    """

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Raised at start and on reload alone, with every problem at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))
