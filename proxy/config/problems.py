"""A problem of the configuration, and the one error that carries them all."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.domain.privacy import looks_like_secret

_SECRET_PREFIXES = ("sk-", "sk_", "phc_", "phx_", "phs_", "plk_", "gsk_", "xai-", "AIza", "pplx-", "Bearer ")
_RANDOM = re.compile(r"(?=(?:[^0-9]*[0-9]){4})(?=.*[A-Za-z])[A-Za-z0-9+/]{24,}={0,2}")
"""Keys that show no vendor's mark: long, without a separator, letters and digits mixed."""
_SHOWN_CHARS = 80

HIDE_IT = (
    "this looks like a secret, which no file may hold: put it into an environment variable, and write the variable's "
    "name, without ${ }, into a key that ends in `_env`"
)

Path = tuple[str | int, ...]
"""Keys and list positions from the root of a document."""


def is_secret(text: str) -> bool:
    """True for what must never be echoed: it is a secret, or begins like one."""
    return text.startswith(_SECRET_PREFIXES) or _RANDOM.fullmatch(text) is not None or looks_like_secret(text)


def shown(text: str) -> str:
    """A name from a file as a message may quote it, on one line."""
    return "(a value that looks like a secret)" if is_secret(text) else f"`{_line(text)}`"


def shown_variable(name: str) -> str:
    """A variable's name as a message may quote it: what is not in capitals may be the secret itself."""
    return name if name.isupper() and not is_secret(name) else "that is named here"


def dotted(path: Path) -> str:
    """The path as a message shows it."""
    return ".".join(
        "(hidden)" if isinstance(part, str) and is_secret(part) else _line(str(part)) or '""' for part in path
    )


def _line(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[:_SHOWN_CHARS])
    return " ".join(printable.split())


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
        return self.line_of("")

    def line_of(self, kind: str) -> str:
        """As text on one line, as compilers write it; `kind` says what it is, such as `warning`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, kind, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Raised at start and on reload alone, with every problem at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))
