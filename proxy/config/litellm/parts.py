"""LiteLLM's files as one tree of values with their places, read as LiteLLM reads them.

That is more lenient than for our own files: merge keys (`<<`) are resolved, of a key that stands twice the last counts,
`${NAME}` is plain text, and includes are joined.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path as FilePath

import yaml

from proxy.config.document import MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES
from proxy.config.problems import Path, Problem, dotted
from proxy.config.syntax import explain, place_of

SECTIONS = (
    "model_list", "litellm_settings", "router_settings", "general_settings", "environment_variables", "credential_list",
    "include",
)  # fmt: skip
_VARIABLE = re.compile(r"os\.environ/(?P<name>.+)|\$\{(?P<braced>[A-Z_][A-Z0-9_]*)\}")
_MAX_DIGITS = 30
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


class NotLitellm(Exception):
    """The file cannot be read, or it is not LiteLLM's. `problems` says why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One value of the input and where it stands. Two parts are never equal: what is written twice is told apart."""

    value: "str | Decimal | bool | list[Part] | dict[str, Part] | None"
    file: str
    line: int
    path: Path

    def get(self, key: str) -> "Part | None":
        """The value of a key; None where the key is absent or empty, or this is no mapping."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found if found is not None and found.value not in (None, "") else None

    def section(self, key: str) -> "Part":
        """The value of a key; a part without a value where `get` finds none."""
        return self.get(key) or Part(None, self.file, self.line, self.path)

    def members(self) -> "dict[str, Part]":
        """The keys of a mapping; of anything else, none."""
        return self.value if isinstance(self.value, dict) else {}

    def items(self) -> "list[Part]":
        """The items of a list; of anything else, none."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        """Text, or a number as text; None for anything else."""
        return str(self.value) if isinstance(self.value, str | Decimal) else None

    @property
    def number(self) -> Decimal | None:
        """A number, also one that YAML takes for text (`4e-07`)."""
        text = self.text
        number = Decimal(text) if text is not None and _NUMBER.fullmatch(text) else None
        return number if number is not None and abs(number.adjusted()) < _MAX_DIGITS else None

    @property
    def variable(self) -> str | None:
        """The variable that `os.environ/NAME` or `${NAME}` stands for."""
        found = _VARIABLE.fullmatch(self.text or "")
        return (found["name"] or found["braced"]).strip() if found else None

    def walk(self) -> "Iterator[Part]":
        """This part and all below it."""
        yield self
        for inner in (*self.members().values(), *self.items()):
            yield from inner.walk()


@dataclass(slots=True)
class LitellmFiles:
    """The tree of the main file and what it includes. `replaced` are sections that a later file overrides."""

    root: Part
    problems: list[Problem] = field(default_factory=list)
    replaced: list[Part] = field(default_factory=list)


def read(path: FilePath) -> LitellmFiles:
    """Read a configuration with its includes. Raises NotLitellm."""
    files = parse(str(path), _bytes(path))
    include = files.root.section("include")
    if include.value is not None and not include.items():
        message = "this must be a list of files"
        files.problems.append(Problem(file=include.file, line=include.line, path="include", message=message))
    seen: set[str | None] = set()
    for part in include.items():  # what an included file includes is appended to this list
        if part.text not in seen:
            seen.add(part.text)
            _join(files, path.parent / (part.text or ""))
    return files


def parse(file: str, raw: bytes) -> LitellmFiles:
    """One text as a configuration. Raises NotLitellm."""
    files = _parsed(file, raw)
    if not any(section in files.root.members() for section in SECTIONS):
        message = f"this is no LiteLLM configuration: it has none of {', '.join(SECTIONS)}"
        raise NotLitellm([Problem(file=file, message=message)])
    return files


def _bytes(path: FilePath) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError:
        raise NotLitellm([Problem(file=str(path), message="this file cannot be read")]) from None


def _join(files: LitellmFiles, path: FilePath) -> None:
    """As LiteLLM does it: lists are joined, of other values the later one counts."""
    try:
        included = _parsed(str(path), _bytes(path))
    except NotLitellm as error:
        files.problems += error.problems
        return
    files.problems += included.problems
    sections = files.root.members()
    for key, part in included.root.members().items():
        before = sections.get(key)
        if before is None:
            sections[key] = part
        elif isinstance(before.value, list) and isinstance(part.value, list):
            before.value.extend(part.value)
        else:
            files.replaced.append(before)
            sections[key] = part


def _parsed(file: str, raw: bytes) -> LitellmFiles:
    """A file that is a mapping, as a tree. Raises NotLitellm."""
    if len(raw) > MAX_FILE_BYTES:
        raise NotLitellm([Problem(file=file, message=f"the file is larger than {MAX_FILE_BYTES // 1024} KiB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotLitellm([Problem(file=file, message="the file is not UTF-8 text")]) from None
    try:
        node = yaml.SafeLoader(text).get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise NotLitellm([Problem(file=file, message="the file must be a mapping of keys to values")])
        builder = _Builder(file)
        return LitellmFiles(root=builder.part(node, ()), problems=builder.problems)
    except yaml.MarkedYAMLError as error:
        (line, column), message = explain(error, text)
    except yaml.reader.ReaderError as error:
        (line, column), message = place_of(text, error.position), "there is a character here that YAML does not allow"
    except RecursionError:
        line, column, message = 0, 0, "the file is nested too deeply"
    raise NotLitellm([Problem(file=file, line=line, column=column, message=message)])


class _Builder:
    """Walks the nodes of one file once; the count of nodes stops aliases that multiply."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._nodes = 0

    def part(self, node: yaml.Node, path: Path) -> Part:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise NotLitellm([Problem(file=self._file, message="too many or too deeply nested values")])
        return Part(self._value(node, path), self._file, node.start_mark.line + 1, path)

    def _value(self, node: yaml.Node, path: Path) -> "str | Decimal | bool | list[Part] | dict[str, Part] | None":
        if isinstance(node, yaml.MappingNode):
            return self._members(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.part(item, (*path, at)) for at, item in enumerate(node.value)]
        text: str = node.value
        if node.tag == "tag:yaml.org,2002:null":
            return None
        if node.tag == "tag:yaml.org,2002:bool":
            return text.lower() in {"yes", "true", "on"}
        digits = text.replace("_", "")  # YAML 1.1 allows 20_000
        return Decimal(digits) if node.tag in _NUMBER_TAGS and _NUMBER.fullmatch(digits) else text

    def _members(self, node: yaml.MappingNode, path: Path) -> dict[str, Part]:
        """The members, with what `<<` brings in below them: own keys win, then the mapping that is named first."""
        own: dict[str, Part] = {}
        inherited: dict[str, Part] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key must be plain text")
                continue
            key: str = key_node.value
            part = self.part(value_node, (*path, key))
            if key == "<<":
                for source in reversed(part.items() or [part]):
                    inherited.update(source.members())
            else:
                if key in own:
                    self._report(key_node, (*path, key), "this key stands twice; as with LiteLLM, the last one counts")
                own[key] = part
        return {**inherited, **own}

    def _report(self, node: yaml.Node, path: Path, message: str) -> None:
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.problems.append(
            Problem(file=self._file, line=place[0], column=place[1], path=dotted(path), message=message)
        )
