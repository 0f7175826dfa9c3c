"""The rows of a table of properties: what each may be, and the tests that values must pass."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import orjson

from proxy.domain.privacy import is_safe_text

ANY = "<key>"
"""How a name ends that stands for all names with the same beginning."""


class Kind(StrEnum):
    """The JSON type of a value. `NUMBER` takes integers too."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXTS = "list of texts"
    MAP = "map of texts"
    VARIANT = "text or boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One row. `limit` is characters of a text (each one's), and the inclusive maximum of a number (minimum 0)."""

    name: str
    kind: Kind
    meaning: str
    limit: float
    most: int = 1
    """How many entries a list or a map may have."""
    values: frozenset[str] | None = None
    """The closed list, where there is one."""
    group: str = ""
    events: tuple[str, ...] = ()


def text(name: str, meaning: str, limit: int = 1_000) -> Property:
    """A text of at most `limit` characters."""
    return Property(name=name, kind=Kind.TEXT, meaning=meaning, limit=limit)


def one_of(name: str, values: Iterable[str], meaning: str) -> Property:
    """A word of a closed list."""
    return Property(name=name, kind=Kind.TEXT, meaning=meaning, limit=64, values=frozenset(map(str, values)))


def many(name: str, kind: Kind, meaning: str, *, limit: int, most: int) -> Property:
    """A list or a map of at most `most` entries."""
    return Property(name=name, kind=kind, meaning=meaning, limit=limit, most=most)


def integer(name: str, meaning: str, limit: int = 1_000_000_000) -> Property:
    """A count from 0 to `limit`."""
    return Property(name=name, kind=Kind.INTEGER, meaning=meaning, limit=limit)


def number(name: str, meaning: str, limit: float = 1_000_000_000) -> Property:
    """A measure from 0 to `limit`."""
    return Property(name=name, kind=Kind.NUMBER, meaning=meaning, limit=limit)


def boolean(name: str, meaning: str) -> Property:
    """True or false."""
    return Property(name=name, kind=Kind.BOOLEAN, meaning=meaning, limit=1)


def group(name: str, events: Iterable[str], *rows: Property) -> tuple[Property, ...]:
    """The rows of one group, which go out with all of `events`."""
    return tuple(replace(row, group=name, events=tuple(events)) for row in rows)


Test = Callable[[object], bool]
_REMEMBERED = 1_024
"""Sets of values that one list remembers: some hundred bytes each."""


class AllowList:
    """The rows of one event, of which a later one takes the place of an earlier one of its name.

    Every property of every event passes through here, so the common kinds are told apart by look-ups alone, and only
    the rare ones cost the call of a test.
    """

    def __init__(self, rows: Iterable[Property]) -> None:
        self._longest: dict[str, float] = {}
        self._words: dict[str, frozenset[str]] = {}
        self._largest: dict[str, tuple[tuple[type, ...], float]] = {}
        self._tests: dict[str, Test] = {}
        self._families: list[tuple[str, Test]] = []
        """By what their names begin with."""
        for row in {row.name: row for row in rows}.values():
            self._add(row)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._members_of)

    def members(self, properties: Mapping[str, object]) -> bytes:
        """What is `kept`, as members of a JSON object: without its braces, empty where there is nothing."""
        return orjson.dumps(self.kept(properties))[1:-1]

    def members_of_words(self, properties: Mapping[str, object]) -> bytes:
        """As `members`, where the same values come again and again: checked and encoded once for each set of them.

        Values are words, small counts and facts, never lists or maps, nor what grows from call to call; what equals a
        value is told like it.
        """
        return self._remembered(tuple(properties), tuple(properties.values()))

    def _members_of(self, names: tuple[str, ...], values: tuple[object, ...]) -> bytes:
        return self.members(dict(zip(names, values, strict=True)))

    def kept(self, properties: Mapping[str, object]) -> dict[str, object]:
        """What of `properties` may go out: known names with good values, in the given order."""
        longest, words, largest = self._longest, self._words, self._largest
        kept: dict[str, object] = {}
        for name, value in properties.items():
            if value is None:
                continue
            if name in longest:
                is_good = (
                    (value.__class__ is str or isinstance(value, str))
                    and 0 < len(value) <= longest[name]
                    and (value.isprintable() or is_safe_text(value))
                )
            elif name in largest:
                types, most = largest[name]
                is_good = value.__class__ in types and 0 <= value <= most  # type: ignore[operator]
            elif name in words:
                is_good = isinstance(value, str) and value in words[name]
            else:
                is_good = self._is_rare(name, value)
            if is_good:
                kept[name] = value
        return kept

    def _add(self, row: Property) -> None:
        match row.kind:
            case Kind.TEXT if row.values is not None:
                self._words[row.name] = row.values
            case Kind.TEXT:
                self._longest[row.name] = row.limit
            case Kind.BOOLEAN:
                self._largest[row.name] = (bool,), row.limit
            case Kind.INTEGER:
                self._largest[row.name] = (int,), row.limit
            case Kind.NUMBER:
                self._largest[row.name] = (int, float), row.limit
            case Kind.VARIANT | Kind.TEXTS | Kind.MAP:
                test = _variant_test(row) if row.kind is Kind.VARIANT else _container_test(row)
                self._tests[row.name] = test
                if row.name.endswith(ANY):
                    self._families.append((row.name.removesuffix(ANY), test))

    def _is_rare(self, name: str, value: object) -> bool:
        test = self._tests.get(name)
        if test is None:
            test = next((test for start, test in self._families if name.startswith(start)), None)
        return test is not None and test(value)


def check_of(row: Property) -> Test:
    """The test of one row, for a value whose name is known."""
    alone = AllowList((row,))
    return lambda value: bool(alone.kept({row.name: value}))


def _variant_test(row: Property) -> Test:
    is_text = _text_test(row)
    return lambda value: isinstance(value, bool) or is_text(value)


def _text_test(row: Property) -> Test:
    return lambda value: isinstance(value, str) and 0 < len(value) <= row.limit and is_safe_text(value)


def _container_test(row: Property) -> Test:
    is_text = _text_test(row)

    def is_good(value: object) -> bool:
        if isinstance(value, dict):
            value = [part for pair in value.items() for part in pair] if row.kind is Kind.MAP else None
            most = 2 * row.most
        else:
            most = row.most if row.kind is Kind.TEXTS else 0
        return isinstance(value, list) and 0 < len(value) <= most and all(map(is_text, value))

    return is_good
