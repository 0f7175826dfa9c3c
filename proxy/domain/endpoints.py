"""Which of a provider's endpoints a path is: decided from method and path alone, by one table."""

import re
from collections.abc import Container
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote, unquote

from proxy.domain.paths import query_names


class Dialect(StrEnum):
    """The wire language that client and provider share."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class BodyKind(StrEnum):
    """How the request body is taken: read whole and parsed, or passed through as it comes."""

    JSON = "json"
    STREAMED = "streamed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table. `name` is what events and metrics say; `api` picks the decoder ("" for none)."""

    name: str
    dialect: Dialect
    api: str = ""
    is_model_call: bool = False
    body: BodyKind = BodyKind.STREAMED
    is_embedding: bool = False
    host: Dialect | None = None
    """Whose host serves it, where that is not the dialect's own (Gemini's OpenAI-compatible surface)."""


def _openai(name: str, api: str = "", *, body: BodyKind = BodyKind.JSON, is_embedding: bool = False) -> Endpoint:
    return Endpoint(name, Dialect.OPENAI, api, is_model_call=True, body=body, is_embedding=is_embedding)


_POST: dict[str, Endpoint] = {
    "/v1/chat/completions": _openai("chat", "chat"),
    "/v1/completions": _openai("completions", "completions"),
    "/v1/responses": _openai("responses", "responses"),
    "/v1/responses/compact": _openai("compact", "responses"),
    "/v1/embeddings": _openai("embeddings", "embeddings", is_embedding=True),
    "/v1/moderations": _openai("moderations"),
    "/v1/images/generations": _openai("images", "images"),
    "/v1/images/edits": _openai("images", "images", body=BodyKind.STREAMED),
    "/v1/images/variations": _openai("images", "images", body=BodyKind.STREAMED),
    "/v1/audio/transcriptions": _openai("transcriptions", "transcriptions", body=BodyKind.STREAMED),
    "/v1/audio/translations": _openai("translations", "transcriptions", body=BodyKind.STREAMED),
    "/v1/audio/speech": _openai("speech", "speech"),
    "/v1/messages": Endpoint("messages", Dialect.ANTHROPIC, "messages", is_model_call=True, body=BodyKind.JSON),
    "/v1/complete": Endpoint("complete", Dialect.ANTHROPIC, "", is_model_call=True, body=BodyKind.JSON),
}
_GEMINI_VERB = re.compile(r"^/v1(?:beta)?/(?:models|tunedModels)/(?P<model>[^/:]+?)(?::|%3[aA])(?P<verb>[A-Za-z]+)/?$")
_GEMINI_OPENAI = "/v1beta/openai/"
_VERTEX = "/v1/projects/"
"""Of Google's cloud. Its calls are not understood, but their tokens are for nobody else."""


def _gemini(name: str, api: str = "", *, is_embedding: bool = False) -> Endpoint:
    return Endpoint(name, Dialect.GEMINI, api, is_model_call=True, body=BodyKind.JSON, is_embedding=is_embedding)


_GEMINI_POST = {
    "generateContent": _gemini("generate_content", "gemini"),
    "streamGenerateContent": _gemini("generate_content", "gemini"),
    "embedContent": _gemini("embed_content", "gemini_embeddings", is_embedding=True),
    "predict": _gemini("predict"),
    "predictLongRunning": _gemini("predict"),
    "batchEmbedContents": _gemini("embed_content", "gemini_embeddings", is_embedding=True),
}
_OTHER = {dialect: Endpoint("other", dialect) for dialect in Dialect}


def find_endpoint(method: str, raw_path: str, raw_query: str, header_names: Container[str]) -> Endpoint:
    """What is being asked for, of a canonical raw path; header names are lower-case. Nothing more is ever looked at."""
    if method == "POST" and (endpoint := _POST.get(raw_path)) is not None:  # whatever else the head says
        return endpoint
    return classify(method, raw_path, dialect_of(raw_path, header_names, query_names(raw_query)))


def classify(method: str, raw_path: str, dialect: Dialect) -> Endpoint:
    """Name the endpoint of a canonical raw path (no query). `dialect` decides where the table is silent."""
    path = raw_path.removesuffix("/")
    if path.startswith(_GEMINI_OPENAI):
        found = classify(method, "/v1/" + path.removeprefix(_GEMINI_OPENAI), Dialect.OPENAI)
        return replace(found, host=Dialect.GEMINI)
    if method == "POST":
        if (endpoint := _POST.get(path)) is not None:
            return endpoint
        if (verb := _GEMINI_VERB.match(path)) and (endpoint := _GEMINI_POST.get(verb["verb"])) is not None:
            return endpoint
    return _OTHER[dialect]


def gemini_model(raw_path: str) -> str | None:
    """The model that a Gemini path names, or None."""
    verb = _GEMINI_VERB.match(raw_path)
    return unquote(verb["model"]) if verb else None


def with_gemini_model(raw_path: str, model: str) -> str:
    """The path with the model that a Gemini path names replaced; any other path as it is."""
    verb = _GEMINI_VERB.match(raw_path)
    return (
        f"{raw_path[: verb.start('model')]}{quote(model, safe='')}{raw_path[verb.end('model') :]}" if verb else raw_path
    )


def dialect_of(raw_path: str, header_names: Container[str], names_in_query: Container[str]) -> Dialect:
    """Tell the dialect by path and headers, as the configuration contract lays down. Names are lower-case."""
    if (
        raw_path == "/v1/messages"
        or raw_path.startswith(("/v1/messages/", "/v1/complete/"))
        or raw_path == "/v1/complete"
    ):
        return Dialect.ANTHROPIC
    if "anthropic-version" in header_names:
        return Dialect.ANTHROPIC
    if raw_path.startswith(_GEMINI_OPENAI):
        return Dialect.OPENAI
    if raw_path.startswith(("/v1beta/", _VERTEX)) or _GEMINI_VERB.match(raw_path):
        return Dialect.GEMINI
    if "x-goog-api-key" in header_names or "key" in names_in_query:
        return Dialect.GEMINI
    return Dialect.OPENAI
