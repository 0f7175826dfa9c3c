"""The rows of a table of properties: what each may be, and the test that a value must pass."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from proxy.domain.privacy import is_safe_text


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


def check_of(row: Property) -> Test:
    """The row's test, to be made once: every property of every event passes through one."""
    match row.kind:
        case Kind.TEXT:
            return _text_test(row)
        case Kind.BOOLEAN:
            return lambda value: isinstance(value, bool)
        case Kind.INTEGER:
            return lambda value: type(value) is int and 0 <= value <= row.limit
        case Kind.NUMBER:
            return lambda value: type(value) in (int, float) and 0 <= value <= row.limit  # type: ignore[operator]
        case Kind.VARIANT:
            is_text = _text_test(row)
            return lambda value: isinstance(value, bool) or is_text(value)
        case Kind.TEXTS | Kind.MAP:
            return _container_test(row)


def _text_test(row: Property) -> Test:
    limit, values = row.limit, row.values
    if values is not None:
        return lambda value: isinstance(value, str) and value in values
    return lambda value: (
        isinstance(value, str) and 0 < len(value) <= limit and (value.isprintable() or is_safe_text(value))
    )


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
