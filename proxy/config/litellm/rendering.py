"""The translation as text: files that people go on with by hand."""

from collections.abc import Iterator, Mapping, Sequence

from proxy.config.json_schema import editor_line
from proxy.config.litellm.costs import FREE, Rates
from proxy.config.litellm.deployments import Upstream
from proxy.config.litellm.remarks import Remark, Verdict, listing
from proxy.config.litellm.routes import Route
from proxy.config.yaml_text import Plain, comment, flow, scalar

_DIALECTS = ("openai", "anthropic", "gemini")
_WIDTH = 110


def routing_text(
    source: str,
    remarks: Sequence[Remark],
    providers: Mapping[Upstream, str],
    routes: Mapping[str, Route],
    defaults: Mapping[str, str],
) -> str:
    """The text of routing.yaml, with what could not be translated, or is left to do, at its top."""
    default_provider: dict[str, Plain] = {dialect: defaults.get(dialect) for dialect in _DIALECTS}
    lines = [
        editor_line("routing"),
        *comment(f"Made from {source} by `promptlane import litellm`. Every key: docs/configuration-reference.md."),
        *(line for verdict in (Verdict.LOST, Verdict.STEP) for line in _remark_lines(remarks, verdict)),
        "version: 1",
        "",
        "providers:",
        *(line for upstream, name in providers.items() for line in _entry("  ", name, _provider(upstream))),
        "",
        "models:" if routes else "models: {}",
        *(line for pattern, route in routes.items() for line in _entry("  ", pattern, _model(pattern, route))),
        "",
        "# Where a model goes that `models` does not name, by the dialect of the call; null refuses it.",
        f"default_provider: {flow(default_provider)}",
        "",
        "# Proxy keys, by hash. `promptlane keys new web-app` prints a key once, and the line to paste here.",
        "keys: []",
    ]
    return "\n".join(lines) + "\n"


def pricing_text(source: str, prices: Mapping[tuple[str, str], Rates]) -> str:
    """The text of pricing.yaml."""
    lines = [
        editor_line("pricing"),
        *comment(
            f"Made from {source} by `promptlane import litellm`. USD per million tokens, over the built-in table."
        ),
        *comment(
            "These prices hold for all days. When one changes, add an entry with `from: YYYY-MM-DD` and leave the old "
            "one: past calls keep their price. Every key: docs/configuration-reference.md."
        ),
        "version: 1",
        "",
        "models:",
    ]
    for (provider, model), rates in prices.items():
        lines.append(f"  - match: {flow({'provider': provider, 'model': model})}")
        if rates == FREE:
            lines.append("    free: true")
        else:
            first, *others = [f"{scalar(key)}: {flow(value)}" for key, value in rates.items()]
            lines += ["    prices:", f"      - {first}", *(f"        {other}" for other in others)]
    return "\n".join(lines) + "\n"


def _remark_lines(remarks: Sequence[Remark], verdict: Verdict) -> Iterator[str]:
    found = listing(remarks, verdict)
    if found:
        yield "#"
        yield f"# {verdict.value}:"
    for line in found:
        yield from comment(f"- {line}", hanging="  ")


def _provider(upstream: Upstream) -> dict[str, Plain]:
    times: dict[str, Plain] = {"first_byte_s": upstream.first_byte_s, "idle_s": upstream.idle_s}
    written = {name: value for name, value in times.items() if value is not None}
    entry: dict[str, Plain] = {
        "preset": upstream.preset,
        "kind": None if upstream.preset else upstream.kind,
        "base_url": upstream.base_url,
        "key_env": upstream.key_env,
        "timeouts": written or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _model(pattern: str, route: Route) -> dict[str, Plain]:
    """A single target by its name alone, without the model where it is what the caller names.

    Several have their models written, as the fallbacks have: what was drawn is known by both and not tried again.
    """
    entry: dict[str, Plain] = {}
    if len(route.targets) == 1:
        (ref,) = route.targets
        entry["target"] = ref.provider if ref.model == pattern else ref.text
    else:
        entry["targets"] = [
            {
                "provider": ref.provider,
                **({"model": ref.model} if ref.model is not None else {}),
                **({"weight": weight} if weight != 1 else {}),
            }
            for ref, weight in route.targets.items()
        ]
    if route.fallback:
        entry["fallback"] = [ref.text for ref in route.fallback]
    if route.retries:
        entry["retries"] = {"max": route.retries}
    return entry


def _entry(indent: str, key: str, value: Plain) -> Iterator[str]:
    """`key: value` on one line if it fits, else one line for each part of it."""
    line = f"{indent}{scalar(key)}: {flow(value)}"
    fits = len(line) <= _WIDTH and not _is_nested(value)
    if fits or not isinstance(value, dict | list):
        yield line
        return
    yield f"{indent}{scalar(key)}:"
    if isinstance(value, list):
        yield from (f"{indent}  - {flow(item)}" for item in value)
    else:
        for inner, item in value.items():
            yield from _entry(f"{indent}  ", inner, item)


def _is_nested(value: Plain) -> bool:
    """True where a list holds mappings: they read better one to a line."""
    if isinstance(value, dict):
        return any(map(_is_nested, value.values()))
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)
