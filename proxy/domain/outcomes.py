"""What an outcome call says: its JSON body, checked field by field, as values.

An outcome is what came of calls: a rating, a finished task, an evaluation, an agent's step, or any event of the
product. Nothing is dropped silently here: a body with one bad field is refused whole, and every bad field is named by
its path, so that whoever writes the call finds out before numbers are missing. No message repeats a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from proxy.domain import event_properties, outcome_properties
from proxy.domain.analytics_headers import Reason, reason_to_refuse
from proxy.domain.context_token import LIMIT_BYTES
from proxy.domain.errors import BadRequest
from proxy.domain.event_properties import OWN_PROPERTY_LIMIT_CHARS
from proxy.domain.identity import MAX_PROPERTIES, IdentityPolicy, Person, Scalar, person_of
from proxy.domain.outcome_properties import (
    AGENT_STEP,
    OUTPUT_EVALUATED,
    OUTPUT_RATED,
    RESERVED_NAMES,
    TASK_COMPLETED,
)
from proxy.domain.privacy import looks_like_secret
from proxy.domain.property_rows import Kind, Property, check_of, text

MOST_OUTCOMES = 100
MOST_PROBLEMS = 100
"""As many are told at once."""
OLDEST_S = 366 * 86_400
AHEAD_S = 300
"""How far a caller's clock may be ahead."""


