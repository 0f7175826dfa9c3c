"""The metrics that the GenAI conventions name for a client of models: one record for each attempt.

Attributes come from closed lists and from configuration only, so that nobody outside can multiply the series.
"""

from opentelemetry.metrics import Meter

from proxy.adapters.otel import attributes
from proxy.domain.call_properties import attempt_ns
from proxy.domain.exchange import Attempt, Exchange

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
"""Bucket boundaries as the conventions advise them."""


class Measures:
    """The instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="One request to a provider, from its start to the end of the reply.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="From sending a request to the first bytes of its streamed reply.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of one request as the provider reported them.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )

    def record(self, exchange: Exchange) -> None:
        """Record each attempt of a settled exchange."""
        for attempt in exchange.attempts:
            self._record_attempt(exchange, attempt)

    def _record_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        told = attributes.of_target(exchange, attempt)
        self._duration.record(attempt_ns(exchange, attempt) / 1e9, told)
        told.pop(attributes.ERROR_TYPE, None)
        if (first_chunk_s := attributes.first_chunk_s(exchange, attempt)) is not None:
            self._first_chunk.record(first_chunk_s, told)
        usage = attributes.reported_usage(attempt)
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                self._tokens.record(tokens, {**told, attributes.TOKEN_TYPE: kind})
