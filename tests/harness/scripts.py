"""What the scripted provider can be told to do: well-formed replies, and every way of breaking one.

A script of a test is a `Reply` or any function of a `Call`. The built-in ones have names for the `X-Script` header,
some with an argument: `reset_after:3`, `status:429`, `words:200`, `wire:openai-chat-stream-usage`.
"""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import brotli  # type: ignore[import-untyped]
import zstandard

from tests.harness import dialects
from tests.harness.call import Call, Script
from tests.harness.http1 import encode_chunk
from tests.harness.replies import End, Framing, Piece, Reply, json_reply, split, text_reply
from tests.harness.wire import sample


def wire_reply(name: str, sizes: Sequence[int] = (7, 1, 64, 3, 1024)) -> Reply:
    """A recorded reply with its own status and content type, in pieces of these sizes."""
    found = sample(name)
    return Reply(
        status=found.http_status,
        headers=(("Content-Type", found.content_type), ("x-request-id", f"req_{found.name}")),
        pieces=split(found.body, sizes),
        framing=Framing.CHUNKED if found.is_stream else Framing.LENGTH,
    )


def gated(gate: asyncio.Event) -> Reply:
    """A stream whose end waits for the gate."""
    pieces: list[Piece] = [b'data: {"choices":[{"index":0,"delta":{"content":"w"}}]}\n\n', gate]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return Reply(headers=(("Content-Type", "text/event-stream"),), pieces=[*pieces, end])


async def reset(call: Call) -> None:
    """RST before any byte of the reply."""
    await call.read_body()
    call.reset()


async def hang(call: Call) -> None:
    """Take the request and say nothing."""
    await call.read_body()
    await call.hang()


def raw(data: bytes, end: End = End.CLOSE) -> Script:
    """These very bytes after the request was read."""

    async def script(call: Call) -> None:
        await call.read_body()
        await call.send(data)
        if end is End.HANG:
            await call.hang()
        elif end is End.RESET:
            call.reset()
        elif end is not End.KEEP:
            call.finish()

    return script


def cut_stream(end: End, after: str) -> Script:
    """The path's usual stream, broken by `end` after this many events."""

    async def script(call: Call) -> None:
        whole = dialects.reply_to(await call.read_body(), call.record.target, words=40)
        await replace(whole, framing=Framing.CHUNKED, pieces=whole.pieces[: int(after)], end=end)(call)

    return script


def refuses_stream_options(status: str) -> Script:
    """An upstream that knows no `stream_options`: this status naming it, and a usual answer without it."""

    async def script(call: Call) -> None:
        if b'"stream_options"' in await call.read_body():
            error = {"message": "Unrecognized request argument supplied: stream_options", "param": "stream_options"}
            await json_reply(int(status), {"error": {**error, "type": "invalid_request_error", "code": None}})(call)
        else:
            await dialects.answer(call)

    return script


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}
BOMB_BYTES = 100 << 20


def encoded(encoding: str) -> Script:
    """The path's usual answer, compressed although nobody asked for it."""

    async def script(call: Call) -> None:
        usual = dialects.reply_to(await call.read_body(), call.record.target)
        headers = (*usual.headers, ("Content-Encoding", encoding))
        await replace(usual, headers=headers, pieces=split(_ENCODERS[encoding](usual.body)))(call)

    return script


@cache
def bomb(encoding: str) -> Reply:
    """A little body that inflates to `BOMB_BYTES` of spaces around one JSON object."""
    zeros = b" " * BOMB_BYTES + b"{}"
    body = brotli.compress(zeros, quality=1) if encoding == "br" else _ENCODERS[encoding](zeros)
    return text_reply(200, "application/json", body, ("Content-Encoding", encoding))


def gzip_members(count: str) -> Reply:
    """Many empty gzip members, one after the other."""
    body = gzip.compress(b"", mtime=0) * int(count)
    return text_reply(200, "application/json", body, ("Content-Encoding", "gzip"))


async def reply_early(call: Call) -> None:
    """413 before the request's body was read; the rest is never read."""
    await replace(dialect_error(413), is_early=True, end=End.CLOSE)(call)
    await call.hang()


