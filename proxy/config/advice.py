"""What a valid configuration says and probably does not mean: slips that fail nothing and that only the whole shows."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import chain
from urllib.parse import urlsplit

from proxy.config.alert_advice import advise_alerts
from proxy.config.configuration import Configuration
from proxy.config.document import Document
from proxy.config.load import parse_files
from proxy.config.presets import PRESETS
from proxy.config.problems import Path, Problem
from proxy.config.prompt_lock import unlocked
from proxy.config.routing_table import preset_of_host
from proxy.config.variables import OURS, VARIABLES
from proxy.config.wording import nearest
from proxy.domain.globs import is_glob, matches
from proxy.domain.price_doubts import doubts
from proxy.domain.prompts import PromptVersion, odd_braces, variables_in
from proxy.domain.routing import Provider, Route, RoutingTable, Timeouts, route_of

Said = Iterator[tuple[Path, str]]
_TELL_THEIR_COST = frozenset({"openrouter", "perplexity", "xai", "deepinfra"})
"""Hosts whose replies say what the call cost, by label; `providers/openai_usage.py` reads it."""

_SHORTEST_TOKEN_CHARS = 16


def advise(configuration: Configuration, env: Mapping[str, str], today: date) -> list[Problem]:
    """Everything to look at again, in the order of the files. `today` tells which days of prices are far ahead."""
    routing, analytics, pricing, prompts, alerts = parse_files(configuration.files, env)
    return sorted(
        [
            *_placed(
                routing, _providers(configuration, routing), _models(configuration, routing), _keys(configuration)
            ),
            *_placed(analytics, _analytics(configuration, analytics)),
            *_placed(pricing, _prices(configuration)),
            *_placed(prompts, _prompts(configuration)),
            *_placed(alerts, advise_alerts(configuration)),
            *_placed(Document(file="environment"), _environment(configuration, env)),
            *_doubts(configuration, today),
        ]
    )


def _placed(document: Document, *said: Said) -> list[Problem]:
    for path, message in chain(*said):
        document.report(path, message)
    return document.problems


def _judging(table: RoutingTable) -> set[str]:
    """Names of the providers that judges are asked of, which takes no proxy key."""
    models = [judge.model for route in table.routes for judge in route.judges]
    routes = [route for model in models if (route := route_of(table, model)) is not None]
    return {target.provider.name for route in routes for target in (*route.targets, *route.fallback)}


def _providers(configuration: Configuration, document: Document) -> Said:
    table = configuration.routing
    routed = [target.provider for route in table.routes for target in (*route.targets, *route.fallback)]
    used = {provider.name for provider in (*routed, *table.defaults.values()) if provider}
    if not table.providers:
        yield ("providers",), "every call is refused; leave `providers` out to reach openai, anthropic and gemini"
    for name, provider in table.providers.items():
        path: Path = ("providers", name)
        if path in document.places and name not in used:
            yield path, "no model and no default_provider leads here; name it there, or take it out"
        if provider.api_key is not None and not configuration.keys and name not in _judging(table):
            yield (*path, "key_env"), "nobody can use it: callers need a proxy key; add one with `promptlane keys new`"
        if provider.include_usage == "never" and provider.label in ("openai", "azure_openai"):
            yield (*path, "include_usage"), "this host tells a stream's tokens only when asked; they will be estimates"
        if (message := _doubtful_address(provider)) is not None:
            yield (*path, "base_url"), message
        yield from _timeouts((*path, "timeouts"), provider.timeouts, document)


def _doubtful_address(provider: Provider) -> str | None:
    known, parts = preset_of_host(provider.base_url), urlsplit(provider.base_url)
    path = parts.path
    if (parts.hostname or "").endswith(".openai.azure.com") and not path.endswith("/openai/v1"):
        return f"Azure takes these calls at {parts.scheme}://{parts.netloc}/openai/v1"
    if provider.kind == "gemini" and path.endswith("/v1beta"):
        return "leave /v1beta off: callers send it"
    if known and known.base_url and known.kind == provider.kind and not path and urlsplit(known.base_url).path:
        return f"calls to this host go to {known.base_url}"
    return None


def _timeouts(path: Path, timeouts: Timeouts, document: Document) -> Said:
    bounded_s = {"connect_s": timeouts.connect_s, "first_byte_s": timeouts.first_byte_s, "idle_s": timeouts.idle_s}
    for key, value_s in bounded_s.items():
        if timeouts.total_s is not None and value_s > timeouts.total_s and (*path, key) in document.places:
            yield (*path, key), "it has no effect: it is longer than `total_s`"


def _models(configuration: Configuration, document: Document) -> Said:
    for route in configuration.routing.routes:
        path: Path = ("models", route.pattern)
        if unpriced := ", ".join(dict.fromkeys(_unpriced(configuration, route))):
            yield (
                path,
                f"no price for {unpriced}: add one, or `free: true`, to pricing.yaml, unless the provider reports it",
            )
        if route.retries.max == 0 and (*path, "retries", "on") in document.places:
            yield (*path, "retries"), "`on` has no effect while `max` is 0"
        yield from _fallback((*path, "fallback"), route)


def _fallback(path: Path, route: Route) -> Said:
    """A target that is drawn always is no fallback of its own."""
    for index, target in enumerate(route.fallback):
        if [each.label for each in route.targets] == [target.label]:
            yield (*path, index), "it has no effect: it is the target itself; for another attempt, set `retries`"


def _unpriced(configuration: Configuration, route: Route) -> Iterator[str]:
    """Of the targets whose model is known before a call, those without a price on any day; Azure's names are its
    customers' own, and its replies tell the model."""
    for target in (*route.targets, *route.fallback):
        provider, model = target.provider, target.model or route.pattern
        if provider.kind == "azure_openai" or provider.label in _TELL_THEIR_COST or is_glob(model):
            continue
        if not configuration.prices.find(provider.label, provider.name, model, date.max):
            yield f"{provider.name}/{model}"


