"""Traffic that plants a canary in every registered slot: what clients send and what providers answer.

A `Call` is two templates, in which `«slot»` stands for the slot's token. JSON bodies are written as values, all else
as text. Together the calls use every slot of the register; the end-to-end test asserts that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.harness.canary import Canaries
from tests.harness.client import Plan
from tests.harness.replies import Framing, Reply, split, text_reply

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider says: a text template, or a list of values that become the events of a stream."""

    status: int = 200
    reason: str = "OK"
    content_type: str = JSON
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def reply(self, canaries: Canaries) -> Reply:
        body = _bytes(self.body if self.body is not None else {}, canaries)
        headers = tuple((canaries.plant(name), canaries.plant(value)) for name, value in self.headers)
        if self.content_type == SSE:
            pieces = split(body, (61, 7, 400))
            return Reply(headers=(("Content-Type", SSE), *headers), pieces=pieces, framing=Framing.CHUNKED)
        plain = text_reply(self.status, self.content_type, body, *headers)
        return Reply(
            status=plain.status,
            reason=canaries.plant(self.reason),
            headers=plain.headers,
            pieces=plain.pieces,
            framing=plain.framing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request with its answer. `refused`: the proxy itself answers, with this status."""

    name: str
    path: str
    body: Any = ""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    answer: Answer = Answer()
    refused: int | None = None

    def plan(self, canaries: Canaries) -> Plan:
        return Plan(
            kind=self.name,
            method=canaries.plant(self.method),
            path=canaries.plant(self.path),
            body=_bytes(self.body, canaries),
            headers=tuple((canaries.plant(name), canaries.plant(value)) for name, value in self.headers),
            script=self.name,
        )


@dataclass(frozen=True, slots=True)
class Events:
    """A stream: each value becomes a `data:` line; a text stands as it is."""

    values: Sequence[Any]


def _bytes(template: Any, canaries: Canaries) -> bytes:
    if isinstance(template, str):
        return canaries.plant(template).encode()
    if isinstance(template, Events):
        blocks = [
            value.encode() if isinstance(value, str) else b"data: " + canaries.plant_json(value) + b"\n\n"
            for value in template.values
        ]
        return canaries.plant(b"".join(blocks).decode()).encode()
    return canaries.plant_json(template)


def _chunk(delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "gpt-4.1-mini",
        "choices": [{"index": 0, "delta": delta, **fields}],
    }


_TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "«tool_description»",
        "parameters": {"type": "object", "properties": {"«tool_parameter»": {"enum": ["«tool_enum»"]}}},
    },
}
_TOOL_CALL = {
    "id": "«tool_call_id»",
    "type": "function",
    "function": {"name": "lookup", "arguments": '{"q":"«tool_arguments»"}'},
}
_PARTS = [
    {"type": "text", "text": "«part_text»"},
    {"type": "image_url", "image_url": {"url": "https://images.test/«image_url».png"}},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,«image_base64»"}},
    {"type": "file", "file": {"filename": "«file_name».pdf", "file_id": "«file_id»", "file_data": "«file_base64»"}},
    {"type": "input_audio", "input_audio": {"data": "«audio_base64»", "format": "wav"}},
]
CHAT_BODY: dict[str, Any] = {
    "model": "gpt-4.1-mini",
    "messages": [
        {"role": "system", "content": "«system_text»"},
        {"role": "developer", "content": "«developer_text»"},
        {"role": "user", "name": "«message_name»", "content": _PARTS},
        {"role": "user", "content": "«user_text»"},
        {"role": "assistant", "content": "«assistant_text»", "tool_calls": [_TOOL_CALL]},
        {"role": "tool", "tool_call_id": "«tool_call_id»", "content": "«tool_result»"},
    ],
    "tools": [_TOOL],
    "metadata": {"«metadata_key»": "«metadata_value»"},
    "user": "«user_email»@example.test",
    "safety_identifier": "«safety_identifier_email»@example.test",
    "prompt_cache_key": "«prompt_cache_key»",
    "stop": ["«stop_sequence»"],
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "«schema_name»",
            "description": "«schema_description»",
            "schema": {"properties": {"«schema_property»": {"type": "string"}}},
        },
    },
    "prediction": {"type": "content", "content": "«prediction_text»"},
    "web_search_options": {"user_location": {"approximate": {"city": "«web_location»"}}},
    "unknown": {"deep": ["«unknown_field»"]},
    "type": "«unknown_type»",
}
_LOGPROBS = {"content": [{"token": "«output_logprob»", "logprob": -0.1}]}
_CITATION = {"type": "url_citation", "url_citation": {"url": "https://x.test/", "title": "«output_citation»"}}
_AUDIO = {"id": "a", "transcript": "«output_transcript»", "data": "«output_image»"}
CHAT_STREAM = Events(
    (
        ": «sse_comment»\n\n",
        _chunk({"role": "assistant", "content": "«output_text»"}, logprobs=_LOGPROBS),
        _chunk({"reasoning_content": "«output_reasoning»", "refusal": "«output_refusal»"}),
        _chunk({"annotations": [_CITATION], "audio": _AUDIO, "x_new": "«output_unknown_field»"}),
        "event: «sse_event_name»\ndata: {}\n\n",
        'data: {"choices": [«malformed_sse»\n\n',
        _chunk(
            {
                "tool_calls": [
                    {"index": 0, "function": {"name": "lookup", "arguments": '{"q":"«output_tool_arguments»"}'}}
                ]
            }
        ),
        {**_chunk({}, finish_reason="stop"), "system_fingerprint": "«output_fingerprint»"},
        "data: [DONE]\n\n",
    )
)
CHAT_PLAIN = {
    "id": "chatcmpl-«output_response_id»",
    "object": "chat.completion",
    "model": "«output_model»",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "«plain_output_text»"},
            "finish_reason": "«output_finish_reason»",
        }
    ],
}
ANTHROPIC_BODY = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 9,
    "stream": True,
    "system": [{"type": "text", "text": "«system_text»"}],
    "metadata": {"user_id": "«anthropic_user_email»@example.test"},
    "stop_sequences": ["«stop_sequence»"],
    "messages": [
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "«document_text»"}}]},
        {"role": "assistant", "content": "«prefill_text»"},
    ],
}


def _named(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {orjson.dumps({'type': kind, **fields}).decode()}\n\n"


ANTHROPIC_STREAM = Events(
    (
        _named(
            "message_start",
            message={"id": "m", "model": "claude-sonnet-4-5", "usage": {"input_tokens": 3, "output_tokens": 1}},
        ),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _named("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "«anthropic_thinking»"}),
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": "«anthropic_output_text»"}),
        _named(
            "content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "«anthropic_tool_input»"}
        ),
        _named("error", error={"type": "«stream_error_code»", "message": "«stream_error_message»"}),
    )
)
RESPONSES_BODY = {
    "model": "gpt-4.1-mini",
    "instructions": "«instructions»",
    "input": "«user_text»",
    "previous_response_id": "resp_«previous_response_id»",
    "prompt": {"id": "support", "version": "3", "variables": {"name": "«prompt_variable»"}},
}
RESPONSES_PLAIN = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-4.1-mini",
    "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "«responses_output_text»"}]},
        {"type": "function_call", "name": "lookup", "arguments": "«responses_arguments»"},
    ],
}
ERROR = {
    "error": {
        "message": "Your prompt «error_message» was refused",
        "type": "«error_type»",
        "param": "«error_param»",
        "code": "«error_code»",
    }
}
MULTIPART = (
    '--b\r\nContent-Disposition: form-data; name="file"; filename="«multipart_file_name».wav"\r\n\r\n'
    '«multipart_file»\r\n--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n«multipart_field»\r\n--b--\r\n'
)
BATCH = (
    '--b\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n\r\n'
    '{"body":{"messages":[{"role":"user","content":"«batch_line»"}]}}\r\n--b--\r\n'
)
_FORM = (("Content-Type", "multipart/form-data; boundary=b"),)
_HEADERS = (
    ("Authorization", "Bearer sk-«bearer_key»"),
    ("X-Unknown", "«unknown_header»"),
    ("X-«unknown_header_name»", "1"),
    ("User-Agent", "app/1 («user_agent»)"),
    ("Cookie", "session=«cookie»"),
    ("Referer", "https://app.test/«referer»"),
    ("X-Forwarded-For", "«forwarded_for»"),
    ("Baggage", "k=«baggage»"),
    ("Proxy-Authorization", "Basic «proxy_authorization»"),
    ("X-PostHog-Properties", '{"«unlisted_property_name»":"«unlisted_property»"}'),
    ("X-Feature-Flag", "«malformed_flag»"),
    ("X-Prompt-Version", "«oversize_prompt_version»" + "v" * 2000),
)
_CHAT = "/v1/chat/completions"
_ERROR_400 = Answer(status=400, reason="«reply_reason»", body=ERROR)

CALLS = (
    Call(name="chat stream", path=_CHAT, body={**CHAT_BODY, "stream": True}, headers=_HEADERS,
         answer=Answer(content_type=SSE, body=CHAT_STREAM)),
    Call(name="chat", path=_CHAT + "?«query_name»=«query_value»", body=CHAT_BODY,
         headers=(("X-PostHog-Properties", "{«malformed_properties»"),),
         answer=Answer(body=CHAT_PLAIN, headers=(("X-Reply", "«reply_header»"), ("X-«reply_header_name»", "1")))),
    Call(name="chat error", path=_CHAT, body=CHAT_BODY, answer=_ERROR_400),
    Call(name="chat html", path=_CHAT, body=CHAT_BODY,
         answer=Answer(status=502, content_type="text/html", body="<html>«error_html»</html>")),
    Call(name="chat redirect", path=_CHAT, body=CHAT_BODY,
         answer=Answer(status=302, headers=(("Location", "http://127.0.0.1:9/«redirect_location»"),))),
    Call(name="chat malformed reply", path=_CHAT, body=CHAT_BODY, answer=Answer(body='{"id": «malformed_reply_json»')),
    Call(name="chat quoted key", path=_CHAT, body=CHAT_BODY,
         headers=(("Authorization", "Bearer sk-«quoted_credential»"),),
         answer=Answer(status=401, body={"error": {"message": "Incorrect API key: sk-«quoted_credential»"}})),
    Call(name="messages", path="/v1/messages", body=ANTHROPIC_BODY, headers=(("x-api-key", "sk-ant-«x_api_key»"),),
         answer=Answer(content_type=SSE, body=ANTHROPIC_STREAM)),
    Call(name="responses", path="/v1/responses", body=RESPONSES_BODY, headers=(("api-key", "«api_key_header»"),),
         answer=Answer(body=RESPONSES_PLAIN)),
    Call(name="completions", path="/v1/completions",
         body={"model": "m", "prompt": "«completion_prompt»", "suffix": "«suffix_text»"},
         answer=Answer(body={"model": "m", "choices": [{"text": "«completion_text»", "finish_reason": "stop"}]})),
    Call(name="embeddings", path="/v1/embeddings", body={"model": "m", "input": ["«embeddings_input»"]}),
    Call(name="moderations", path="/v1/moderations", body={"model": "m", "input": "«moderation_input»"}),
    Call(name="speech", path="/v1/audio/speech", body={"model": "tts-1", "input": "«speech_input»"}),
    Call(name="images", path="/v1/images/generations", body={"model": "m", "prompt": "«image_prompt»"}),
    Call(name="transcriptions", path="/v1/audio/transcriptions", body=MULTIPART, headers=_FORM),
    Call(name="files", path="/v1/files", body=BATCH, headers=_FORM),
    Call(name="gemini", path="/v1beta/models/gemini-2.5-flash:generateContent?key=«query_key»",
         body={"contents": [{"parts": [{"text": "«gemini_text»"}]}]}, headers=(("x-goog-api-key", "«goog_api_key»"),)),
    Call(name="model and tool", path=_CHAT, body={"model": "«requested_model»", "tools": [{"function": {"name": "x"}}]},
         answer=Answer(body={"choices": [{"message": {"tool_calls": [{"function": {"name": "«tool_name»"}}]}}]})),
    Call(name="path", method="GET", path="/v1/files/«path_segment»"),
    Call(name="method", method="M«method»", path="/v1/files", refused=400),
    Call(name="host", path=_CHAT, body=CHAT_BODY, headers=(("Host", "«host».test"),)),
    Call(name="basic", path=_CHAT, body=CHAT_BODY, headers=(("Authorization", "Basic «basic_password»"),)),
    Call(name="unknown proxy key", path=_CHAT, body=CHAT_BODY, refused=401,
         headers=(("Authorization", "Bearer plk_«unknown_proxy_key»"),)),
    Call(name="malformed JSON", path=_CHAT, body='{"messages": [«malformed_json»', refused=400),
    Call(name="two models", path=_CHAT, body='{"model":"a","model":"«duplicate_model_text»"}', refused=400),
    Call(name="deep", path=_CHAT, refused=400,
         body='{"model":"m","x":' + "[" * 100_000 + '"«deep_text»"' + "]" * 100_000 + "}"),
    Call(name="oversize", path=_CHAT, body="{" + "«oversize_text»" * 2_900_000, refused=413),
)  # fmt: skip

RAW = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-«malformed_header_key»\x00\r\n\r\n",
    "POST /v1/chat completions?key=«malformed_target_key» HTTP/1.1\r\nHost: x\r\n\r\n",
    'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"«truncated_body»zz\r\n',
)
"""Bytes that are no HTTP; each is sent on a connection of its own, which the client then half-closes."""

RAW_REPLY = "HTTP/1.1 200 OK\r\nX-Odd: «malformed_reply_header»\x00\r\nContent-Length: 2\r\n\r\n{}"
"""A provider's reply that is no HTTP."""
