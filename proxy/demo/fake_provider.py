"""A provider that needs no account: OpenAI's and Anthropic's endpoints with invented answers, at a human pace.

The model's name chooses what happens: `fake-error…` is refused with 429 or 500 by turns, `fake-slow…` takes ten times
as long, any other name is answered.
"""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from json import JSONDecodeError
from random import Random
from time import time
from typing import Any

from aiohttp import web

from proxy.demo import answers, wire
from proxy.demo.answers import Answer, Question
from proxy.demo.wire import Frame, Head

MODELS = ("gpt-4.1-mini", "gpt-4.1", "claude-haiku-4-5", "text-embedding-3-small", "fake-error", "fake-slow")
DEFAULT_TOKEN_S = 0.03
EMBEDDING_DIMENSIONS = 256


@dataclass(frozen=True, slots=True)
class _Api:
    """How one endpoint is read and answered."""

    question: Callable[[Mapping[str, Any]], Question]
    whole: Callable[[Head, Answer], dict[str, Any]]
    frames: Callable[[Head, Answer], Iterable[Frame]]


_APIS = {
    "/v1/chat/completions": _Api(answers.question_of_chat, wire.chat, wire.chat_frames),
    "/v1/completions": _Api(answers.question_of_completion, wire.completion, wire.completion_frames),
    "/v1/responses": _Api(answers.question_of_responses, wire.response, wire.response_frames),
    "/v1/messages": _Api(answers.question_of_messages, wire.message, wire.message_frames),
}


def build(*, token_s: float = DEFAULT_TOKEN_S, seed: int = 1) -> web.Application:
    """Make the application. `token_s` is the mean time of one token (± a third); 0 answers at once."""
    provider = _Provider(token_s=token_s, rng=Random(seed))  # noqa: S311  invention, not secrecy
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post(path, partial(provider.call, api)) for path, api in _APIS.items()])
    app.add_routes(
        [
            web.post("/v1/embeddings", provider.embeddings),
            web.post("/v1/messages/count_tokens", provider.count_tokens),
            web.get("/v1/models", provider.models),
            web.get("/v1/models/{model}", provider.model),
        ]
    )
    return app


@dataclass(slots=True)
class _Provider:
    """The handlers; a random generator and the turn of the errors are all they share."""

    token_s: float
    rng: Random
    _errors: Iterator[int] = field(default_factory=count)

    async def call(self, api: _Api, request: web.Request) -> web.StreamResponse:
        """Reply to a model call, as JSON or as a stream."""
        body = await _body(request)
        head = self._head(body)
        if head.model.startswith("fake-error"):
            return self._refuse(request, head)
        slowness = 10 if head.model.startswith("fake-slow") else 1
        answer = answers.answer(api.question(body), self.rng)
        if body.get("stream"):
            return await _stream(request, head, self._paced(api.frames(head, answer), slowness))
        await self._pause(slowness * (wire.FIRST_TOKEN_COST + len(answer.tokens)))
        return web.json_response(api.whole(head, answer), headers=_headers(head))

    async def count_tokens(self, request: web.Request) -> web.Response:
        question = answers.question_of_messages(await _body(request))
        return web.json_response({"input_tokens": question.input_tokens})

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await _body(request)
        inputs = body["input"] if isinstance(body.get("input"), list) else [body.get("input")]
        tokens = sum(len(answers.tokens_of(answers.plain_text(given))) for given in inputs)
        vectors = [[self.rng.uniform(-1, 1) for _ in range(EMBEDDING_DIMENSIONS)] for _ in inputs]
        await self._pause(wire.FIRST_TOKEN_COST)
        packed = map(_base64, vectors) if body.get("encoding_format") == "base64" else vectors
        reply = {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": it} for at, it in enumerate(packed)],
            "model": body.get("model"),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return web.json_response(reply, headers=_headers(self._head(body)))

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [_model(name) for name in MODELS]})

    async def model(self, request: web.Request) -> web.Response:
        return web.json_response(_model(request.match_info["model"]))

    async def _paced(self, frames: Iterable[Frame], slowness: int) -> AsyncIterator[bytes]:
        for tokens, data in frames:
            await self._pause(slowness * tokens)
            yield data

    async def _pause(self, tokens: int) -> None:
        if tokens and self.token_s:
            await asyncio.sleep(tokens * self.token_s * self.rng.uniform(2 / 3, 4 / 3))

    def _head(self, body: dict[str, Any]) -> Head:
        return Head(token=f"{self.rng.getrandbits(96):024x}", model=str(body.get("model")), created=int(time()))

    def _refuse(self, request: web.Request, head: Head) -> web.Response:
        """429 and 500 by turns, in the dialect of the path."""
        if is_limited := next(self._errors) % 2 == 0:
            status, kind, text = 429, "rate_limit_error", "Too many requests: please slow down."
        else:
            status, kind, text = 500, "api_error", "The server had an error while it processed your request."
        error: dict[str, Any] = {"type": kind, "message": text}
        if request.path.startswith("/v1/messages"):
            reply = {"type": "error", "error": error, "request_id": f"req_{head.token}"}
        else:
            reply = {"error": error | {"param": None, "code": "rate_limit_exceeded" if is_limited else None}}
        headers = _headers(head) | ({"retry-after-ms": "20"} if is_limited else {})
        return web.json_response(reply, status=status, headers=headers)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        return body
    error = {"message": "We could not parse the JSON body of your request.", "type": "invalid_request_error"}
    raise web.HTTPBadRequest(text=json.dumps({"error": error}), content_type="application/json")


async def _stream(request: web.Request, head: Head, data: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers(head) | {"Cache-Control": "no-cache"})
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    try:
        await response.prepare(request)
        async for piece in data:
            await response.write(piece)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the client left: nothing to tell anyone
    return response


def _headers(head: Head) -> dict[str, str]:
    return {"x-request-id": f"req_{head.token}", "request-id": f"req_{head.token}", "openai-version": "2020-10-01"}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "promptlane-demo"}


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
