"""Where chat providers put usage and cost, and how they count."""

from tests.golden.wire_forms import (
    DONE,
    UNKNOWN,
    Sample,
    Tokens,
    chunk,
    comment,
    completion,
    data,
    extra_chunk,
    role,
    says,
    usage,
)

_STOP = chunk(finish="stop")


def _asked(chunks: list[dict], counts: dict, **more: object) -> bytes:  # type: ignore[type-arg]
    """A stream whose client asked for usage: null on every chunk, then the extra chunk."""
    return data(*({**each, "usage": None, **more} for each in chunks), extra_chunk(counts, **more)) + DONE


_USAGE = [
    Sample(
        "chat-stream-asked",
        "chat",
        _asked([role(), says("Rain "), says("tomorrow."), _STOP], usage(24, 3), service_tier="default"),
        Tokens(24, 3),
        "Usage was asked for: null on each chunk, then one chunk with empty choices.",
        extra={"service_tier": "default", "first_output_event": 1, "text": "Rain tomorrow."},
    ),
    Sample(
        "chat-stream-unasked",
        "chat",
        data(role(), says("Noon."), _STOP) + DONE,
        UNKNOWN,
        "Nobody asked for usage: the counts are unknown, not zero.",
    ),
    Sample(
        "chat-stream-cache-details",
        "chat",
        _asked(
            [role(), says("Yes."), _STOP],
            usage(
                1800,
                90,
                prompt_tokens_details={"cached_tokens": 1536, "cache_write_tokens": 200},
                completion_tokens_details={"reasoning_tokens": 64},
            ),
        ),
        Tokens(1800, 90, 1536, 200, 64),
        "Details are parts of their totals and are not added to them.",
    ),
    Sample(
        "chat-stream-usage-on-finish",
        "chat",
        data(role(), says("Bonjour"), {**_STOP, "usage": usage(9, 2)}) + DONE,
        Tokens(9, 2),
        "Usage rides on the chunk with the finish reason, as Mistral sends it.",
    ),
    Sample(
        "chat-stream-usage-continuous",
        "chat",
        data(
            role(usage=usage(15, 0)),
            says("one", usage=usage(15, 1)),
            says(" two", usage=usage(15, 2)),
            chunk(finish="stop", usage=usage(15, 3)),
        )
        + DONE,
        Tokens(15, 3),
        "Usage so far on every chunk: the last one wins, a sum would give 66.",
    ),
    Sample(
        "chat-stream-usage-before-last",
        "chat",
        data(says("Sure."), _STOP, extra_chunk(usage(40, 6)), {**extra_chunk({}), "usage": None}) + DONE,
        Tokens(40, 6),
        "A chunk with null usage after the one that counts takes nothing back.",
    ),
    Sample(
        "chat-stream-usage-finish-null-after",
        "chat",
        data(says("Hm."), _STOP, chunk({"content": ""}, usage=usage(12, 2))) + DONE,
        Tokens(12, 2),
        "Usage on a later chunk whose finish reason is null: the finish reason stays.",
    ),
    Sample(
        "chat-stream-usage-zero",
        "chat",
        data(says("?"), _STOP, extra_chunk(usage(0, 0))) + DONE,
        Tokens(0, 0),
        "Zero is what the provider says; it is not replaced by an estimate.",
    ),
    Sample(
        "chat-stream-usage-empty-object",
        "chat",
        data(says("a"), {**_STOP, "usage": usage(5, 1)}, extra_chunk({})) + DONE,
        Tokens(5, 1),
        "An empty usage object says nothing and takes nothing back.",
    ),
    Sample(
        "chat-stream-groq-only",
        "chat",
        data(role(x_groq={"id": "req_a"}), says("Go"), {**_STOP, "x_groq": {"usage": usage(33, 4)}}) + DONE,
        Tokens(33, 4),
        "Groq reports in x_groq where usage was not asked for.",
    ),
    Sample(
        "chat-stream-groq-after-top",
        "chat",
        data(
            says("Go"),
            _STOP,
            extra_chunk(usage(33, 4, prompt_tokens_details={"cached_tokens": 16})),
            extra_chunk({}, x_groq={"usage": usage(33, 4)}),
        )
        + DONE,
        Tokens(33, 4, 16),
        "Both are there, the vendor's own last: the top-level one is fuller and wins.",
    ),
    Sample(
        "chat-stream-choice-usage",
        "chat",
        data(
            says("好"),
            {
                **chunk(),
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage(8, 1)}],
            },
        )
        + DONE,
        Tokens(8, 1),
        "Usage inside the finishing choice.",
    ),
    Sample(
        "chat-stream-timings-only",
        "chat",
        data(says("ok"), {**_STOP, "timings": {"prompt_n": 7, "cache_n": 21, "predicted_n": 2}}) + DONE,
        Tokens(28, 2, 21),
        "llama.cpp without usage: evaluated and reused prompt tokens add up.",
    ),
    Sample(
        "chat-stream-hit-tokens",
        "chat",
        data(says("ok"), {**_STOP, "usage": usage(640, 5, prompt_cache_hit_tokens=512)}) + DONE,
        Tokens(640, 5, 512),
        "DeepSeek's older name for cached input.",
    ),
    Sample(
        "chat-stream-total-hides-reasoning",
        "chat",
        data(
            says("9"),
            _STOP,
            extra_chunk(usage(20, 5, 125, completion_tokens_details={"reasoning_tokens": 100}, cost_in_usd_ticks=8250)),
        )
        + DONE,
        Tokens(20, 105, reasoning=100),
        "The completion count leaves reasoning out, the total has it; ticks of 1e-10 USD are the bill.",
        extra={"provider_cost_usd": "0.000000825"},
    ),
    Sample(
        "chat-stream-total-only-tells",
        "chat",
        data(says("x"), chunk(finish="stop", usage=usage(10, 4, 60))) + DONE,
        Tokens(10, 50, reasoning=46),
        "No reasoning detail at all: what the total has beyond both counts was reasoning.",
    ),
    Sample(
        "chat-stream-audio-split",
        "chat",
        data(
            role(),
            chunk({"audio": {"id": "au_1", "transcript": "Good "}}),
            chunk({"audio": {"data": "UklGRiQAAABXQVZF"}}),
            chunk({"audio": {"transcript": "day"}}),
            _STOP,
            extra_chunk(
                usage(
                    31,
                    70,
                    prompt_tokens_details={"audio_tokens": 19},
                    completion_tokens_details={"audio_tokens": 61},
                )
            ),
        )
        + DONE,
        Tokens(31, 70),
        "Audio tokens are split out; base64 is never kept as text.",
        extra={
            "audio_input_tokens": 19,
            "audio_output_tokens": 61,
            "text": "Good day",
            "first_output_event": 1,
        },
    ),
]