class Verb(StrEnum):
    """The last part of the path."""

    FEEDBACK = "feedback"
    TASKS = "tasks"
    EVALS = "evals"
    STEPS = "steps"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad field: its path, as in `[3].properties.plan`, and what is wrong, in our words alone."""

    path: str
    message: str


class BadOutcome(BadRequest):
    """A body of which nothing was taken."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("Nothing was taken: `fields` says what is wrong and where.", code="bad_outcome")
        self.problems = tuple(problems[:MOST_PROBLEMS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the outcome is about, as far as it was said."""

    exchange_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    context: str | None = field(default=None, repr=False)
    """What stood in `X-LLM-Context`; not yet verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One outcome as it was sent. `values` are event properties under their names."""

    event: str
    about: Reference
    values: Mapping[str, object]
    own: Mapping[str, Scalar] = field(default_factory=dict)
    person: Person | None = None
    """Who it is about, where the call said so itself."""
    id: str | None = None
    at_unix_us: int | None = None
    path: str = ""
    """Where in the body it stands: `[3]`, or "" where the body is no array."""


_EVENT_OF = {
    Verb.FEEDBACK: OUTPUT_RATED,
    Verb.TASKS: TASK_COMPLETED,
    Verb.EVALS: OUTPUT_EVALUATED,
    Verb.STEPS: AGENT_STEP,
}
_RATING = ("user_feedback", "accepted_output", "edited_output")
_TASK = ("task_completed", "escalated_to_human", "retry_count", "revenue_usd", "duration_ms", *_RATING)
_PROPERTIES = {
    Verb.FEEDBACK: _RATING,
    Verb.TASKS: _TASK,
    Verb.EVALS: ("eval_name", "eval_passed", "eval_score", "eval_reason_code"),
    Verb.STEPS: ("tool_name", "agent_step_name", "step_status", "duration_ms", "retry_count"),
    Verb.EVENTS: _TASK,
}
"""Fields that become the property of the same name; `task_type` and `task_id` do with every verb."""
_NEEDED = {
    Verb.FEEDBACK: (_RATING,),
    Verb.TASKS: (("task_completed",),),
    Verb.EVALS: (("eval_name",), ("eval_passed", "eval_score")),
    Verb.STEPS: (("tool_name", "agent_step_name"),),
    Verb.EVENTS: (("event",),),
}
"""Of each group at least one."""
_REFERENCES = ("trace_id", "request_id", "exchange_id", "context")
_ROWS = {row.name: row for row in (*event_properties.TABLE, *outcome_properties.TABLE)} | {
    "context": text("context", "A token from `X-LLM-Context`.", LIMIT_BYTES),
    "session_id": text("session_id", "The PostHog session."),
    "distinct_id": text("distinct_id", "Who it is about."),
    "id": text("id", "Makes a repetition harmless.", 200),
    "event": text("event", "The name of the product event.", 200),
    "timestamp": text("timestamp", "When it happened.", 40),
}
_ROWS["groups"] = _ROWS["$groups"]
_TESTS = {name: check_of(row) for name, row in _ROWS.items()}
_SECRET_ELSEWHERE = {"context", "distinct_id"}
"""A token is signed text, and of an id that looks like a key the identity rule makes a hash."""
_REFUSED_ID: Mapping[Reason, str] = {
    "illegal_id": "is an id that PostHog refuses, since it would merge strangers into one person",
    "too_long": "must have at most 200 bytes",
    "control_characters": "must have no control characters",
}
_FIELDS = {
    verb: (
        *names, "task_type", "task_id", *_REFERENCES, "id", "distinct_id", "session_id", "groups", "timestamp",
        "properties", *(("event",) if verb is Verb.EVENTS else ()),
    )
    for verb, names in _PROPERTIES.items()
}  # fmt: skip
_OUR_EVENTS = event_properties.EVENTS.keys() | outcome_properties.EVENTS.keys()
_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .:/-]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what a body is judged."""

    verb: Verb
    policy: IdentityPolicy
    now_unix_us: int
    about: Reference = Reference()
    """What an outcome is about that does not say so itself: from the headers."""
    is_rating_alone: bool = False
    """The caller has a feedback token and no key: it may say what a user thought and nothing else."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What an object may hold."""
        return _RATING if self.is_rating_alone else _FIELDS[self.verb]


def read(body: object, terms: Terms) -> tuple[Outcome, ...]:
    """The outcomes in a parsed body, in order. Raises BadOutcome."""
    is_array = isinstance(body, list)
    entries = body if isinstance(body, list) else [body]
    if not 0 < len(entries) <= MOST_OUTCOMES:
        raise BadOutcome([Problem("", f"must have 1 to {MOST_OUTCOMES} outcomes")])
    problems: list[Problem] = []
    made = []
    for index, entry in enumerate(entries):
        reader = _Reader(f"[{index}]" if is_array else "", terms)
        made.append(reader.outcome(entry))
        problems += reader.problems
    problems += _named_twice(made)
    if problems:
        raise BadOutcome(problems)
    return tuple(made)


def _named_twice(made: list[Outcome]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, outcome in enumerate(made):
        if outcome.id is not None and (earlier := first.setdefault(outcome.id, index)) != index:
            yield Problem(f"[{index}].id", f"is the id of [{earlier}] too")


class _Reader:
    """Reads one object. Where it finds `problems`, what it made is not to be used."""

    def __init__(self, path: str, terms: Terms) -> None:
        self._path = path
        self._terms = terms
        self.problems: list[Problem] = []

    def outcome(self, entry: object) -> Outcome:
        """What the object says."""
        verb = self._terms.verb
        if not isinstance(entry, dict):
            self._wrong("", "must be a JSON object")
            entry = {}
        else:
            self._look_for_strangers(entry)
            self._look_for_gaps(entry)
        said: dict[str, Any] = {
            name: self._value(name, entry.get(name)) for name in self._terms.fields if name != "properties"
        }
        values = {name: said.get(name) for name in (*_PROPERTIES[verb], "task_type", "task_id")}
        person = self._person(said.get("distinct_id"))
        return Outcome(
            event=_EVENT_OF.get(verb) or self._event(said.get("event")),
            about=self._about(said, is_person_enough=person is not None),
            values={**values, "$session_id": said.get("session_id"), "$groups": said.get("groups")},
            own=self._own(entry.get("properties")),
            person=person,
            id=said.get("id"),
            at_unix_us=self._time(said.get("timestamp")),
            path=self._path,
        )

    def _wrong(self, name: str, message: str) -> None:
        self.problems.append(Problem(place(self._path, name), message))

    def _look_for_strangers(self, entry: Mapping[str, Any]) -> None:
        fields = self._terms.fields
        for name in [name for name in entry if name not in fields]:
            near = get_close_matches(name[:64], fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"these are: {', '.join(fields)}"
            self._wrong(_shown(name), f"is no field of {self._terms.verb} here; {hint}")

    def _look_for_gaps(self, entry: Mapping[str, Any]) -> None:
        for names in _NEEDED[self._terms.verb]:
            if all(entry.get(name) is None for name in names):
                self._wrong(names[0], "is missing" + f"; or give {' or '.join(names[1:])}" * bool(names[1:]))

    def _value(self, name: str, value: object) -> object:
        """The value of a field; None where there is none, or none that is good."""
        if isinstance(value, str):
            value = value.strip()
        if value is None:
            return None
        if not _TESTS[name](value):
            self._wrong(name, wanted(_ROWS[name]))
            return None
        if isinstance(value, str) and name not in _SECRET_ELSEWHERE and looks_like_secret(value):
            self._wrong(name, "looks like a key, which no event may hold")
            return None
        return value

    def _about(self, said: Mapping[str, Any], *, is_person_enough: bool) -> Reference:
        about = Reference(**{name: said.get(name) for name in _REFERENCES})
        if about != Reference():
            return about
        if self._terms.about == Reference() and not is_person_enough and not self.problems:
            self._wrong("trace_id", f"is missing; or give {' or '.join((*_REFERENCES[1:], 'distinct_id'))}")
        return self._terms.about

    def _person(self, given: str | None) -> Person | None:
        if given is None or self._terms.policy.mode == "none":
            return None
        taken = person_of(given, self._terms.policy)
        if isinstance(taken, Person):
            return taken
        self._wrong("distinct_id", _REFUSED_ID[taken])
        return None

    def _event(self, name: str | None) -> str:
        if name is None:
            return ""
        if name in _OUR_EVENTS:
            self._wrong("event", "is an event that the proxy makes; choose a name of your own")
        elif not _EVENT_NAME.fullmatch(name):
            self._wrong("event", "must begin with a letter; then letters, digits, spaces and _ . : / -")
        return name

    def _time(self, said: str | None) -> int | None:
        """Microseconds since 1970 UTC."""
        if said is None:
            return None
        try:
            at = datetime.fromisoformat(said)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self._wrong("timestamp", "must be a time with its zone, as in 2026-06-04T12:00:00Z")
            return None
        at_unix_us = round((at - _EPOCH) / timedelta(microseconds=1))
        age_us = self._terms.now_unix_us - at_unix_us
        if not -AHEAD_S * 1_000_000 <= age_us <= OLDEST_S * 1_000_000:
            self._wrong("timestamp", "must lie within the last 366 days")
        return at_unix_us

    def _own(self, said: object) -> dict[str, Scalar]:
        if said is None or "properties" not in self._terms.fields:
            return {}
        if not isinstance(said, dict) or len(said) > MAX_PROPERTIES:
            self._wrong("properties", f"must be a JSON object of at most {MAX_PROPERTIES} members")
            return {}
        return {name: value for name, value in said.items() if value is not None and self._is_good(name, value)}

    def _is_good(self, name: str, value: object) -> bool:
        wrong = None
        if name.startswith("$") or name in RESERVED_NAMES:
            wrong = "is a name that the proxy uses itself"
        elif name not in self._terms.policy.allowed_properties:
            wrong = "is not on the list properties.allow of analytics.yaml"
        elif not isinstance(value, str | int | float | bool):
            wrong = "must be a text, a number, true or false"
        elif isinstance(value, str) and reason_to_refuse(value, OWN_PROPERTY_LIMIT_CHARS) is not None:
            wrong = (
                f"must be a text of at most {OWN_PROPERTY_LIMIT_CHARS} characters, without control characters or keys"
            )
        if wrong is not None:
            self._wrong(f"properties.{_shown(name)}", wrong)
        return wrong is None


def place(path: str, name: str) -> str:
    """The path of a field of the object at `path`."""
    return f"{path}.{name}" if path and name else path or name


def wanted(row: Property) -> str:
    """What a value must be, in words."""
    if row.values is not None:
        return f"must be one of {', '.join(sorted(row.values))}"
    match row.kind:
        case Kind.BOOLEAN:
            return "must be true or false"
        case Kind.INTEGER:
            return f"must be a whole number from 0 to {row.limit:,}"
        case Kind.NUMBER:
            return f"must be a number from 0 to {row.limit:,}"
        case Kind.MAP:
            return f"must be an object of 1 to {row.most} texts of at most {row.limit:,} characters"
        case _:
            return f"must be a text of 1 to {row.limit:,} characters, without control characters"


def _shown(name: str) -> str:
    """A name that the caller chose, as far as it can be shown to it."""
    return name[:64] if name.isprintable() else "?"