def infinite_line(length: str) -> Script:
    """A stream whose one line of this many bytes (a multiple of 64 KiB) never sees a line feed, then a usual end."""

    async def script(call: Call) -> None:
        await call.read_body()
        await call.send(Reply(headers=dialects.STREAM_HEADERS).head())
        for _ in range(int(length) // 65536):
            await call.send(encode_chunk(b"x" * 65536))
        await call.send(encode_chunk(b"\n\ndata: [DONE]\n\n") + encode_chunk(b""))

    return script


async def quote_credentials(call: Call) -> None:
    """401 that says which credential it was given, as some providers do."""
    await call.read_body()
    head = call.record.head
    given = head.get("authorization") or head.get("x-api-key") or head.get("api-key") or "nothing"
    message = f"Incorrect API key provided: {given.removeprefix('Bearer ')}. Find yours in the settings."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    await json_reply(401, {"error": error})(call)


async def echo(call: Call) -> None:
    """The request's own body, target and method, for what must pass unchanged."""
    body = await call.read_body()
    content_type = call.record.head.get("content-type") or "application/octet-stream"
    await Reply(headers=(("Content-Type", content_type),), pieces=[body], framing=Framing.LENGTH)(call)


def words(count: str) -> Script:
    """The path's usual answer with this many words: as many events, where it streams."""

    async def script(call: Call) -> None:
        await dialects.reply_to(await call.read_body(), call.record.target, words=int(count))(call)

    return script


async def no_usage(call: Call) -> None:
    """The path's usual stream, from a provider that takes the question for usage and does not answer it."""
    whole = dialects.reply_to(await call.read_body(), call.record.target)
    pieces = [piece for piece in whole.pieces if isinstance(piece, bytes) and b'"choices":[]' not in piece]
    await replace(whole, pieces=pieces)(call)


async def answer_then_close(call: Call) -> None:
    """Promise keep-alive and close: whoever reuses the connection meets the end of it."""
    await dialects.answer(call)
    call.finish()


def dialect_error(status: int) -> Reply:
    """An error as OpenAI words it, with the headers that SDKs look at."""
    error = {"message": f"Scripted failure {status}.", "type": "scripted_error", "param": None, "code": None}
    headers = [("x-request-id", f"req_error_{status}"), ("openai-processing-ms", "12")]
    if status in (429, 503):
        headers += [("Retry-After", "7"), ("retry-after-ms", "7000"), ("x-ratelimit-remaining-requests", "0")]
    return json_reply(status, {"error": error}, *headers)


_OK_JSON = b'{"id":"x","object":"chat.completion","model":"m","choices":[]}'
_JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _sized(length: bytes) -> bytes:
    return _JSON_HEAD + b"Content-Length: " + length + b"\r\n\r\n" + _OK_JSON


_LENGTH = b"%d" % len(_OK_JSON)
_FIXED: dict[str, Script] = {
    "answer": dialects.answer,
    "echo": echo,
    "reset": reset,
    "hang": hang,
    "reply_early": reply_early,
    "quote_credentials": quote_credentials,
    "answer_then_close": answer_then_close,
    "no_usage": no_usage,
    "close_silently": raw(b"", End.FIN),
    "garbage": raw(b"\x00\x01\x02 this is not HTTP\r\n\r\n"),
    "length_too_long": raw(_sized(b"%d" % (len(_OK_JSON) + 10)), End.FIN),
    "length_too_short": raw(_sized(b"%d" % (len(_OK_JSON) - 10)), End.FIN),
    "length_twice": raw(_JSON_HEAD + b"Content-Length: 5\r\n" + _sized(_LENGTH)[len(_JSON_HEAD) :]),
    "length_and_chunked": raw(_JSON_HEAD + b"Transfer-Encoding: chunked\r\n" + _sized(b"3")[len(_JSON_HEAD) :]),
    "length_negative": raw(_sized(b"-1")),
    "header_with_cr": raw(_JSON_HEAD + b"X-Odd: a\rSet-Cookie: evil=1\r\n" + _sized(_LENGTH)[len(_JSON_HEAD) :]),
    "header_with_nul": raw(_JSON_HEAD + b"X-Odd: a\x00b\r\n" + _sized(_LENGTH)[len(_JSON_HEAD) :]),
    "header_folded": raw(_JSON_HEAD + b"X-Odd: a\r\n X-Folded: b\r\n" + _sized(_LENGTH)[len(_JSON_HEAD) :]),
    "header_huge": raw(_JSON_HEAD + b"X-Huge: " + b"h" * 200_000 + b"\r\n" + _sized(_LENGTH)[len(_JSON_HEAD) :]),
    "bad_chunk_size": raw(_JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "informational_flood": raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + _sized(_LENGTH), End.KEEP),
    "no_content_with_body": raw(
        b"HTTP/1.1 204 No Content\r\nContent-Length: " + _LENGTH + b"\r\n\r\n" + _OK_JSON, End.FIN
    ),
    "http10_until_close": raw(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + _OK_JSON, End.FIN),
    "extra_response": raw(
        _sized(_LENGTH) + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\nPOISON",
        End.KEEP,
    ),
    "redirect": text_reply(307, "text/plain", b"elsewhere", ("Location", "http://127.0.0.1:9/stolen")),
    "set_cookie": json_reply(200, {"id": "x"}, ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")),
    "html_error": text_reply(502, "text/html", b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "empty_error": text_reply(500, "text/plain", b""),
}
_WITH_ARGUMENT: dict[str, Callable[[str], Script]] = {
    "reset_after": lambda count: cut_stream(End.RESET, count),
    "fin_after": lambda count: cut_stream(End.FIN, count),
    "end_after": lambda count: cut_stream(End.KEEP, count),
    "hang_after": lambda count: cut_stream(End.HANG, count),
    "status": lambda status: dialect_error(int(status)),
    "refuses_stream_options": refuses_stream_options,
    "encoded": encoded,
    "bomb": bomb,
    "gzip_members": gzip_members,
    "infinite_line": infinite_line,
    "wire": wire_reply,
    "words": words,
}


def built_in(name: str) -> Script:
    """The script of this name. Raises KeyError for one that is not known."""
    if name in _FIXED:
        return _FIXED[name]
    kind, _, argument = name.partition(":")
    return _WITH_ARGUMENT[kind](argument)
