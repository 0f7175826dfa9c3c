"""YAML text to plain values, each with its place in the file.

Only what a configuration needs is taken: text keys, scalars, lists and mappings, one document. Duplicate keys,
`.inf` and `.nan`, tags, and documents that grow by aliases are problems. Numbers with a point become Decimal, since a
price must not pass through a float; dates and YAML 1.1's odd numbers (octal, base 60) stay text. `${NAME}` and
`${NAME:-default}` read the environment in scalar values, after the YAML is parsed: a variable's value is never syntax.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import yaml

from proxy.config.problems import Path, Problem, dotted

MAX_FILE_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 32

Value = str | int | bool | Decimal | None | list["Value"] | dict[str, "Value"]

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|nan)", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Document:
    """One file. `value` is None where the file is absent or empty, or could not be read at all."""

    file: str
    value: Value = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, message: str) -> None:
        """Add a problem at the place of `path`, or of the nearest part above it that is written in the file."""
        line, column = next(
            (self.places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.places), (0, 0)
        )
        self.problems.append(Problem(file=self.file, line=line, column=column, path=dotted(path), message=message))

    def has_problem_at(self, path: Path) -> bool:
        """True when something was reported for exactly this path."""
        return any(problem.path == dotted(path) for problem in self.problems)


def parse_document(file: str, raw: bytes, env: Mapping[str, str]) -> Document:
    """Read one YAML text. Never raises: what is wrong is in `problems`."""
    document = Document(file=file)
    if len(raw) > MAX_FILE_BYTES:
        document.report((), f"the file is larger than {MAX_FILE_BYTES // 1024} KiB")
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        document.report((), "the file is not UTF-8 text")
        return document
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reader(document, loader, env).read(node, (), 0)
    except yaml.MarkedYAMLError as error:
        _report_syntax(document, error)
    except yaml.YAMLError:
        document.report((), "the file holds characters that YAML does not allow")
    except RecursionError:
        document.report((), "the file is nested too deeply")
    return document


def _report_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    if mark is not None:
        document.places[()] = (mark.line + 1, mark.column + 1)
    document.report((), f"not valid YAML: {error.problem or error.context}")


class _Reader:
    """Walks the nodes of one document once; the count of nodes stops aliases that multiply."""

    def __init__(self, document: Document, loader: yaml.SafeLoader, env: Mapping[str, str]) -> None:
        self._document = document
        self._loader = loader
        self._env = env
        self._nodes = 0

    def read(self, node: yaml.Node, path: Path, depth: int) -> Value:
        """The value of a node; its place is noted."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="too many or too deeply nested values", problem_mark=node.start_mark)
        self._document.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> Value:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            # A key is its text, whatever YAML 1.1 would make of it: `on:` is no boolean here.
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            here = (*path, key if isinstance(key, str) else "?")
            self._document.places.setdefault(here, (key_node.start_mark.line + 1, key_node.start_mark.column + 1))
            if not isinstance(key, str):
                self._document.report(here, "a key must be plain text")
            elif key in result:
                self._document.places[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                self._document.report(here, "duplicate key")
            else:
                result[key] = self.read(value_node, here, depth + 1)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Value:
        text: str = node.value
        tag = node.tag
        if "${" in text:
            text = _VARIABLE.sub(lambda match: self._variable(match, path), text)
            if "${" in _VARIABLE.sub("", node.value):
                self._document.report(path, "write ${NAME} or ${NAME:-default}")
            if node.style is None:
                tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return self._typed(tag.removeprefix("tag:yaml.org,2002:"), text, path)

    def _typed(self, tag: str, text: str, path: Path) -> Value:
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() in {"yes", "true", "on"}
            case "int" if _INTEGER.fullmatch(text):
                return int(text)
            case "float" if _NOT_A_NUMBER.fullmatch(text):
                self._document.report(path, "a number must be finite")
                return Decimal(0)
            case "float" if _DECIMAL.fullmatch(text):
                return Decimal(text)
            case "str" | "int" | "float" | "timestamp":
                return text
        self._document.report(path, "a value is plain text, a number or a truth value; no tags")
        return None

    def _variable(self, match: re.Match[str], path: Path) -> str:
        value = self._env.get(match["name"]) or match["default"]
        if value is None:
            self._document.report(
                path,
                f"the environment variable {match['name']} is not set or empty; "
                f"set it, or write ${{{match['name']}:-default}}",
            )
            return ""
        return value
