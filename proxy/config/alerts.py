"""alerts.yaml: what is looked at now and then, and who is told; as it is written, and the policy made of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from proxy.config.addresses import webhook_address
from proxy.config.document import Document
from proxy.config.fields import EnvName, Name, Section
from proxy.config.problems import Path, shown_variable
from proxy.domain.alerts import LONGEST_WINDOW_S, TRAITS, AlertPolicy, Metric, Rule

Wanted = Annotated[str, Field(min_length=1, max_length=200)]
_TRACE_PAGE = "/ui/traces/{trace_id}"


class WhereSection(Section):
    """The calls that a rule looks at: those of which all of this holds."""

    environment: Wanted | None = None
    """As the call's events name it."""
    prompt: Wanted | None = None
    """The prompt's name."""
    model: Wanted | None = None
    """The model that was asked, not the alias."""
    provider: Wanted | None = None
    """As the call's events name it: `openai`, `anthropic` and so on."""
    key: Wanted | None = None
    """The proxy key, by its alias."""


class AlertRuleSection(Section):
    """One thing that is watched."""

    metric: Literal["error_rate", "cost_usd", "latency_ms", "ttft_ms", "prompt_drift", "dropped_events"]
    """`error_rate`: the share of calls that failed; `cost_usd`: what the window's calls cost together; `latency_ms` and
    `ttft_ms`: a quantile of successful calls; `prompt_drift`: how often a version ran with another text;
    `dropped_events`: events that were lost."""
    above: Annotated[Decimal, Field(ge=0, le=1_000_000_000)] | None = None
    """Fires above it, in the metric's unit; shares in fractions: 0.05 is 5 %. Default: 0 for `prompt_drift` and
    `dropped_events`; others need it."""
    times_usual: Annotated[Decimal, Field(ge=1, le=1_000)] | None = None
    """Fires only where it is also above so many times the number of the day before; where that has too few calls,
    `above` alone counts."""
    window_s: Annotated[Decimal, Field(ge=10, le=LONGEST_WINDOW_S, title="seconds")] = Decimal(600)
    """Over how long the number is taken, up to now."""
    min_calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """With fewer calls in the window nothing is said. Default: 20; for `cost_usd` none."""
    quantile: Annotated[Decimal, Field(gt=0, lt=1)] | None = None
    """Of `latency_ms` and `ttft_ms`. Default: 0.95."""
    where: WhereSection = WhereSection()
    """Only some of the calls. Default: all."""


class WebhookSection(Section):
    """Who is told when an alert fires and when it is over: one address, which gets a small JSON document that Slack
    understands."""

    elsewhere = dict.fromkeys(("url", "address", "webhook_url"), "an environment variable, which `url_env` names")

    url_env: EnvName
    """The environment variable with the address, which is a secret: https, or http to this machine."""


class AlertsFile(Section):
    """What is looked at now and then, and who is told."""

    elsewhere = dict.fromkeys(("providers", "models", "keys", "limits"), "routing.yaml") | dict.fromkeys(
        ("environment", "posthog", "events"), "analytics.yaml"
    )

    version: Literal[1]
    """Of the file's format."""
    every_s: Annotated[Decimal, Field(ge=1, le=3_600, title="seconds")] = Decimal(60)
    """Between two looks."""
    webhook: WebhookSection | None = None
    """Who is told. Default: PostHog alone, by events."""
    rules: Annotated[dict[Name, AlertRuleSection], Field(max_length=100)] = Field(default_factory=dict)
    """By name, which stands in messages and events."""


def compile_alerts(document: Document, file: AlertsFile, trace_url: str | None, env: Mapping[str, str]) -> AlertPolicy:
    """The policy; problems go to the document. `trace_url` tells where the pages are."""
    rules = [_rule(document, ("rules", name), name, section) for name, section in file.rules.items()]
    pages, is_ours, _ = (trace_url or "").partition(_TRACE_PAGE)
    return AlertPolicy(
        rules=tuple(rules),
        every_s=float(file.every_s),
        webhook_url=None if file.webhook is None else _webhook(document, file.webhook, env),
        pages_url=pages if is_ours else None,
    )


def _rule(document: Document, path: Path, name: str, section: AlertRuleSection) -> Rule:
    metric = Metric(section.metric)
    trait = TRAITS[metric]
    above = trait.above if section.above is None else float(section.above)
    where = {key: value for key, value in section.where.model_dump().items() if value is not None}
    if above is None:
        document.report(path, f"`{metric}` needs `above`, the number from which on it is too much")
    if metric is Metric.ERROR_RATE and above is not None and above >= 1:
        document.report((*path, "above"), "this is a share and never above 1; for 5 % write 0.05")
    if section.quantile is not None and not trait.is_quantile:
        document.report((*path, "quantile"), "only `latency_ms` and `ttft_ms` are quantiles")
    if trait.min_calls is None:
        for key in ("min_calls", "times_usual"):
            if getattr(section, key) is not None:
                document.report((*path, key), f"`{metric}` counts what should not happen at all; take this out")
    if where and not trait.is_of_calls:
        document.report((*path, "where"), f"`{metric}` is one number for all calls; take this out")
    return Rule(
        name=name,
        metric=metric,
        above=above or 0.0,
        times_usual=None if section.times_usual is None else float(section.times_usual),
        window_s=float(section.window_s),
        min_calls=(trait.min_calls or 0) if section.min_calls is None else section.min_calls,
        quantile=0.95 if section.quantile is None else float(section.quantile),
        where=where,
    )


def _webhook(document: Document, section: WebhookSection, env: Mapping[str, str]) -> str | None:
    """The address, or None with its problem reported, which does not quote it."""
    path, variable = ("webhook", "url_env"), f"the environment variable {shown_variable(section.url_env)}"
    text = env.get(section.url_env, "").strip()
    if not text:
        document.report(path, f"{variable} is not set or empty")
        return None
    try:
        return webhook_address(text)
    except ValueError as error:
        document.report(path, f"{variable} cannot be used: {error}")
        return None
