"""OpenAI's usage objects, in all the forms that OpenAI-compatible providers give them, as inclusive `Usage`.

Chat calls the counts prompt and completion, everything newer input and output. Two providers leave reasoning
out of the completion count but not out of the total (xAI, and Gemini's compatible endpoint); the total tells.
A detail that contradicts its total is unknown: nothing here is ever negative.
"""

from decimal import Decimal

from proxy.domain.usage import Usage
from proxy.providers.untrusted import MAX_COUNT, Json, amount, count, mapping, part

_TICKS_PER_USD = 10_000_000_000
_NO_DETAILS: Json = {}
_COSTS = frozenset({"cost", "cost_in_usd_ticks", "estimated_cost"})


def read_usage(usage: Json, service_tier: str | None = None) -> Usage:
    """The counts of one usage object; unknown where they are missing or impossible."""
    input_tokens = _told(usage, "prompt_tokens", "input_tokens")
    output_tokens, untold = _output(usage, input_tokens)
    inputs = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    outputs = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    cached, written = (None, None) if input_tokens is None else _cache(usage, inputs, input_tokens)
    reasoning = _named(outputs, "reasoning_tokens", output_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached,
        cache_creation_input_tokens=written,
        cache_creation_12h_tokens=_written_for_12h(inputs, written),
        reasoning_tokens=max(reasoning or 0, untold) if untold else reasoning,
        audio_input_tokens=part(inputs.get("audio_tokens"), input_tokens),
        audio_output_tokens=part(outputs.get("audio_tokens"), output_tokens),
        image_input_tokens=part(inputs.get("image_tokens"), input_tokens),
        image_output_tokens=part(outputs.get("image_tokens"), output_tokens),
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


def _told(usage: Json, name: str, other_name: str) -> int | None:
    """A count under the first of two names that has one."""
    value = usage.get(name)
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return count(usage.get(other_name) if value is None or type(value) is dict else value)


def _output(usage: Json, input_tokens: int | None) -> tuple[int | None, int]:
    """All billed output, and how much of it the completion count leaves out."""
    stated, total = _told(usage, "completion_tokens", "output_tokens"), count(usage.get("total_tokens"))
    if total is None or input_tokens is None or total < input_tokens + (stated or 0):
        return stated, 0
    output = total - input_tokens
    return output, 0 if stated is None else output - stated


def _cache(usage: Json, inputs: Json, input_tokens: int) -> tuple[int | None, int | None]:
    """Cached reads and cache writes, both part of the input. What is not named is 0, what is impossible unknown."""
    if inputs.get("cached_tokens") is not None:
        cached = part(inputs["cached_tokens"], input_tokens)
    elif usage.get("prompt_cache_hit_tokens") is not None:
        cached = _named(usage, "prompt_cache_hit_tokens", input_tokens)
    else:
        cached = _named(usage, "cached_tokens", input_tokens)
    return cached, _named(inputs, "cache_write_tokens", input_tokens - (cached or 0))


def _written_for_12h(inputs: Json, written: int | None) -> int | None:
    if "cache_write_tokens_details" not in inputs:
        return None
    return part(mapping(inputs["cache_write_tokens_details"]).get("ttl_12h_tokens"), written)


def _details(usage: Json, key: str, *other_keys: str) -> Json:
    found = usage.get(key)
    if type(found) is dict:
        return found
    return next((found for other in other_keys if type(found := usage.get(other)) is dict), _NO_DETAILS)


def _named(details: Json, name: str, whole: int | None) -> int | None:
    """The count of a part that is 0 where nobody names it."""
    told = details.get(name)
    return part(0 if told is None else told, whole)