def _keys(configuration: Configuration) -> Said:
    table = configuration.routing
    if configuration.keys and all(provider.api_key is None for provider in table.providers.values()):
        yield ("keys",), "all providers take the caller's own key: who sends a proxy key alone is refused there"
    if any(table.defaults.values()):
        return
    for index, entry in enumerate(configuration.keys):
        for at, pattern in enumerate(entry.key.allow):
            if not any(matches(pattern, route.pattern) or matches(route.pattern, pattern) for route in table.routes):
                yield (
                    ("keys", index, "allow", at),
                    "it allows nothing: no model matches, and no default_provider is left",
                )


def _analytics(configuration: Configuration, document: Document) -> Said:
    policy = configuration.analytics
    if not policy.families.product and not policy.families.ai:
        yield ("families",), "no event is made at all"
    salt: Path = ("identity", "salt_env")
    if policy.identity_mode != "hash" and salt in document.places:
        yield salt, "it has no effect while `mode` is not hash"
    if policy.telemetry.content and not configuration.capture.is_wanted:
        yield ("otel", "content"), "nothing is kept that spans could tell; `capture` says of which calls it is"
    yield from _outcomes(configuration)


def _outcomes(configuration: Configuration) -> Said:
    policy = configuration.analytics.outcomes
    if policy.origins and policy.feedback_token_s is None and not policy.publishable_keys:
        yield ("outcomes", "origins"), "their pages need `feedback_token_hours` or a publishable key too"
    aliases = {entry.key.alias for entry in configuration.keys}
    for index, published in enumerate(policy.publishable_keys):
        if aliases and published.alias not in aliases:
            yield ("outcomes", "publishable_keys", index, "alias"), "no key of routing.yaml has this alias"


