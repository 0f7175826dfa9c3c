"""Whose content is kept: `capture:` of analytics.yaml, and of models and keys in routing.yaml."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from proxy.config.document import Document
from proxy.config.fields import Bytes, Matching, Section
from proxy.domain.capture import CapturePolicy, CaptureRule, Level
from proxy.domain.content_key import VARIABLE, BadKey, keys_of
from proxy.domain.linear_patterns import BadPattern
from proxy.domain.redaction import checked

_DAY_S = 86_400

Content = Literal["none", "tools", "full"]
Share = Annotated[Decimal, Field(ge=0, le=1)]
RuleName = Annotated[
    str, Matching("name", r"[a-z][a-z0-9_]{0,31}", "use small letters, digits and `_`, at most 32, a letter first")
]
Pattern = Annotated[str, Field(min_length=1, max_length=1_000, title="RE2 pattern")]


class CaptureRuleSection(Section):
    """Content of these calls. What is not said is as in analytics.yaml."""

    content: Content
    """`none`, `tools` (what tools were asked and answered) or `full`. Where a route and a key both say, the one that
    keeps less counts."""
    sample: Share | None = None
    """The share of traces, from 0 to 1."""
    on_error_only: bool | None = None
    """Only of calls that did not end well."""
    max_bytes: Bytes | None = None
    """The most that is kept of a request, and of a reply."""


class KeepSection(Section):
    """How long content is kept. What is beyond either bound is deleted within a minute or so."""

    max_bytes: Bytes = CapturePolicy().store_max_bytes
    """The most, encrypted, of all workers together; the oldest makes room."""
    max_age_days: Annotated[Decimal, Field(gt=0, le=3650, title="days")] = Decimal(7)
    """The longest."""


class CaptureSection(Section):
    """Content of calls, for the page of a trace. Nothing is kept unless this, a model or a key says so. Kept content is
    redacted, and encrypted with PROMPTLANE_CONTENT_KEY; it never leaves in an event, and in a span only by `otel`."""

    content: Content = "none"
    """What is kept of calls of which neither their model nor their key says it: `none`, `tools` (what tools were asked
    and answered) or `full`."""
    sample: Share = Decimal(1)
    """The share of traces, from 0 to 1."""
    on_error_only: bool = False
    """Only of calls that did not end well."""
    max_bytes: Bytes = CaptureRule().max_bytes
    """The most that is kept of a request, and of a reply."""
    header: Literal["narrow", "widen"] = "narrow"
    """What a caller's `X-LLM-Capture-Content` may do: `narrow` leaves content out, `widen` may also ask for all of
    it."""
    redact: tuple[Literal["keys", "emails", "cards"], ...] = ("keys", "emails")
    """Built-in rules: API keys and tokens, e-mail addresses, numbers of payment cards."""
    patterns: dict[RuleName, Pattern] = Field(default_factory=dict)
    """Rules of your own: what a pattern of RE2 finds is replaced by the rule's name."""
    keep: KeepSection = KeepSection()
    """How long content is kept."""


def compile_capture(
    analytics: Document,
    section: CaptureSection,
    routing: Document,
    models: Mapping[str, CaptureRuleSection | None],
    keys: Mapping[str, CaptureRuleSection | None],
    env: Mapping[str, str],
) -> CapturePolicy:
    """The policy; problems go to the documents. `models` are in order of precedence, `keys` by alias."""
    base = CaptureRule(
        level=Level(section.content),
        sample=float(section.sample),
        on_error_only=section.on_error_only,
        max_bytes=section.max_bytes,
    )
    policy = CapturePolicy(
        rule=base,
        routes=tuple((pattern, _rule(rule, base)) for pattern, rule in models.items()),
        keys={alias: made for alias, rule in keys.items() if (made := _rule(rule, base)) is not None},
        header_widens=section.header == "widen",
        redact=section.redact,
        patterns=section.patterns,
        store_max_bytes=section.keep.max_bytes,
        store_max_age_s=float(section.keep.max_age_days * _DAY_S),
    )
    for name, why in _bad_patterns(section):
        analytics.report(("capture", "patterns", name), f"this is no pattern for a rule: {why}")
    if policy.is_wanted and (problem := _key_problem(env)) is not None:
        if section.content != "none":
            analytics.report(("capture", "content"), problem)
        elif policy.header_widens:
            analytics.report(("capture", "header"), problem)
        else:
            routing.report(_where(models), problem)
    return policy


def _where(models: Mapping[str, CaptureRuleSection | None]) -> tuple[str, ...]:
    """Who wants content, of routing.yaml."""
    wanting = [pattern for pattern, rule in models.items() if rule is not None and rule.content != "none"]
    return ("models", wanting[0], "capture") if wanting else ("keys",)


def _rule(section: CaptureRuleSection | None, base: CaptureRule) -> CaptureRule | None:
    if section is None:
        return None
    return CaptureRule(
        level=Level(section.content),
        sample=base.sample if section.sample is None else float(section.sample),
        on_error_only=base.on_error_only if section.on_error_only is None else section.on_error_only,
        max_bytes=section.max_bytes or base.max_bytes,
    )


def _bad_patterns(section: CaptureSection) -> Iterator[tuple[str, str]]:
    for name, pattern in section.patterns.items():
        try:
            checked(pattern)
        except BadPattern as error:
            yield name, str(error)


def _key_problem(env: Mapping[str, str]) -> str | None:
    try:
        keys_of(env.get(VARIABLE, ""))
    except BadKey as error:
        return f"content is kept encrypted only, and {VARIABLE} {error}; `openssl rand -base64 32` prints a key for it"
    return None
