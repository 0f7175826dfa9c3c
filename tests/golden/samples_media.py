"""Embeddings, images and audio."""

from tests.golden.wire_forms import (
    UNKNOWN,
    Sample,
    Tokens,
    data,
    document,
    named,
)

MEDIA = [
    Sample(
        "embeddings-json",
        "embeddings",
        document(
            {
                "object": "list",
                "data": [{"index": 0, "embedding": [0.5, -0.25]}],
                "model": "text-embedding-3-large",
                "usage": {"prompt_tokens": 6, "total_tokens": 6},
            }
        ),
        Tokens(6, 0),
        "Embeddings have no output tokens: 0, not unknown.",
        finish=None,
        model="text-embedding-3-large",
    ),
    Sample(
        "embeddings-json-base64",
        "embeddings",
        document(
            {
                "data": [{"index": 0, "embedding": "AACAPwAAAD8="}],
                "model": "e5",
                "usage": {"prompt_tokens": 3},
            }
        ),
        Tokens(3, 0),
        "Packed vectors, and no total.",
        finish=None,
        model="e5",
    ),
    Sample(
        "embeddings-json-no-usage",
        "embeddings",
        document({"data": [{"index": 0, "embedding": [1.0]}], "model": "e5"}),
        UNKNOWN,
        "A server that does not count.",
        finish=None,
        model="e5",
    ),
    Sample(
        "images-stream",
        "images",
        named(
            {"type": "image_generation.partial_image", "b64_json": "iVBO", "partial_image_index": 0},
            {
                "type": "image_generation.completed",
                "b64_json": "iVBO",
                "usage": {
                    "input_tokens": 20,
                    "output_tokens": 300,
                    "total_tokens": 320,
                    "input_tokens_details": {"text_tokens": 20, "image_tokens": 0},
                },
            },
        ),
        Tokens(20, 300),
        "Usage on the completed image; all output tokens are the image's.",
        finish=None,
        model=None,
        extra={"image_input_tokens": 0, "image_output_tokens": 300, "first_output_event": 0},
    ),
    Sample(
        "speech-stream",
        "speech",
        data(
            {"type": "speech.audio.delta", "audio": "SUQz"},
            {
                "type": "speech.audio.done",
                "usage": {"input_tokens": 9, "output_tokens": 80, "total_tokens": 89},
            },
        ),
        Tokens(9, 80),
        "Speech as events.",
        finish=None,
        model=None,
        extra={"audio_output_tokens": 80, "first_output_event": 0},
    ),
    Sample(
        "transcriptions-stream",
        "transcriptions",
        data(
            {"type": "transcript.text.delta", "delta": "Over "},
            {"type": "transcript.text.delta", "delta": "and out"},
            {
                "type": "transcript.text.done",
                "text": "Over and out",
                "usage": {
                    "type": "tokens",
                    "input_tokens": 25,
                    "output_tokens": 5,
                    "total_tokens": 30,
                    "input_token_details": {"text_tokens": 0, "audio_tokens": 25},
                },
            },
        ),
        Tokens(25, 5),
        "A transcription by tokens.",
        finish=None,
        model=None,
        extra={"audio_input_tokens": 25, "text": "Over and out", "output_chars": 12},
    ),
    Sample(
        "transcriptions-json-seconds",
        "transcriptions",
        document({"text": "Mayday", "usage": {"type": "duration", "seconds": 4}}),
        Tokens(None, None, None, None, None),
        "Billed by time: the provider reports, and there are no tokens.",
        finish=None,
        model=None,
        extra={"audio_seconds": "4"},
    ),
]
