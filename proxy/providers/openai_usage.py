"""OpenAI's usage objects, in all the forms that OpenAI-compatible providers give them, as inclusive `Usage`.

Chat calls the counts prompt and completion, everything newer input and output. Two providers leave reasoning
out of the completion count but not out of the total (xAI, and Gemini's compatible endpoint); the total tells.
A detail that contradicts its total is unknown: nothing here is ever negative.
"""

from decimal import Decimal

from proxy.domain.usage import Usage
from proxy.providers.untrusted import Json, amount, count, mapping

_TICKS_PER_USD = 10_000_000_000


def read_usage(usage: Json, service_tier: str | None = None) -> Usage:
    """The counts of one usage object; unknown where they are missing or impossible."""
    inputs = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    outputs = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    input_tokens = _first(usage, "prompt_tokens", "input_tokens")
    output_tokens, reasoning_tokens = _output(usage, outputs, input_tokens)
    cached, written = _cache(usage, inputs, input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached,
        cache_creation_input_tokens=written,
        cache_creation_12h_tokens=_within(
            mapping(inputs.get("cache_write_tokens_details")).get("ttl_12h_tokens"), written
        ),
        reasoning_tokens=reasoning_tokens,
        audio_input_tokens=_within(inputs.get("audio_tokens"), input_tokens),
        audio_output_tokens=_within(outputs.get("audio_tokens"), output_tokens),
        image_input_tokens=_within(inputs.get("image_tokens"), input_tokens),
        image_output_tokens=_within(outputs.get("image_tokens"), output_tokens),
        audio_seconds=amount(usage.get("seconds")) if usage.get("type") == "duration" else None,
        service_tier=service_tier,
        provider_cost_usd=provider_cost(usage),
    )


def read_timings(timings: Json) -> Usage:
    """llama.cpp's own counts, which it sends also where no usage was asked for."""
    evaluated, reused = count(timings.get("prompt_n")), count(timings.get("cache_n") or 0)
    predicted = count(timings.get("predicted_n"))
    if evaluated is None or reused is None or predicted is None:
        return Usage()
    return Usage(
        input_tokens=evaluated + reused,
        output_tokens=predicted,
        cached_input_tokens=reused,
        cache_creation_input_tokens=0,
        reasoning_tokens=0,
    )


def provider_cost(usage: Json) -> Decimal | None:
    """What the provider itself says that the call cost, in USD."""
    cost = usage.get("cost")
    if isinstance(cost, dict):  # Perplexity
        return amount(cost.get("total_cost"))
    if (ticks := count(usage.get("cost_in_usd_ticks"))) is not None:  # xAI
        return Decimal(ticks) / _TICKS_PER_USD
    own = amount(cost)  # OpenRouter: its own charge, and with the user's key the upstream's on top
    if own is not None and usage.get("is_byok") is True:
        upstream = amount(mapping(usage.get("cost_details")).get("upstream_inference_cost"))
        return None if upstream is None else own + upstream
    return amount(usage.get("estimated_cost")) if own is None else own  # DeepInfra


def _output(usage: Json, details: Json, input_tokens: int | None) -> tuple[int | None, int | None]:
    """All billed output, and the reasoning in it."""
    stated = _first(usage, "completion_tokens", "output_tokens")
    total = count(usage.get("total_tokens"))
    reasoning = _detail(details, "reasoning_tokens")
    if total is None or input_tokens is None or total <= input_tokens + (stated or 0):
        if stated is None and total is not None and total == input_tokens:
            stated = 0
        return stated, _within(reasoning, stated)
    output = total - input_tokens
    if stated is not None:
        reasoning = max(reasoning or 0, output - stated)
    return output, _within(reasoning, output)


def _cache(usage: Json, details: Json, input_tokens: int | None) -> tuple[int | None, int | None]:
    """Cached reads and cache writes, both part of the input."""
    if input_tokens is None:
        return None, None
    if details.get("cached_tokens") is not None:
        cached = count(details["cached_tokens"])
    else:
        cached = _first(usage, "prompt_cache_hit_tokens", "cached_tokens", default=0)
    cached = _within(cached, input_tokens)
    return cached, _within(_detail(details, "cache_write_tokens"), input_tokens - (cached or 0))


def _details(usage: Json, *keys: str) -> Json:
    for key in keys:
        if isinstance(found := usage.get(key), dict):
            return found
    return {}


def _first(usage: Json, *keys: str, default: int | None = None) -> int | None:
    """The count under the first key that is there."""
    for key in keys:
        if (found := usage.get(key)) is not None:
            return count(found)
    return default


def _detail(details: Json, key: str) -> int | None:
    """A detail that is not named is 0; one that is impossible is unknown."""
    value = details.get(key)
    return 0 if value is None else count(value)


def _within(value: object, whole: int | None) -> int | None:
    """A part of a known whole; unknown if it is more than that."""
    part = None if value is None else count(value)
    return part if part is not None and whole is not None and part <= whole else None
