"""Configurations that are wrong, and the lines that they must give.

Each text file holds cases of one kind:

    @@ case: what the operator did
    @@ routing.yaml
    …the file's text; other files, and `environment` with NAME=value lines, in the same way
    @@ says
    routing.yaml:3:1: path: message

After a change of messages, `python -m tests.config.broken` writes the lines anew; read the difference. A planted
secret has PLANTED in it. `@@ routing.yaml latin-1` writes the file in that encoding.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.config import ConfigError
from proxy.config.load import load

FOLDER = Path(__file__).parent
PLANTED = re.compile("swordfish", re.IGNORECASE)
"""A word that every planted secret holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration. `source` is the text of the case up to `says`, the expected lines."""

    kind: str
    title: str
    files: Mapping[str, bytes]
    environment: Mapping[str, str]
    source: str
    says: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Put the files there."""
        for name, raw in self.files.items():
            (folder / name).write_bytes(raw)

    def lines(self, folder: Path) -> tuple[str, ...]:
        """What loading it says; an empty folder is needed."""
        self.write(folder)
        try:
            load(folder, folder / "pricing.yaml", self.environment)
        except ConfigError as error:
            return tuple(str(problem).replace(f"{folder}/", "") for problem in error.problems)
        return ()


def read_cases() -> list[Case]:
    """All of them, in the order of the files."""
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in _cases_in(path)]


def _cases_in(path: Path) -> list[Case]:
    return [_case(path.stem, text) for text in path.read_text().split("@@ case: ")[1:]]


def _case(kind: str, text: str) -> Case:
    before, _, says = text.partition("@@ says\n")
    title, *parts = re.split(r"^@@ ", before, flags=re.MULTILINE)
    texts = {head: body for head, _, body in (part.partition("\n") for part in parts)}
    variables = texts.pop("environment", "").splitlines()
    return Case(
        kind=kind,
        title=title.strip(),
        files={head.split(" ")[0]: body.encode([*head.split(" "), "utf-8"][1]) for head, body in texts.items()},
        environment=dict(line.split("=", 1) for line in variables),
        source=f"@@ case: {before}@@ says\n",
        says=tuple(says.splitlines()),
    )
