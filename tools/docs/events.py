"""docs/events.md: every event and property, from the table that is the allow-list."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from proxy.domain import event_properties, outcome_properties
from proxy.domain.event_properties import LENGTH_BUCKETS
from proxy.domain.property_rows import Kind, Property

LISTED = 12
"""Closed lists up to this length stand in the table; longer ones after it."""

_HEAD = """<!-- Made by `make docs` from event_properties.py and outcome_properties.py of proxy/domain; edit those. -->
# Events

A value that is not known is absent. What is not in these tables is not sent: they are the allow-list, with the type
and the bound that a value must keep. The only other properties are your own, by `properties.allow` in the
configuration, up to 200 characters each.

Every event has a `uuid` made from the call and the event's name, and a `timestamp`; both are fixed when the event is
made, and a resend carries the same bytes. Tokens are inclusive: cached and cache-written tokens are part of the input,
reasoning is part of the output.

| event of a call | made when |
|---|---|
"""
_OUTCOMES = """
## Events beside calls

They carry the identity, the prompt and the flags of the call that they are about, where it is known, and its
`provider`, `model`, `requested_model`, `target` and `endpoint`.

| event | made when |
|---|---|
"""
_EVERY = set(event_properties.EVENTS)


def events_page() -> str:
    """docs/events.md as the table says it."""
    calls = [*_listed(event_properties.EVENTS), *_sections(event_properties.TABLE)]
    outcomes = [*_listed(outcome_properties.EVENTS), *_sections(outcome_properties.TABLE)]
    return _HEAD + "\n".join(calls) + "\n" + _OUTCOMES + "\n".join([*outcomes, *_closed_lists()]) + "\n"


def _listed(events: Mapping[str, str]) -> list[str]:
    return [f"| `{name}` | {meaning} |" for name, meaning in events.items()]


def _sections(table: Iterable[Property]) -> list[str]:
    return [_section(heading, list(rows)) for heading, rows in groupby(table, key=_heading)]


def _heading(row: Property) -> tuple[str, tuple[str, ...]]:
    return row.group, row.events


def _section(heading: tuple[str, tuple[str, ...]], rows: Iterable[Property]) -> str:
    group, events = heading
    where = "all events of calls" if set(events) == _EVERY else ", ".join(f"`{event}`" for event in events)
    table = [f"| `{row.name}` | {row.kind} | {_bound(row)} | {row.meaning} |" for row in rows]
    head = ["", f"## {group[0].upper()}{group[1:]}", "", f"On {where}.", "", "| property | type | bound | meaning |"]
    return "\n".join([*head, "|---|---|---|---|", *table])


def _bound(row: Property) -> str:
    if row.values is not None and len(row.values) <= LISTED:
        return ", ".join(f"`{value}`" for value in _ordered(row.values))
    if row.values is not None:
        return "[closed list](#closed-lists)"
    if row.kind is Kind.BOOLEAN:
        return ""
    if row.kind in (Kind.INTEGER, Kind.NUMBER):
        return f"0 to {row.limit:,}"
    each = f"{row.limit:,} characters"
    return f"{row.most} of {each}" if row.kind in (Kind.TEXTS, Kind.MAP) else each


def _closed_lists() -> list[str]:
    """The long ones; rows that share a list stand together."""
    names: dict[frozenset[str], list[str]] = {}
    for row in (*event_properties.TABLE, *outcome_properties.TABLE):
        if row.values is not None and len(row.values) > LISTED and row.name not in names.setdefault(row.values, []):
            names[row.values].append(row.name)
    entries = [
        f"- {', '.join(f'`{name}`' for name in rows)}: {', '.join(f'`{value}`' for value in _ordered(values))}"
        for values, rows in names.items()
    ]
    return ["", "## Closed lists", "", *entries]


def _ordered(values: frozenset[str]) -> list[str]:
    """Size classes by size, everything else by name."""
    sizes = [name for _, name in LENGTH_BUCKETS]
    return sorted(values, key=lambda value: (sizes.index(value) if value in sizes else 0, value))
