"""Replies that the test bed's usual provider does not give: tool calls, Gemini, an error that passes."""

import orjson

from tests.harness.call import Call, Script
from tests.harness.dialects import STREAM_HEADERS, answer
from tests.harness.replies import Framing, Piece, Reply, json_reply

ARGUMENTS = '{"city": "Z\\u00fcrich"}'
_CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,%b}]}\n\n'


def tool_stream() -> Reply:
    """A chat stream with one tool call, whose arguments come in pieces that no parser would choose."""
    call = b'"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function",'
    function = b'"function":{"name":"weather","arguments":""}}]},"finish_reason":null'
    piece = b'"delta":{"tool_calls":[{"index":0,"function":{"arguments":%b}}]},"finish_reason":null'
    pieces: list[Piece] = [_CHUNK % (call + function)]
    parts = (b'"{\\"ci"', b'"ty\\": \\"Z\\\\u00"', b'"fcrich\\"}"')
    pieces.extend(_CHUNK % (piece % part) for part in parts)
    pieces += [_CHUNK % b'"delta":{},"finish_reason":"tool_calls"', b"data: [DONE]\n\n"]
    return Reply(headers=STREAM_HEADERS, pieces=pieces, framing=Framing.CHUNKED)


def fails_once(status: int) -> Script:
    """A script that gives `status` with a short retry time, then the usual answer; then again."""
    seen: list[Call] = []
    headers = (("retry-after-ms", "1"), ("x-ratelimit-remaining-requests", "0"))
    error = {"error": {"message": "Slow down.", "type": "scripted", "param": None, "code": "rate_limit_exceeded"}}

    async def script(call: Call) -> None:
        seen.append(call)
        if len(seen) % 2:
            await json_reply(status, error, *headers)(call)
        else:
            await answer(call)

    return script


GEMINI_REPLY = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Guten Tag"}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "scripted",
}


async def gemini(call: Call) -> None:
    """generateContent and its streamed kin."""
    await call.read_body()
    if ":streamGenerateContent" not in call.record.target:
        await json_reply(200, GEMINI_REPLY)(call)
        return
    event = b"data: " + orjson.dumps(GEMINI_REPLY) + b"\r\n\r\n"
    await Reply(headers=(("Content-Type", "text/event-stream"),), pieces=[event, event], framing=Framing.CHUNKED)(call)