def _prices(configuration: Configuration) -> Said:
    table = configuration.routing.providers
    known = {*configuration.prices.table, *table, *(provider.label for provider in table.values())}
    for index, rule in enumerate(configuration.prices.rules):
        if not any(matches(rule.provider, name) for name in known):
            near = nearest(rule.provider, known)
            hint = f"; did you mean `{near}`?" if near else ""
            yield ("models", index, "match"), f"no provider of routing.yaml and no vendor has this name{hint}"


def _prompts(configuration: Configuration) -> Said:
    book, locked = configuration.prompts, configuration.locked
    if book and not locked:
        yield (
            ("prompts",),
            "nothing keeps versions as they are; run `promptlane prompts lock`, and commit prompts.lock",
        )
    for prompt, version_id in unlocked(book, locked) if locked else ():
        yield (
            ("prompts", prompt, "versions", version_id),
            "it is not in prompts.lock; run `promptlane prompts lock`",
        )
    for name, each in book.prompts.items():
        used = {variable for version in each.versions.values() for variable in variables_in(version.text or "")}
        for variable in each.variables.keys() - used:
            yield ("prompts", name, "variables", variable), "no version's text uses it"
        for version_id, version in each.versions.items():
            yield from _version(("prompts", name, "versions", version_id), version, configuration)


def _version(path: Path, version: PromptVersion, configuration: Configuration) -> Said:
    if odd := odd_braces(version.text or ""):
        yield (*path, version.role), f"this is text and no variable: {', '.join(odd[:3])}; a variable is {{{{name}}}}"
    if version.model is not None and not any(
        matches(each.pattern, version.model) for each in configuration.routing.routes
    ):
        yield from _unrouted((*path, "model"), version.model, configuration)


def _unrouted(path: Path, model: str, configuration: Configuration) -> Said:
    """A model that `models` of routing.yaml does not name, so that only a default provider can know it."""
    defaults = [provider for provider in configuration.routing.defaults.values() if provider is not None]
    if not defaults:
        yield path, "calls for it are refused: no model of routing.yaml matches, and there is no default_provider"
    elif not any(
        provider.kind == "azure_openai"
        or provider.label in _TELL_THEIR_COST
        or configuration.prices.find(provider.label, provider.name, model, date.max)
        for provider in defaults
    ):
        yield path, "routing.yaml names no such model, and no price is known for it; is it spelt so?"


def _doubts(configuration: Configuration, today: date) -> Iterator[Problem]:
    for doubt in doubts(configuration.prices.rules, configuration.prices.table, today):
        origin = doubt.origin
        path = ".".join(filter(None, (origin.path, doubt.key)))
        yield Problem(file=origin.file, line=origin.line, column=origin.column, path=path, message=doubt.message)


def _environment(configuration: Configuration, env: Mapping[str, str]) -> Said:
    known = [variable.name.removeprefix(OURS) for variable in VARIABLES if variable.name.startswith(OURS)]
    for name in env:
        if name.startswith(OURS) and (rest := name.removeprefix(OURS)) not in known:
            near = nearest(rest, known)
            yield (name,), "no variable of this name is read" + (f"; did you mean {OURS}{near}?" if near else "")
    for name in ("PROMPTLANE_ADMIN_TOKEN", "PROMPTLANE_VIEWER_TOKEN"):
        if 0 < len(env.get(name, "")) < _SHORTEST_TOKEN_CHARS:
            yield (
                (name,),
                f"it can be guessed: take {_SHORTEST_TOKEN_CHARS} signs or more, such as `openssl rand -hex 16`",
            )
    if (key := configuration.destination.api_key) and not key.startswith("phc_"):
        yield ("POSTHOG_API_KEY",), "a project's key starts with phc_"
    addresses = {provider.base_url for provider in configuration.routing.providers.values()}
    for preset in PRESETS.values():
        replaced = env.get(preset.address_variable or "", "").rstrip("/")
        if replaced and preset.address_variable and replaced not in addresses:
            yield (preset.address_variable,), "it has no effect: no provider takes its address from the preset"
