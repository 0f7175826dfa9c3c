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

from proxy.config.problems import Path, Problem, dotted, shown_variable
from proxy.config.syntax import NO_TAGS, explain, place_of

MAX_FILE_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 32

Value = str | int | bool | Decimal | None | list["Value"] | dict[str, "Value"]

_CORE = "tag:yaml.org,2002:"
_CORE_TAGS = tuple(
    _CORE + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
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

    def value_at(self, path: Path) -> Value:
        """What is written there; None also where nothing is."""
        value = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def parse_document(file: str, raw: bytes, env: Mapping[str, str]) -> Document:
    """Read one YAML text. Never raises: what is wrong is in `problems`."""
    document = Document(file=file)
    if len(raw) > MAX_FILE_BYTES:
        document.report((), f"the file is larger than {MAX_FILE_BYTES // 1024} KiB")
        return document
    text = _decoded(document, raw)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reader(document, loader, env).read(node, (), 0)
    except _TooMuchError as error:
        document.report(error.path[:1], "too many or too deeply nested values here; look at the aliases")
    except yaml.MarkedYAMLError as error:
        _report_at(document, *explain(error, text))
    except yaml.reader.ReaderError as error:
        _report_at(document, place_of(text, error.position), "there is a character here that YAML does not allow")
    except RecursionError:
        document.report((), "the file is nested too deeply")
    return document


def _decoded(document: Document, raw: bytes) -> str:
    """The text, or none of it with the problem reported."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        document.report((), "the file is UTF-16; save it as UTF-8")
        return ""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = place_of(raw[: error.start].decode("utf-8-sig"), len(raw[: error.start].decode("utf-8-sig")))
        _report_at(document, place, "this character is not UTF-8; save the file as UTF-8")
        return ""


def _report_at(document: Document, place: tuple[int, int], message: str) -> None:
    document.places[()] = place
    document.report((), message)


class _TooMuchError(Exception):
    def __init__(self, path: Path) -> None:
        self.path = path


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
            raise _TooMuchError(path)
        self._document.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if not node.tag.startswith(_CORE_TAGS):
            self._document.report(path, NO_TAGS)
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
                self._document.report(here, "a key must be plain text, and text that begins with { or [ quoted")
            elif key == "<<":
                self._document.report(here, "YAML's merge key is not taken here; write the keys themselves")
            elif not key.isprintable():
                self._document.report(here, "this key holds a sign that cannot be seen; type it and its spaces anew")
            elif key in result:
                first_line = self._document.places[here][0]
                self._document.places[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                self._document.report(here, f"duplicate key: it stands on line {first_line} already; keep one of them")
            else:
                result[key] = self.read(value_node, here, depth + 1)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Value:
        text: str = node.value
        tag = node.tag
        if "${" in text:
            text = _VARIABLE.sub(lambda match: self._variable(match, path), text)
            if "${" in _VARIABLE.sub("", node.value):
                self._document.report(path, "a reference to a variable has the form ${NAME} or ${NAME:-default}")
            if node.style is None:
                tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        if any("\ud800" <= char <= "\udfff" for char in text):
            self._document.report(path, "this holds no character: an escape from \\ud800 to \\udfff, or no UTF-8")
            return None
        return self._typed(tag.removeprefix(_CORE), text, path)

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
        return text

    def _variable(self, match: re.Match[str], path: Path) -> str:
        value = self._env.get(match["name"]) or match["default"]
        if value is None:
            variable = shown_variable(match["name"])
            self._document.report(
                path, f"the environment variable {variable} is not set or empty; set it, or write ${{NAME:-default}}"
            )
            return ""
        return value
