"""Who calls, and for what: headers, key and body as one typed, bounded value.

A row of the headers contract is a list of sources in order of priority; the first that gives a good value wins.
Nothing here can fail a call: what is not good is dropped and named in the warnings.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import orjson

from proxy.domain.analytics_headers import Reason, Sent
from proxy.domain.double_capture import REASON, SOURCE, is_wrapped_by_posthog
from proxy.domain.event_properties import MAX_FLAGS, OWN_PROPERTY_LIMIT_CHARS
from proxy.domain.fields import MOST_SETS, Fields
from proxy.domain.fingerprints import INFERRED, PromptHashMode, inferred_version
from proxy.domain.outcome_properties import RESERVED_NAMES
from proxy.domain.privacy import (
    hash_identity,
    is_safe_text,
    looks_like_email,
    looks_like_secret,
    purpose_key,
)
from proxy.domain.provenance import Provenance
from proxy.domain.trace_source import TraceSource
from proxy.domain.values import value_class

DISTINCT_ID_LIMIT_BYTES = 200
PROPERTIES_LIMIT_BYTES = 8_192
MAX_PROPERTIES = 50
MAX_GROUPS = 5
"""PostHog knows at most five group types in a project."""

Scalar = str | int | float | bool

ILLEGAL_IDS = frozenset(
    {
        "0", "00000000-0000-0000-0000-000000000000", "[object object]", "anonymous", "anonymous-user", "backend",
        "distinct_id", "distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated", "null",
        "system", "true", "undefined", "user",
    }
)  # fmt: skip
"""PostHog refuses these as distinct ids, in any case: they would merge strangers into one person."""

_PROMPT_VERSION = ("x-prompt-version", "x-prompt-version-id", "metadata.prompt_version_id")
_USER = ("x-posthog-distinct-id", "helicone-user-id", "x-litellm-end-user-id", "body.user")
_TRACE, _TRACE_PARENT = ("x-trace-id", "x-posthog-trace-id"), ("traceparent",)
_TRACE_ELSEWHERE = ("x-portkey-trace-id", "metadata.trace_id")
_RETRIES = ("x-retry-count", "x-stainless-retry-count")
_NUMBERS_READ_ELSEWHERE = ("x-llm-timeout-ms", "x-llm-first-token-timeout-ms", "x-llm-max-retries")
_JSON_PROPERTIES = ("x-posthog-properties", "x-portkey-metadata", "cf-aig-metadata")
_PROPERTY_PREFIXES = ("x-llm-property-", "x-posthog-property-", "helicone-property-")
_FLAG, _FLAG_VARIANT = "x-posthog-flag", "x-posthog-flag-variant"
_GROUPS = "x-posthog-groups"

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:@/+=-]{1,200}")
_PROMPT_HASH = re.compile(r"[A-Za-z0-9._:+/=-]{1,200}")
_SMALL_NUMBER = re.compile(r"[0-9]{1,4}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_FLAG_KEY = re.compile(r"[A-Za-z0-9._-]{1,200}")
_GROUP_TYPE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A proxy key of the configuration; only its hash is known."""

    alias: str
    environment: str | None = None
    allow: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPolicy:
    """How callers are told apart. `hash` hashes every given id with `salt`, or with the secret where there is none."""

    mode: Literal["as_given", "hash", "none"] = "as_given"
    secret: bytes = field(repr=False)
    salt: bytes | None = field(default=None, repr=False)
    prompt_hash_mode: PromptHashMode = "hmac-sha256"
    prompt_hash_ignores_numbers: bool = False
    infers_version: bool = False
    """A call that names no version has the one of its hash, there being nobody who decides on one later."""
    allowed_properties: frozenset[str] = frozenset()
    environment: str = "production"
    allow_environment_header: bool = False
    warns_of_wrappers: bool = True
    """False where no `$ai_…` events are made: then nothing is counted twice."""


@dataclass(frozen=True, slots=True)
class Person:
    """A distinct id as it may leave."""

    distinct_id: str
    is_hashed: bool = False


@dataclass(frozen=True, slots=True)
class ParentSpan:
    """The caller's own span, by its W3C `traceparent`: 32 and 16 hex digits, neither of them all zeros."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        """As the header says it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"


