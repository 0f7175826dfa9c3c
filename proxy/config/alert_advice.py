"""What alert rules say and probably do not mean: calls that there are not, and alerts that reach nobody."""

from collections.abc import Iterator

from proxy.config.configuration import Configuration
from proxy.config.problems import Path
from proxy.config.wording import unknown
from proxy.domain.alerts import Rule

Said = Iterator[tuple[Path, str]]


def advise_alerts(configuration: Configuration) -> Said:
    """Place and message of each, in the order of the file."""
    policy = configuration.alerts
    if policy.rules and policy.webhook_url is None and configuration.destination.api_key is None:
        yield ("rules",), "nobody is told: name a `webhook`, or set POSTHOG_API_KEY for events"
    for rule in policy.rules:
        if rule.window_s < policy.every_s:
            message = f"looks are {policy.every_s:g} s apart: what happens between two windows is not seen"
            yield ("rules", rule.name, "window_s"), message
        yield from _where(rule, configuration)


def _where(rule: Rule, configuration: Configuration) -> Said:
    path: Path = ("rules", rule.name, "where")
    key, environment, model = (rule.where.get(name) for name in ("key", "environment", "model"))
    aliases = [entry.key.alias for entry in configuration.keys]
    if key is not None and key not in aliases:
        yield (*path, "key"), unknown("proxy key", key, aliases)
    if environment is not None and not configuration.analytics.environment_header:
        known = {configuration.analytics.environment, *(entry.key.environment for entry in configuration.keys)} - {None}
        if environment not in known:
            yield (*path, "environment"), unknown("environment", environment, sorted(filter(None, known)))
    if model is not None and (leads_to := _models_of(model, configuration)):
        message = f"this is an alias, and calls are told by the model that it leads to: {', '.join(leads_to)}"
        yield (*path, "model"), message


def _models_of(name: str, configuration: Configuration) -> list[str]:
    """The models to which an alias leads; none where it is no alias, or leads to a model of its own name."""
    for route in configuration.routing.routes:
        if route.pattern == name:
            chosen = route.rollout.targets.values() if route.rollout else route.targets
            models = [target.model or name for target in (*chosen, *route.fallback)]
            return [] if name in models else list(dict.fromkeys(models))
    return []
