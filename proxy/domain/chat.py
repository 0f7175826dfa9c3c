"""Admission of a model call: the few facts that are read from the body; the bytes stay as they came.

The reading knows the names that the dialects use, not their schemas: a field of an unexpected type is as good as
absent, because the provider will say what is wrong with it. Only what the proxy itself relies on is refused here.
Every reader is one pass over the parsed body, and none recurses: a body may be 64 MiB and 1,024 levels deep. Most of
what could be said is not, so readers look first whether it is there.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.privacy import is_safe_text
from proxy.domain.values import value_class

MODEL_LIMIT_CHARS = 200

_NEEDS_MODEL = frozenset({"chat", "completions", "embeddings", "messages", "complete", "speech"})
"""Elsewhere the provider has a default, the path names the model, or a stored prompt does (Responses)."""
_IMAGE_TYPES = ("image_url", "input_image", "image", "computer_screenshot")
_JSON_TYPES = ("json_object", "json_schema", "json")
_MAX_TOKENS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_GEMINI_MAX_TOKENS = ("maxOutputTokens", "max_output_tokens")
_FORMAT_SLOTS = frozenset({"response_format", "text", "output_format", "output_config"})
_NOTHING: Mapping[str, Any] = {}
_INPUT_SLOTS = ("messages", "input", "contents", "content", "requests", "prompt")


@value_class
class ModelCall:
    """What one request body says, without its content. `requested_model` is at most 200 safe characters.

    The first three decide where the call goes. The others are for those who are told of it, and are None until
    `described` has read them.
    """

    requested_model: str | None = None
    stream: bool = False
    asks_for_usage: bool = False
    """The client itself set `stream_options.include_usage: true`."""
    temperature: float | None = None
    max_tokens: int | None = None
    message_count: int | None = None
    tool_count: int | None = None
    image_count: int | None = None
    wants_json: bool = False
    """A JSON object or schema was asked for (`response_format`, `text.format`, …)."""


def parse_json(body: bytes) -> object:
    """The body's JSON value. Raises BadRequest, which never quotes the body."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit"):
            raise BadRequest("The request body is nested more than 1,024 levels deep.", code="too_deep") from None
        raise BadRequest("The request body is not valid JSON.", code="invalid_json") from None


