"""Which decoder reads a reply: one table from API name to codec."""

from collections.abc import Callable
from functools import lru_cache

from proxy.domain.meter import Decoder
from proxy.providers.anthropic import MessagesCodec
from proxy.providers.decoder import BlindDecoder, Codec, ReplyDecoder
from proxy.providers.draft import Draft
from proxy.providers.gemini import GeminiEmbeddingsCodec, GenerateContentCodec
from proxy.providers.openai_chat import ChatCodec
from proxy.providers.openai_media import AudioCodec, EmbeddingsCodec, ImagesCodec
from proxy.providers.openai_responses import ResponsesCodec

CODECS: dict[str, Callable[[Draft], Codec]] = {
    "chat": ChatCodec,
    "completions": ChatCodec,
    "responses": ResponsesCodec,
    "embeddings": EmbeddingsCodec,
    "messages": MessagesCodec,
    "gemini": GenerateContentCodec,
    "gemini_embeddings": GeminiEmbeddingsCodec,
    "images": ImagesCodec,
    "transcriptions": AudioCodec,
    "speech": AudioCodec,
}


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """`application/json`, where the header's value is `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def decoder_for(api: str, content_type: str, http_status: int) -> Decoder:
    """A new decoder for one reply. `content_type` is the header's value, empty if there was none."""
    is_success = 200 <= http_status < 300
    media_type = media_type_of(content_type)
    is_sse = media_type == "text/event-stream"
    is_json = media_type in {"", "application/json"} or media_type.endswith("+json")
    codec = CODECS.get(api)
    if codec is None or not (is_sse or is_json):
        return BlindDecoder(is_success=is_success, marks_output=media_type.startswith("audio/"))
    draft = Draft()
    return ReplyDecoder(codec(draft), draft, is_success=is_success, is_declared_sse=is_sse)
