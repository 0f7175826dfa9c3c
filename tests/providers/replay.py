"""Recorded replies through the decoders: how the tests of this package feed and compare."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from proxy.domain.meter import Reading, output_category
from proxy.providers.codecs import CODECS, decoder_for
from tests.harness.wire import Sample, corpus

_ALIASES = {"anthropic": "messages", "azure": "chat"}
SMALL_BYTES = 1400
"""Up to this size a body is cut in two at every offset; a larger one at a seeded choice of them."""
_OFFSETS_OF_LARGE = 60


def api_of(sample: Sample) -> str:
    return _ALIASES.get(sample.api, sample.api)


def metered_samples() -> list[Sample]:
    """Every recorded reply of a dialect that has a decoder."""
    return [sample for sample in corpus().values() if api_of(sample) in CODECS]


def read(sample: Sample, pieces: list[bytes]) -> Reading:
    """The reading of these pieces; piece n arrives at n ns."""
    decoder = decoder_for(api_of(sample), sample.content_type, sample.http_status)
    for at_ns, piece in enumerate(pieces):
        decoder.feed(piece, at_ns)
    return decoder.finish()


def without_time(reading: Reading) -> Reading:
    """When something arrived depends on the split; nothing else may."""
    return replace(reading, first_token_ns=None)


def splits(body: bytes) -> Iterator[list[bytes]]:
    """Ways to cut a body: in two, into single bytes, and into random pieces, the same every time."""
    dice = random.Random(len(body))
    offsets = range(len(body) + 1)
    for offset in offsets if len(body) <= SMALL_BYTES else dice.sample(offsets, _OFFSETS_OF_LARGE):
        yield [body[:offset], body[offset:]]
    yield [body[i : i + 1] for i in range(len(body))]
    for _ in range(5):
        cuts = [0, *sorted(dice.choices(offsets, k=min(20, len(body)))), len(body)]
        yield [body[start:end] for start, end in pairwise(cuts)]


def facts(reading: Reading) -> dict[str, object]:
    """What a sidecar states of every reply."""
    usage = reading.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "finish_reason": reading.finish_reason,
        "model": reading.model,
        "tool_calls": reading.tool_call_count,
        "usage_source": reading.usage_source.value,
        "stream_end": reading.stream_end.value,
    }


def extras(reading: Reading) -> dict[str, object]:
    """What a sidecar may state under `extra`."""
    usage = reading.usage
    return {
        "cache_creation_5m": usage.cache_creation_5m_tokens,
        "cache_creation_1h": usage.cache_creation_1h_tokens,
        "service_tier": usage.service_tier,
        "speed": usage.speed,
        "inference_geo": usage.inference_geo,
        "web_search_calls": usage.web_search_calls,
        "provider_cost_usd": None if usage.provider_cost_usd is None else float(usage.provider_cost_usd),
        "audio_seconds": None if usage.audio_seconds is None else float(usage.audio_seconds),
        "audio_input_tokens": usage.audio_input_tokens,
        "audio_output_tokens": usage.audio_output_tokens,
        "image_input_tokens": usage.image_input_tokens,
        "image_output_tokens": usage.image_output_tokens,
        "incomplete_reason": reading.incomplete_reason,
        "error_code": reading.error_code,
        "error_type": reading.error_code,
        "text": reading.answer_head,
        "output_chars": reading.output_chars,
        "tool_names": list(reading.tool_names),
        "has_refusal": reading.has_refusal,
        "has_citation": reading.has_citation,
        "malformed_events": reading.malformed_events,
        "category": output_category(reading, wants_json=False).value,
    }
