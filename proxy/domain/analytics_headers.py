"""The analytics headers: which names are ours, and how their values are read and refused.

What a client may say in a header it may also say in the body; both are read here under one name for the source
(`x-prompt-name`, `metadata.prompt_name`, `body.user`). A value that is not good counts as not sent and leaves a
warning made of the source's name and a reason, both from closed lists, so that no value is ever repeated.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from proxy.domain.fields import MOST_SETS, Fields, Names
from proxy.domain.privacy import is_safe_text, looks_like_secret
from proxy.domain.provenance import Provenance

VALUE_LIMIT_CHARS = 1_000
MAX_WARNINGS = 20

Reason = Literal[
    "control_characters",
    "too_long",
    "secret",
    "illegal_id",
    "malformed",
    "not_allowed",
    "reserved",
    "not_scalar",
    "too_many",
    "posthog_wrapper",
]


_ANALYTICS_NAMES = frozenset(
    {
        "helicone-prompt-id", "helicone-user-id", "helicone-session-id", "helicone-omit-request",
        "helicone-omit-response", "x-litellm-end-user-id", "x-litellm-enable-message-redaction",
        "x-portkey-trace-id", "x-portkey-metadata", "cf-aig-metadata", "x-trace-id", "x-request-id", "x-task-type",
        "x-task-id", "x-agent-config", "x-agent-step", "x-retrieval-config", "x-document-type", "x-dataset-example",
        "x-retry-count", "x-environment", "traceparent", "tracestate", "baggage",
    }
)  # fmt: skip
_ANALYTICS_PREFIXES = (
    "x-posthog-",
    "x-prompt-",
    "x-promptlane-",
    "x-feature-flag",
    "x-llm-",
    "helicone-property-",
)


def is_analytics_header(name: str) -> bool:
    """True for a header that is ours and must not reach a provider. Any case."""
    lower = name.lower()
    return lower in _ANALYTICS_NAMES or lower.startswith(_ANALYTICS_PREFIXES)


_Places = tuple[tuple[str, int], ...]


@lru_cache(maxsize=MOST_SETS)
def _sources(names: Names) -> tuple[_Places, _Places]:
    """(lower-case name, position) of each field in which something may be said, and of those that repeat one."""
    said = [
        (name, position)
        for position, name in enumerate(names.lower)
        if is_analytics_header(name) or name == "x-stainless-retry-count"
    ]
    first = tuple(place for place in said if names.at[place[0]] == place[1])
    return first, tuple(place for place in said if place not in first)


class Sent:
    """What the client sent, by source, and the warnings about it. Header sources are lower-case names."""

    def __init__(self, headers: Fields, provenance: Provenance) -> None:
        values = headers.values
        first, repeated = _sources(headers.names)
        self.values: dict[str, list[str]] = {name: [values[position]] for name, position in first}
        for name, position in repeated:
            self.values[name].append(values[position])
        self.warnings: dict[str, None] = {}
        for key, value in provenance.metadata.items():
            self.values[f"metadata.{key}"] = [value]
        if provenance.user is not None:
            self.values["body.user"] = [provenance.user]

    def warn(self, source: str, reason: Reason) -> None:
        """Note that a value was dropped; said once, however often it happened."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings[f"{source}:{reason}"] = None

    def first(self, sources: tuple[str, ...], form: re.Pattern[str] | None = None) -> str | None:
        """The first clean value, and of that form, where one is asked for."""
        for source in sources:
            for raw in self.values.get(source, ()):
                value = self.clean(raw, source)
                if value is None:
                    continue
                if form is None or form.fullmatch(value):
                    return value
                self.warn(source, "malformed")
        return None

    def each(self, sources: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """(source, value) for each clean value, in order of priority."""
        for source in sources:
            for raw in self.values.get(source, ()):
                value = self.clean(raw, source)
                if value is not None:
                    yield source, value

    def clean(self, raw: str, source: str, *, limit_chars: int = VALUE_LIMIT_CHARS) -> str | None:
        """The value trimmed, or None where it is empty, unsafe, too long or a secret."""
        value = raw.strip()
        if not value:
            return None
        if len(value) <= limit_chars and value.isprintable() and not looks_like_secret(value):
            return value  # as nearly always; why not is asked where it is needed
        reason = reason_to_refuse(value, limit_chars)
        if reason is not None:
            self.warn(source, reason)
            return None
        return value

    def prefixed(self, prefix: str, *, but: str = "") -> Iterator[tuple[str, str, str]]:
        """(source, rest of the name, raw value) for headers whose names begin so; the source is the prefix alone."""
        for name, values in self.values.items():
            if name.startswith(prefix) and name != but:
                for value in values:
                    yield prefix.removesuffix("-"), name[len(prefix) :], value


def reason_to_refuse(value: str, limit_chars: int = VALUE_LIMIT_CHARS) -> Reason | None:
    """Why a trimmed value may not be kept, or None."""
    if len(value) > limit_chars:
        return "too_long"
    if not is_safe_text(value):
        return "control_characters"
    if looks_like_secret(value):
        return "secret"
    return None
