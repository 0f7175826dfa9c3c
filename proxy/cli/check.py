"""`promptlane check`: read the configuration as `serve` would, and say what is wrong or what would run."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from proxy.cli.serve import problems_of_variables
from proxy.config import ConfigError, Configuration, Places, Problem, find_places
from proxy.config.advice import advise
from proxy.config.load import load
from proxy.config.rollout_advice import advise_rollouts
from proxy.domain.price_book import PriceRule
from proxy.domain.pricing import cost_of
from proxy.domain.prompts import ManagedPrompt
from proxy.domain.routing import Route, TargetRollout
from proxy.domain.usage import Usage

_EXAMPLE = Usage(input_tokens=1000, output_tokens=500)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "check",
        help="check the configuration and say what would run",
        description="Read the configuration as `serve` would. Prints what would run and what to look at again (exit "
        "code 0), or every problem as FILE:LINE:COLUMN: KEY: what to do (exit code 2).",
    )
    parser.add_argument(
        "--config", metavar="DIR", help="folder of routing, analytics, prompts and alerts.yaml (default: config/)"
    )
    parser.add_argument("--pricing", metavar="FILE", help="your prices (default: pricing.yaml)")
    parser.add_argument(
        "--data", metavar="DIR", help="data folder, for the flag definitions that were fetched last (default: data/)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every problem (2), or a summary and what looks like a slip (0)."""
    configuration, problems, warnings = None, list[Problem](), list[Problem]()
    try:
        places = find_places(os.environ, config=args.config, pricing=args.pricing, data=args.data)
        configuration = load(places.config_dir, places.pricing_file, os.environ)
        warnings = advise(configuration, os.environ, datetime.now(UTC).date())
        if configuration.flags:
            warnings += _about_flags(configuration, places)
    except ConfigError as error:
        problems = list(error.problems)
    if refused := list(problems_of_variables(os.environ)):
        configuration, problems = None, problems + refused
    if args.json:
        print(_as_json(configuration, problems, warnings))
    else:
        for line in summary(configuration) if configuration else ():
            print(line)
        for line in [*map(str, problems), *(warning.line_of("warning") for warning in warnings)]:
            print(line, file=sys.stderr)
    return 2 if problems else 0


def _about_flags(configuration: Configuration, places: Places) -> list[Problem]:
    from proxy.app.flags import kept_definitions

    return advise_rollouts(configuration, os.environ, kept_definitions(configuration, places.data_dir))


def _as_json(configuration: Configuration | None, problems: list[Problem], warnings: list[Problem]) -> str:
    told = {
        "valid": configuration is not None,
        "digest": configuration.digest if configuration else None,
        "problems": [_fields(problem) for problem in problems],
        "warnings": [_fields(warning) for warning in warnings],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _fields(problem: Problem) -> dict[str, str | int | None]:
    """The parts of a line; null where the place is a file or a variable as a whole."""
    place = {"file": problem.file, "line": problem.line or None, "column": problem.column or None}
    return {**place, "path": problem.path, "message": problem.message}


def summary(configuration: Configuration) -> Iterator[str]:
    """What would run, one fact to a line; no secret in any."""
    yield f"configuration {configuration.digest} is valid"
    yield from _routing(configuration)
    yield from map(_prompt, configuration.prompts.prompts.values())
    destination, analytics = configuration.destination, configuration.analytics
    yield f"events        {destination.host if destination.api_key else 'stay local: POSTHOG_API_KEY is not set'}"
    yield f"environment   {analytics.environment}"
    if configuration.alerts.rules:
        yield f"alerts        {', '.join(rule.name for rule in configuration.alerts.rules)}; {_told(configuration)}"
    if analytics.versions.demand != "observe":
        yield f"versions      calls that name none: {analytics.versions.demand}"
    signals = {"traces": analytics.telemetry.traces, "metrics": analytics.telemetry.metrics}
    if wanted := [name for name, is_wanted in signals.items() if is_wanted]:
        content = ", with the content that is kept" if analytics.telemetry.content else ""
        yield f"telemetry     {' and '.join(wanted)} go to an OpenTelemetry collector{content}"
    yield f"prices        {configuration.prices.version}, {len(configuration.prices.rules)} of your own"
    for rule in configuration.prices.rules:
        yield f"  {rule.provider} {rule.model}: {_example(rule)}"


def _routing(configuration: Configuration) -> Iterator[str]:
    for provider in configuration.routing.providers.values():
        credentials = "the proxy's key" if provider.api_key else "the caller's key"
        yield f"provider      {provider.name} ({provider.kind}) {provider.base_url}, {credentials}"
    for route in configuration.routing.routes:
        targets = _chosen(route.rollout) if route.rollout else _drawn(route)
        fallback = "".join(f" then {target.label}" for target in route.fallback)
        yield f"model         {route.pattern} → {targets}{fallback}"
        yield from _quality(route)
    for dialect, default in configuration.routing.defaults.items():
        yield f"other models  {dialect.value} → {default.name if default else 'refused'}"
    yield f"proxy keys    {', '.join(entry.key.alias for entry in configuration.keys) or 'none'}"


def _told(configuration: Configuration) -> str:
    listeners = [
        *(("PostHog",) if configuration.destination.api_key else ()),
        *(("a webhook",) if configuration.alerts.webhook_url else ()),
    ]
    return f"told to {' and '.join(listeners) or 'nobody'}"


def _quality(route: Route) -> Iterator[str]:
    """What is wanted of its calls, and looked at in its answers."""
    if route.demand is not None:
        yield f"  calls that name no prompt version: {route.demand}"
    if route.checks:
        yield f"  answers are checked: {', '.join(check.name for check in route.checks)}"
    for judge in route.judges:
        yield (
            f"  answers are judged: {judge.name} by {judge.model}, {judge.sample:.3g} of them, at most"
            f" {judge.per_minute:g} a minute; question and answer go there"
        )


def _prompt(prompt: ManagedPrompt) -> str:
    """Who gets which version; a version that nobody gets is not among them."""
    split = prompt.rollout.split if prompt.rollout else None
    if prompt.rollout is None:
        return f"prompt        {prompt.name} → {prompt.default} ({prompt.mode})"
    shares = {variant: f"{share:g} %" for variant, share in split.shares} if split else {}
    versions = ", ".join(
        f"{shares.get(variant, variant)}: {version}"
        for variant, version in prompt.variants.items()
        if not split or variant in shares
    )
    by = "split" if split else "flag"
    return (
        f"prompt        {prompt.name} → {versions} by {by} {prompt.rollout.flag}, else {prompt.default} ({prompt.mode})"
    )


def _drawn(route: Route) -> str:
    return ", ".join(f"{target.label}×{target.weight}" for target in route.targets)


def _chosen(choice: TargetRollout) -> str:
    """Each variant with its target, and who decides."""
    rollout = choice.rollout
    shares = {variant: f" {share:g} %" for variant, share in rollout.split.shares} if rollout.split else {}
    variants = ", ".join(f"{name}{shares.get(name, '')}: {target.label}" for name, target in choice.targets.items())
    return f"{variants} by {'split' if rollout.split else 'flag'} {rollout.flag}, else {rollout.default}"


def _example(rule: PriceRule) -> str:
    """A worked price, so that a slip of the unit is seen."""
    newest = rule.prices[0]
    if newest.is_free:
        return "free"
    total_usd = cost_of(_EXAMPLE, newest, "").total_usd
    amount = "no token price" if total_usd is None else f"{total_usd.quantize(Decimal('0.000001'))} USD"
    return f"1,000 input and 500 output tokens cost {amount}"
