"""OpenAI's usage objects, in all the forms that OpenAI-compatible providers give them, as inclusive `Usage`.

Chat calls the counts prompt and completion, everything newer input and output. Two providers leave reasoning
out of the completion count but not out of the total (xAI, and Gemini's compatible endpoint); the total tells.
A detail that contradicts its total is unknown: nothing here is ever negative.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from proxy.domain.usage import Usage
from proxy.providers.untrusted import Json, amount, count, counts, mapping

_TICKS_PER_USD = 10_000_000_000
_COSTS = frozenset({"cost", "cost_in_usd_ticks", "estimated_cost"})
Counts: TypeAlias = Mapping[str, int | None]


def read_usage(usage: Json, service_tier: str | None = None) -> Usage:
    """The counts of one usage object; unknown where they are missing or impossible."""
    told = counts(usage)
    input_tokens = told["prompt_tokens"] if "prompt_tokens" in told else told.get("input_tokens")
    output_tokens, untold = _output(told, input_tokens)
    input_details = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    output_details = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    inputs, outputs = _parts(input_details, input_tokens), _parts(output_details, output_tokens)
    cached, written = (None, None) if input_tokens is None else _cache(told, inputs, input_tokens)
    ttls = mapping(input_details["cache_write_tokens_details"]) if "cache_write_tokens_details" in input_details else {}
    reasoning = None if output_tokens is None else outputs.get("reasoning_tokens", 0)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached,
        cache_creation_input_tokens=written,
        cache_creation_12h_tokens=_parts(ttls, written).get("ttl_12h_tokens") if ttls else None,
        reasoning_tokens=max(reasoning or 0, untold) if untold else reasoning,
        audio_input_tokens=inputs.get("audio_tokens"),
        audio_output_tokens=outputs.get("audio_tokens"),
        image_input_tokens=inputs.get("image_tokens"),
        image_output_tokens=outputs.get("image_tokens"),
        audio_seconds=amount(usage["seconds"]) if "seconds" in usage and usage.get("type") == "duration" else None,
        service_tier=service_tier,
        provider_cost_usd=None if _COSTS.isdisjoint(usage) else provider_cost(usage),
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


def _output(told: Counts, input_tokens: int | None) -> tuple[int | None, int]:
    """All billed output, and how much of it the completion count leaves out."""
    stated = told["completion_tokens"] if "completion_tokens" in told else told.get("output_tokens")
    total = told.get("total_tokens")
    if total is None or input_tokens is None or total < input_tokens + (stated or 0):
        return stated, 0
    output = total - input_tokens
    return output, 0 if stated is None else output - stated


def _cache(told: Counts, inputs: Counts, input_tokens: int) -> tuple[int | None, int | None]:
    """Cached reads and cache writes, both part of the input. What is not named is 0, what is impossible unknown."""
    if "cached_tokens" in inputs:
        cached = inputs["cached_tokens"]
    else:
        beside = "prompt_cache_hit_tokens" if "prompt_cache_hit_tokens" in told else "cached_tokens"
        cached = _part(told.get(beside, 0), input_tokens)
    return cached, _part(inputs.get("cache_write_tokens", 0), input_tokens - (cached or 0))


def _details(usage: Json, *keys: str) -> Json:
    for key in keys:
        if key in usage and isinstance(found := usage[key], dict):
            return found
    return {}


def _parts(details: Json, whole: int | None) -> Counts:
    """The counts that are parts of a whole; none where that is unknown."""
    if whole is None:
        return {}
    return {
        name: value if type(value) is int and 0 <= value <= whole else _part(count(value), whole)
        for name, value in details.items()
        if value is not None
    }


def _part(part: int | None, whole: int) -> int | None:
    """Unknown if it is more than its whole."""
    return part if part is not None and part <= whole else None
