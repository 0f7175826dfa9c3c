"""Gemini's own dialect."""

from tests.golden.wire_forms import UNKNOWN, Json, Sample, Tokens, data, document

FLASH = "gemini-2.5-flash"


def _reply(*parts: Json, finish: str | None = None, usage: Json | None = None, **more: object) -> Json:
    candidate: Json = {"content": {"parts": [*parts], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    told = {"candidates": [candidate], "modelVersion": FLASH, "responseId": "lane9", **more}
    return told if usage is None else {**told, "usageMetadata": usage}


def _events(*bodies: Json) -> bytes:
    return data(*bodies, end="\r\n")


def _says(text: str, **more: object) -> Json:
    return {"text": text, **more}


def _calls(name: str, **args: object) -> Json:
    return {"functionCall": {"name": name, "args": args}}


def _modality(name: str, tokens: int) -> Json:
    return {"modality": name, "tokenCount": tokens}


def _sample(name: str, body: bytes, tokens: Tokens, why: str, **more: object) -> Sample:
    return Sample(f"gemini-{name}", "gemini", body, tokens, why, **{"finish": "STOP", "model": FLASH, **more})  # type: ignore[arg-type]


_STREAMS = [
    _sample(
        "stream-thoughts",
        _events(
            _reply(_says("Hm", thought=True), usage={"promptTokenCount": 7, "thoughtsTokenCount": 30}),
            _reply(_says("Forty"), usage={"promptTokenCount": 7, "candidatesTokenCount": 1, "thoughtsTokenCount": 41}),
            _reply(
                _says(" two"),
                finish="STOP",
                usage={
                    "promptTokenCount": 7,
                    "candidatesTokenCount": 3,
                    "thoughtsTokenCount": 41,
                    "totalTokenCount": 51,
                },
            ),
        ),
        Tokens(7, 44, reasoning=41),
        "Thoughts are no part of the candidates' count; the usage of the last event is that of all.",
        extra={"first_output_event": 0, "text": "Forty two"},
    ),
    _sample(
        "stream-tools-read",
        _events(
            _reply(
                _says("By the page."),
                finish="STOP",
                usage={
                    "promptTokenCount": 20,
                    "toolUsePromptTokenCount": 300,
                    "candidatesTokenCount": 6,
                    "totalTokenCount": 326,
                    "trafficType": "ON_DEMAND_FLEX",
                },
            )
        ),
        Tokens(320, 6),
        "What a tool of Google's read is input; the traffic type is the tier.",
        extra={"service_tier": "ON_DEMAND_FLEX"},
    ),
    _sample(
        "stream-cut",
        _events(_reply(_says("Once upon"), usage={"promptTokenCount": 9, "candidatesTokenCount": 2})),
        Tokens(9, 2),
        "No finish reason: it stopped half-way, and what was counted so far stands.",
        finish=None,
        end="truncated",
    ),
    _sample(
        "stream-two-candidates-cut",
        _events(
            {
                **_reply(),
                "candidates": [
                    {"index": 0, "content": {"parts": [_says("a")]}, "finishReason": "STOP"},
                    {"index": 1, "content": {"parts": [_says("b")]}},
                ],
            }
        ),
        UNKNOWN,
        "One of two candidates is not whole.",
        end="truncated",
    ),
    _sample(
        "stream-error",
        _events(
            _reply(_says("Well"), usage={"promptTokenCount": 4, "candidatesTokenCount": 1}),
            {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
        ),
        Tokens(4, 1),
        "An error in the stream, by its status.",
        finish=None,
        end="error",
        extra={"error_code": "UNAVAILABLE"},
    ),
]
_DOCUMENTS = [
    _sample(
        "json-tools",
        document(
            _reply(
                _calls("find_order", number=7),
                _calls("find_user"),
                finish="STOP",
                usage={"promptTokenCount": 50, "candidatesTokenCount": 12, "totalTokenCount": 62},
            )
        ),
        Tokens(50, 12),
        "Two calls of tools, each whole in its part.",
        tools=2,
        extra={"tool_names": ["find_order", "find_user"]},
    ),
    _sample(
        "json-media",
        document(
            _reply(
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                finish="STOP",
                usage={
                    "promptTokenCount": 1_300,
                    "candidatesTokenCount": 1_290,
                    "totalTokenCount": 2_590,
                    "cachedContentTokenCount": 600,
                    "promptTokensDetails": [_modality("TEXT", 40), _modality("IMAGE", 260), _modality("AUDIO", 1_000)],
                    "cacheTokensDetails": [_modality("AUDIO", 600)],
                    "candidatesTokensDetails": [_modality("IMAGE", 1_290)],
                },
            )
        ),
        Tokens(1_300, 1_290, 600),
        "Each kind of input has its own count; of the audio, what came from the cache is billed as cached alone.",
        extra={"image_input_tokens": 260, "audio_input_tokens": 400, "image_output_tokens": 1_290},
    ),
    _sample(
        "json-grounded",
        document(
            _reply(
                _says("It rained."),
                finish="STOP",
                usage={"promptTokenCount": 5, "candidatesTokenCount": 4, "totalTokenCount": 9},
            )
            | {
                "candidates": [
                    {
                        "content": {"parts": [_says("It rained.")]},
                        "finishReason": "STOP",
                        "groundingMetadata": {
                            "webSearchQueries": ["weather", "rain"],
                            "groundingChunks": [{"web": {"uri": "https://example.com"}}],
                        },
                    }
                ]
            }
        ),
        Tokens(5, 4),
        "Two searches of a model whose grounded answers cost the same however often they search.",
        extra={"web_search_calls": 1, "has_citation": True},
    ),
    _sample(
        "json-array",
        document(
            [
                _reply(_says("A"), usage={"promptTokenCount": 3, "candidatesTokenCount": 1}),
                _reply(_says("B"), finish="MAX_TOKENS", usage={"promptTokenCount": 3, "candidatesTokenCount": 2}),
            ]
        ),
        Tokens(3, 2),
        "A stream that was not asked for as SSE is an array of events.",
        finish="MAX_TOKENS",
        extra={"text": "AB", "category": "truncated"},
    ),
    _sample(
        "json-blocked",
        document(
            {
                "promptFeedback": {"blockReason": "SAFETY"},
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
                "modelVersion": FLASH,
            }
        ),
        Tokens(9, 0),
        "A prompt that was refused has no candidates; the total says that nothing went out.",
        finish="SAFETY",
        extra={"category": "blocked"},
    ),
    _sample(
        "json-no-output-told",
        document(_reply(_says("Yes"), finish="STOP", usage={"promptTokenCount": 9})),
        Tokens(9, None, reasoning=None, source="partial"),
        "No count of the output and no total: it is unknown, not 0.",
    ),
]
_EMBEDDINGS = [
    Sample(
        "gemini-embeddings-json",
        "gemini_embeddings",
        document({"embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": 6}}),
        Tokens(6, 0),
        "A vector with its usage.",
        finish=None,
        model=None,
    ),
    Sample(
        "gemini-embeddings-json-no-usage",
        "gemini_embeddings",
        document({"embeddings": [{"values": [0.1]}, {"values": [0.2]}]}),
        UNKNOWN,
        "Vectors without usage.",
        finish=None,
        model=None,
    ),
]
GEMINI = [*_STREAMS, *_DOCUMENTS, *_EMBEDDINGS]