def parse(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises BadRequest, which never quotes the body."""
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        raise BadRequest("The request body must be a JSON object.", code="not_an_object")
    return parsed


def admit(parsed: Mapping[str, Any], endpoint: Endpoint) -> ModelCall:
    """Read what decides where a call goes. Raises BadRequest where `model` is missing or cannot be a name."""
    return ModelCall(
        requested_model=_model(parsed, endpoint),
        stream="stream" in parsed and parsed["stream"] is True,
        asks_for_usage="stream_options" in parsed and _object(parsed["stream_options"]).get("include_usage") is True,
    )


def described(call: ModelCall, parsed: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> ModelCall:
    """The admitted call with all else that is told of it, by its `messages_of`. Never raises."""
    config = _generation_config(parsed) if "generationConfig" in parsed or "generation_config" in parsed else _NOTHING
    return ModelCall(
        requested_model=call.requested_model,
        stream=call.stream,
        asks_for_usage=call.asks_for_usage,
        temperature=_temperature(parsed, config),
        max_tokens=_max_tokens(parsed, config),
        message_count=_message_count(parsed),
        tool_count=_tool_count(parsed) if "tools" in parsed or "functions" in parsed else 0,
        image_count=_image_count(messages),
        wants_json=_wants_json(parsed, config),
    )


_FORM_MODEL = re.compile(rb'\bname="model"\r\n(?:[^\r\n]+\r\n)*\r\n([\x21-\x7e]{1,200})\r\n')


def model_of_form(beginning: bytes) -> str | None:
    """The `model` field of a multipart form, where it stands whole in these first bytes."""
    found = _FORM_MODEL.search(beginning)
    return found[1].decode("ascii") if found else None


def with_path_facts(call: ModelCall, *, model: str | None, raw_path: str) -> ModelCall:
    """Add what a Gemini path says: the model, and by its verb whether the reply is streamed. Raises BadRequest."""
    if model is not None:
        _check_model(model)
    is_stream = raw_path.removesuffix("/").endswith("streamGenerateContent")
    return replace(call, requested_model=model or call.requested_model, stream=is_stream or call.stream)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _generation_config(parsed: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(parsed.get("generationConfig") or parsed.get("generation_config"))


def _model(parsed: Mapping[str, Any], endpoint: Endpoint) -> str | None:
    model = parsed.get("model")
    if model is None:
        if endpoint.name in _NEEDS_MODEL:
            raise BadRequest("The request body names no `model`.", code="model_required")
        return None
    if not isinstance(model, str):
        raise BadRequest("`model` must be a string.", code="model_not_a_string")
    _check_model(model)
    return model


def _check_model(model: str) -> None:
    if not model or len(model) > MODEL_LIMIT_CHARS or not (model.isprintable() or is_safe_text(model)):
        raise BadRequest(
            f"`model` must have 1 to {MODEL_LIMIT_CHARS} characters and no control characters.", code="model_malformed"
        )


def _temperature(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> float | None:
    for holder in (parsed, config):
        if "temperature" in holder:
            value = holder["temperature"]
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
    return None


def _max_tokens(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    for holder, slots in ((parsed, _MAX_TOKENS), (config, _GEMINI_MAX_TOKENS)):
        for slot in slots:
            if slot in holder and isinstance(value := holder[slot], int) and not isinstance(value, bool):
                return value
    return None


def _message_count(parsed: Mapping[str, Any]) -> int | None:
    for slot in _INPUT_SLOTS:
        match parsed.get(slot):
            case str():
                return 1
            case [int(), *_]:  # one text, as token ids
                return 1
            case list() as items:
                return len(items)
            case dict() if slot in ("contents", "content"):
                return 1
    return None


def _tool_count(parsed: Mapping[str, Any]) -> int:
    count = len(_array(parsed["functions"])) if "functions" in parsed else 0
    for tool in _array(parsed["tools"]) if "tools" in parsed else ():
        declared = _object(tool).get("functionDeclarations") or _object(tool).get("function_declarations")
        count += len(declared) if isinstance(declared, list) else 1
    return count


def messages_of(parsed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Messages or input items of any dialect, in order."""
    messages: list[dict[str, Any]] = []
    for slot in ("messages", "input", "contents"):
        if slot in parsed and isinstance(items := parsed[slot], list):
            messages += [item for item in items if isinstance(item, dict)]
    return messages


def _image_count(messages: Sequence[Mapping[str, Any]]) -> int:
    count = 0
    for message in messages:
        for slot in ("content", "parts", "output"):
            if slot in message and not isinstance(held := message[slot], str):  # which is the usual content
                count += sum(map(_is_image, _parts(held)))
    return count


def _parts(held: object) -> Iterator[dict[str, Any]]:
    """Every content part, and those one level down (a tool's result)."""
    for part in held if isinstance(held, list) else (held,):
        if isinstance(part, dict):
            yield part
            yield from (inner for inner in _array(part.get("content")) if isinstance(inner, dict))


def _is_image(part: Mapping[str, Any]) -> bool:
    if part.get("type") in _IMAGE_TYPES:
        return True
    data = _object(part.get("inlineData") or part.get("inline_data") or part.get("fileData"))
    mime = data.get("mimeType") or data.get("mime_type")
    return isinstance(mime, str) and mime.startswith("image/")


def _wants_json(parsed: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    if config and "application/json" in (config.get("responseMimeType"), config.get("response_mime_type")):
        return True
    if _FORMAT_SLOTS.isdisjoint(parsed):
        return False
    formats = (
        parsed.get("response_format"),
        _object(parsed.get("text")).get("format"),
        parsed.get("output_format"),
        _object(parsed.get("output_config")).get("format"),
    )
    return any(isinstance(wanted, dict) and wanted.get("type") in _JSON_TYPES for wanted in formats)


def texts_of(content: object) -> list[str]:
    """The text of a string, a part, or a list of parts."""
    if isinstance(content, str):
        return [content]
    if isinstance(content, dict):
        content = content.get("parts", [content])
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return [text for text in texts if isinstance(text, str)]