_COST = [
    Sample(
        "chat-stream-cost-openrouter",
        "chat",
        comment("OPENROUTER PROCESSING")
        + data(says("Hej"), _STOP, chunk({"content": ""}, usage=usage(50, 10, cost=0.00042, is_byok=False)))
        + DONE,
        Tokens(50, 10),
        "The bill in USD beats any price table.",
        extra={"provider_cost_usd": "0.00042"},
    ),
    Sample(
        "chat-stream-cost-own-key",
        "chat",
        data(
            says("Hej"),
            _STOP,
            extra_chunk(usage(50, 10, cost=0.00002, is_byok=True, cost_details={"upstream_inference_cost": 0.0004})),
        )
        + DONE,
        Tokens(50, 10),
        "With the user's own key the upstream's bill comes on top of the router's fee.",
        extra={"provider_cost_usd": "0.00042"},
    ),
    Sample(
        "chat-stream-cost-perplexity",
        "chat",
        data(
            says("Per [1]", usage=usage(6, 1, cost={"total_cost": 0.005}), citations=["https://a.example"]),
            chunk(finish="stop", usage=usage(6, 12, cost={"total_cost": 0.006})),
        )
        + DONE,
        Tokens(6, 12),
        "Cumulative usage with a nested cost, and citations beside the choices.",
        extra={"provider_cost_usd": "0.006", "has_citation": True, "category": "answer_with_citation"},
    ),
    Sample(
        "chat-stream-cost-estimated",
        "chat",
        comment("ping") + data(says("ja"), _STOP, extra_chunk(usage(4, 1, estimated_cost=3.2e-07))) + DONE,
        Tokens(4, 1),
        "DeepInfra's estimated_cost; the comment is neither output nor an event.",
        extra={"provider_cost_usd": "3.2E-7", "first_output_event": 0},
    ),
    Sample(
        "chat-json-cost-negative",
        "chat",
        completion({"content": "ja"}, usage=usage(4, 1, cost=-1)),
        Tokens(4, 1),
        "A negative bill is no bill.",
        extra={"provider_cost_usd": None},
    ),
]

CHAT_USAGE = [*_USAGE, *_COST]
