"""What became of what: a remark for each key that is no line of the output, and the account of keys without either."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from proxy.config.litellm.parts import Part
from proxy.config.problems import Path, dotted
from proxy.config.yaml_text import printable


class Verdict(Enum):
    """What a remark asks of the reader; the value is its heading."""

    LOST = "Not translated"
    STEP = "To be done by hand"
    MOOT = "Needs nothing here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What was found at a place of the input, and what to do about it. Quotes no value that could be a secret.

    `line` counts from 1; 0 for a file as a whole.
    """

    verdict: Verdict
    file: str
    line: int
    path: Path
    message: str


@dataclass(slots=True)
class Ledger:
    """Keeps account of the input: a part is settled once it was translated or remarked upon."""

    remarks: dict[Remark, None] = field(default_factory=dict)
    """In order, each once."""
    _settled: set[Part] = field(default_factory=set)

    def settle(self, part: Part | None) -> None:
        """This part, with all below it, is translated."""
        if part is not None:
            self._settled.update(part.walk())

    def remark(self, verdict: Verdict, message: str, part: Part) -> None:
        """This part, with all below it, is what the message says."""
        self.settle(part)
        text = printable(message)
        self.remarks[Remark(verdict=verdict, file=part.file, line=part.line, path=part.path, message=text)] = None

    def lost(self, part: Part, message: str) -> None:
        """Could not be translated."""
        self.remark(Verdict.LOST, message, part)

    def leave_out(self, entry: Part, part: Part, message: str) -> None:
        """The entry comes to nothing because of a part of it: what was said of it before is void."""
        depth = len(entry.path)
        said = [each for each in self.remarks if (each.file, each.path[:depth]) == (entry.file, entry.path)]
        for remark in said:
            del self.remarks[remark]
        self.lost(part, f"{message}; the entry is left out")
        self.settle(entry)

    def step(self, part: Part, message: str) -> None:
        """Asks for something that no file can do."""
        self.remark(Verdict.STEP, message, part)

    def moot(self, part: Part, message: str) -> None:
        """Has no effect here, or is so without being asked for."""
        self.remark(Verdict.MOOT, message, part)

    def is_settled(self, part: Part) -> bool:
        """True where nothing is left to say of the part."""
        return part in self._settled

    def open_parts(self, root: Part) -> Iterator[Part]:
        """The single values that were neither translated nor remarked upon."""
        for part in root.walk():
            if part not in self._settled and not part.members() and not part.items():
                yield part


def listing(remarks: Sequence[Remark], verdict: Verdict) -> list[str]:
    """One line for each thing to say, in the order of the input: `file:lines: path: message`."""
    groups: dict[tuple[str, str, str], list[Remark]] = {}
    for remark in sorted(remarks, key=lambda remark: remark.line):
        if remark.verdict is verdict:
            groups.setdefault((remark.file, _general(remark.path), remark.message), []).append(remark)
    files = list(dict.fromkeys(remark.file for remark in remarks))
    return [_line(group) for group in sorted(groups.values(), key=lambda group: files.index(group[0].file))]


def _general(path: Path) -> str:
    return dotted(tuple("*" if isinstance(part, int) else part for part in path))


def _line(group: list[Remark]) -> str:
    first = group[0]
    lines = ",".join(str(line) for line in sorted({remark.line for remark in group if remark.line}))
    paths = {dotted(remark.path) for remark in group}
    path = paths.pop() if len(paths) == 1 else _general(first.path)
    place = f"{first.file}:{lines}" if lines else first.file
    return ": ".join(filter(None, (printable(place), printable(path), first.message)))