@value_class
class Caller:
    """Everything that headers, key and body say about a call, after validation."""

    distinct_id: str
    trace_id: str
    request_id: str
    is_anonymous: bool = False
    """No id was given: `distinct_id` is that of the trace alone and no person profile is made."""
    distinct_id_hashed: bool = False
    trace_source: TraceSource = TraceSource.NEW
    parent_span: ParentSpan | None = None
    session_id: str | None = None
    environment: str = "production"
    key_alias: str | None = None
    prompt_name: str | None = None
    prompt_version_id: str | None = None
    prompt_version_source: str = "missing"
    prompt_hash: str | None = None
    flags: tuple[tuple[str, str], ...] = ()
    """(flag key, variant) pairs in the order given; asserted by the client."""
    groups: Mapping[str, str] = field(default_factory=dict)
    task_type: str | None = None
    task_id: str | None = None
    agent_config_id: str | None = None
    agent_step_name: str | None = None
    retrieval_config_id: str | None = None
    document_type: str | None = None
    dataset_example_id: str | None = None
    retry_count: int | None = None
    properties: Mapping[str, Scalar] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """`source:reason` for each analytics value that was dropped, and for a PostHog wrapper; each once, at most 20."""


_Told = dict[str, Any]
_Reading = Callable[[Sent, IdentityPolicy], _Told]
"""Of one part of the contract: the fields of a `Caller` of which something good was sent."""


def identify(
    headers: Fields,
    provenance: Provenance,
    key: VirtualKey | None,
    policy: IdentityPolicy,
    *,
    new_trace_id: str,
    new_request_id: str,
) -> Caller:
    """Read who calls and for what. Of the prompt's hash, a header overrides the computed one. Never raises."""
    sent = Sent(headers, provenance)
    if policy.warns_of_wrappers and is_wrapped_by_posthog(headers):
        sent.warn(SOURCE, REASON)
    told: dict[str, Any] = {
        "trace_id": new_trace_id,
        "request_id": new_request_id,
        "environment": (key.environment if key else None) or policy.environment,
        "prompt_hash": provenance.prompt_hash,
    }
    for read in _readings(tuple(sent.values)):
        told |= read(sent, policy)
    if policy.infers_version and "prompt_version_id" not in told and told["prompt_hash"] is not None:
        told |= {"prompt_version_id": inferred_version(told["prompt_hash"]), "prompt_version_source": INFERRED}
    if "distinct_id" not in told:
        told |= {"distinct_id": id_of_trace(told["trace_id"], policy.secret), "is_anonymous": True}
    return Caller(**told, key_alias=key.alias if key else None, warnings=tuple(sent.warnings))


def joined(caller: Caller, trace_id: str, source: TraceSource, secret: bytes) -> Caller:
    """The caller of a call that goes on with a trace; who has no name keeps that of the trace's beginning."""
    distinct_id = id_of_trace(trace_id, secret) if caller.is_anonymous else caller.distinct_id
    return replace(caller, trace_id=trace_id, trace_source=source, distinct_id=distinct_id)


def _trace(sent: Sent, _: IdentityPolicy) -> _Told:
    """The caller's own span, and the trace that it names, and where."""
    told: _Told = {}
    if (value := sent.first(_TRACE_PARENT, _TRACEPARENT)) is not None:
        trace_id, span_id, flags = value.split("-")[1:4]
        span = ParentSpan(trace_id, span_id, is_sampled=bool(int(flags, 16) & 1))
        told = {"parent_span": span, "trace_source": TraceSource.TRACEPARENT, "trace_id": trace_id}
    if (said := sent.first(_TRACE)) is not None:
        return {**told, "trace_source": TraceSource.HEADER, "trace_id": said}
    if not told and (elsewhere := next(sent.each(_TRACE_ELSEWHERE), None)) is not None:
        source, said = elsewhere
        is_header = not source.startswith("metadata.")
        return {"trace_source": TraceSource.HEADER if is_header else TraceSource.BODY, "trace_id": said}
    return told


def _version(sent: Sent, _: IdentityPolicy) -> _Told:
    for source, version in sent.each(_PROMPT_VERSION):
        kind = "body" if source.startswith("metadata.") else "header"
        return {"prompt_version_id": version, "prompt_version_source": kind}
    return {}


def _numbers(sent: Sent, _: IdentityPolicy) -> _Told:
    retries = sent.first(_RETRIES, _SMALL_NUMBER)
    for name in _NUMBERS_READ_ELSEWHERE:
        sent.first((name,), _NUMBER)
    return {"retry_count": int(retries)} if retries else {}


def _environment(sent: Sent, policy: IdentityPolicy) -> _Told:
    asked = sent.first(("x-environment",)) if policy.allow_environment_header else None
    return {} if asked is None else {"environment": asked}


def _person(sent: Sent, policy: IdentityPolicy) -> _Told:
    """The id as it may leave, and whether it was hashed; nothing where none was given or taken."""
    if policy.mode == "none":
        return {}
    for source in _USER:
        for raw in sent.values.get(source, ()):
            given = raw.strip()
            if not given:
                continue
            taken = person_of(given, policy)
            if isinstance(taken, Person):
                return {"distinct_id": taken.distinct_id, "distinct_id_hashed": taken.is_hashed}
            sent.warn(source, taken)
    return {}


def person_of(given: str, policy: IdentityPolicy) -> Person | Reason:
    """The identity rule, for an id that was given, trimmed and not empty; else why it is refused."""
    if not (given.isprintable() or is_safe_text(given)):
        return "control_characters"
    if len(given.encode()) > DISTINCT_ID_LIMIT_BYTES:
        return "too_long"
    if given.lower() in ILLEGAL_IDS:
        return "illegal_id"
    if policy.mode == "hash":
        return Person(hash_identity(given, policy.salt or purpose_key(policy.secret, "identity")), is_hashed=True)
    if looks_like_email(given) or looks_like_secret(given):
        return Person(hash_identity(given, purpose_key(policy.secret, "identity")), is_hashed=True)
    return Person(given)


def id_of_trace(trace_id: str, secret: bytes) -> str:
    """One id for all anonymous calls of a trace, which says nothing and joins nothing else."""
    return f"anon_{hash_identity(trace_id, purpose_key(secret, 'anonymous id'))[:32]}"


def _flags(sent: Sent, _: IdentityPolicy) -> _Told:
    flags: dict[str, str] = {}
    for source, flag, variant in _flags_sent(sent):
        if not _FLAG_KEY.fullmatch(flag) or not variant.strip():
            sent.warn(source, "malformed")
        elif len(flags) >= MAX_FLAGS:
            sent.warn(source, "too_many")
        elif (value := sent.clean(variant, source, limit_chars=OWN_PROPERTY_LIMIT_CHARS)) is not None:
            flags.setdefault(flag, value)
    return {"flags": tuple(flags.items())}


def _flags_sent(sent: Sent) -> Iterator[tuple[str, str, str]]:
    """(source, key, variant) in order of priority. Header names have no case: keys in them are lower-case."""
    for source, value in sent.each(("x-feature-flag",)):
        for pair in filter(None, map(str.strip, value.split(","))):
            flag, _, variant = pair.partition("=")
            yield source, flag.strip(), variant
    yield from sent.prefixed("x-feature-flag-")
    flag_, variant_ = sent.first((_FLAG,)), sent.first((_FLAG_VARIANT,))
    if flag_ is not None or variant_ is not None:
        yield _FLAG, flag_ or "", variant_ or ""
    yield from sent.prefixed("x-posthog-flag-", but=_FLAG_VARIANT)


def _groups(sent: Sent, _: IdentityPolicy) -> _Told:
    groups: dict[str, str] = {}
    for source, value in sent.each((_GROUPS,)):
        for pair in filter(None, map(str.strip, value.split(","))):
            kind, name = (part.strip() for part in pair.partition("=")[::2])
            if not _GROUP_TYPE.fullmatch(kind) or not name or len(name) > OWN_PROPERTY_LIMIT_CHARS:
                sent.warn(source, "malformed")
            elif len(groups) >= MAX_GROUPS:
                sent.warn(source, "too_many")
            else:
                groups.setdefault(kind, name)
    return {"groups": groups}


@lru_cache(maxsize=8)
def _by_header_name(allowed: frozenset[str]) -> dict[str, str]:
    """Header names have no case and seldom underscores: `X-LLM-Property-Ticket-Id` sets `ticket_id`."""
    return {name.lower().replace("-", "_"): name for name in sorted(allowed)}


def _properties(sent: Sent, policy: IdentityPolicy) -> _Told:
    properties: dict[str, Scalar] = {}
    allowed = policy.allowed_properties
    for source, name, value in _properties_sent(sent, allowed):
        if name.startswith("$") or name in RESERVED_NAMES:
            sent.warn(source, "reserved")
        elif name not in allowed:
            sent.warn(source, "not_allowed")
        elif len(properties) >= MAX_PROPERTIES:
            sent.warn(source, "too_many")
        elif (kept := _scalar(sent, source, value)) is not None:
            properties.setdefault(name, kept)
    return {"properties": properties}


def _properties_sent(sent: Sent, allowed: frozenset[str]) -> Iterator[tuple[str, str, object]]:
    yield from _json_properties(sent, _JSON_PROPERTIES[0])
    names = _by_header_name(allowed)
    for prefix in _PROPERTY_PREFIXES:
        for source, rest, value in sent.prefixed(prefix):
            yield source, names.get(rest.replace("-", "_"), rest), value
    for source in _JSON_PROPERTIES[1:]:
        yield from _json_properties(sent, source)


def _json_properties(sent: Sent, source: str) -> Iterator[tuple[str, str, object]]:
    for raw in sent.values.get(source, ()):
        if len(raw.encode(errors="surrogatepass")) > PROPERTIES_LIMIT_BYTES:
            sent.warn(source, "too_long")
            continue
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError:
            parsed = None
        if isinstance(parsed, dict):
            yield from ((source, name, value) for name, value in parsed.items())
        else:
            sent.warn(source, "malformed")


def _scalar(sent: Sent, source: str, value: object) -> Scalar | None:
    if isinstance(value, str):
        return sent.clean(value, source, limit_chars=OWN_PROPERTY_LIMIT_CHARS)
    if isinstance(value, bool | int | float):
        return value
    if value is not None:
        sent.warn(source, "not_scalar")
    return None


def _text(field_name: str, *sources: str, form: re.Pattern[str] | None = None) -> tuple[tuple[str, ...], _Reading]:
    """A row whose value is taken as it is."""

    def read(sent: Sent, _: IdentityPolicy) -> _Told:
        value = sent.first(sources, form)
        return {} if value is None else {field_name: value}

    return sources, read


_ROWS: tuple[tuple[tuple[str, ...], _Reading], ...] = (
    ((*_TRACE, *_TRACE_PARENT, *_TRACE_ELSEWHERE), _trace),
    (_USER, _person),
    (_PROMPT_VERSION, _version),
    _text("prompt_hash", "x-prompt-hash", form=_PROMPT_HASH),
    ((*_RETRIES, *_NUMBERS_READ_ELSEWHERE), _numbers),
    _text("request_id", "x-request-id", form=_REQUEST_ID),
    _text("session_id", "x-posthog-session-id", "helicone-session-id"),
    (("x-environment",), _environment),
    _text("prompt_name", "x-prompt-name", "helicone-prompt-id", "metadata.prompt_name"),
    (("x-feature-flag", _FLAG), _flags),
    ((_GROUPS,), _groups),
    _text("task_type", "x-task-type"),
    _text("task_id", "x-task-id"),
    _text("agent_config_id", "x-agent-config"),
    _text("agent_step_name", "x-agent-step"),
    _text("retrieval_config_id", "x-retrieval-config"),
    _text("document_type", "x-document-type"),
    _text("dataset_example_id", "x-dataset-example"),
    ((*_JSON_PROPERTIES, *_PROPERTY_PREFIXES), _properties),
)
"""The contract: in which sources, by how their names begin, something may be said, and what is read of it."""


@lru_cache(maxsize=MOST_SETS)
def _readings(sources: tuple[str, ...]) -> tuple[_Reading, ...]:
    """For the sources in which a call says something: three or four rows of twenty, and always by the same names."""
    return tuple(read for begins, read in _ROWS if any(source.startswith(begins) for source in sources))
