import pytest

from proxy.domain.endpoints import (
    BodyKind,
    Dialect,
    classify,
    dialect_of,
    find_endpoint,
    gemini_model,
    with_gemini_model,
)

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("path", "name", "api", "body"),
    [
        ("/v1/chat/completions", "chat", "chat", BodyKind.JSON),
        ("/v1/completions", "completions", "completions", BodyKind.JSON),
        ("/v1/responses", "responses", "responses", BodyKind.JSON),
        ("/v1/embeddings", "embeddings", "embeddings", BodyKind.JSON),
        ("/v1/responses/compact", "compact", "responses", BodyKind.JSON),
        ("/v1/messages", "messages", "messages", BodyKind.JSON),
        ("/v1/audio/transcriptions", "transcriptions", "transcriptions", BodyKind.STREAMED),
        ("/v1/images/edits", "images", "images", BodyKind.STREAMED),
        ("/v1beta/models/g:generateContent", "generate_content", "gemini", BodyKind.JSON),
        ("/v1/models/g:streamGenerateContent", "generate_content", "gemini", BodyKind.JSON),
        ("/v1beta/models/imagen-4.0-generate-001:predict", "predict", "", BodyKind.JSON),
        ("/v1beta/models/g:batchEmbedContents", "embed_content", "gemini_embeddings", BodyKind.JSON),
    ],
)
def test_model_calls_are_named(path: str, name: str, api: str, body: BodyKind) -> None:
    found = classify("POST", path, Dialect.OPENAI)
    assert found.is_model_call
    assert (found.name, found.api, found.body) == (name, api, body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/chat/completions/abc"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1beta/models/g:countTokens"),
        ("POST", "/v1/files"),
        ("POST", "/v1/something/new"),
    ],
)
def test_everything_else_passes_without_events(method: str, path: str) -> None:
    found = classify(method, path, Dialect.OPENAI)
    assert not found.is_model_call
    assert found.body is BodyKind.STREAMED


@pytest.mark.parametrize(
    ("path", "headers", "query", "dialect"),
    [
        ("/v1/messages", NONE, NONE, Dialect.ANTHROPIC),
        ("/v1/messages/count_tokens", NONE, NONE, Dialect.ANTHROPIC),
        ("/v1/models", frozenset({"anthropic-version"}), NONE, Dialect.ANTHROPIC),
        ("/v1/models", frozenset({"x-goog-api-key"}), NONE, Dialect.GEMINI),
        ("/v1/models", NONE, frozenset({"key"}), Dialect.GEMINI),
        ("/v1beta/models", NONE, NONE, Dialect.GEMINI),
        ("/v1/models/g:generateContent", NONE, NONE, Dialect.GEMINI),
        ("/v1/projects/p/locations/l/publishers/google/models/g:generateContent", NONE, NONE, Dialect.GEMINI),
        ("/v1beta/openai/chat/completions", NONE, NONE, Dialect.OPENAI),
        ("/v1/models", NONE, NONE, Dialect.OPENAI),
    ],
)
def test_the_dialect_is_told_by_path_and_headers(
    path: str, headers: frozenset[str], query: frozenset[str], dialect: Dialect
) -> None:
    assert dialect_of(path, headers, query) is dialect


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "name", "dialect"),
    [
        ("POST", "/v1/chat/completions", "key=k", {"anthropic-version": 0}, "chat", Dialect.OPENAI),
        ("POST", "/v1/chat/completions/", "", {"anthropic-version": 0}, "chat", Dialect.OPENAI),
        ("GET", "/v1/chat/completions", "", {"anthropic-version": 0}, "other", Dialect.ANTHROPIC),
        ("POST", "/v1/files", "a&KEY=k", {}, "other", Dialect.GEMINI),
        ("POST", "/v1beta/openai/embeddings", "", {}, "embeddings", Dialect.OPENAI),
    ],
)
def test_a_call_of_the_table_is_what_it_is_whatever_the_head_says_besides(
    method: str, path: str, query: str, headers: dict[str, int], name: str, dialect: Dialect
) -> None:
    found = find_endpoint(method, path, query, headers)
    assert (found.name, found.dialect) == (name, dialect)


def test_gemini_s_openai_surface_is_metered_as_chat_and_served_by_google() -> None:
    found = classify("POST", "/v1beta/openai/chat/completions", Dialect.OPENAI)
    assert (found.api, found.dialect, found.host) == ("chat", Dialect.OPENAI, Dialect.GEMINI)


def test_a_gemini_path_names_its_model() -> None:
    assert gemini_model("/v1beta/models/gemini-3.1-pro:generateContent") == "gemini-3.1-pro"
    assert gemini_model("/v1beta/models/a%20b:generateContent") == "a b"
    assert gemini_model("/v1beta/models") is None


@pytest.mark.parametrize("path", ["/v1beta/models/g%3AgenerateContent", "/v1/models/g:generateContent/"])
def test_another_spelling_of_a_gemini_path_is_the_same_call(path: str) -> None:
    assert classify("POST", path, Dialect.GEMINI).is_model_call
    assert gemini_model(path) == "g"


def test_a_gemini_path_takes_another_model() -> None:
    assert with_gemini_model("/v1/tunedModels/a%20b%3aembedContent", "c/d") == "/v1/tunedModels/c%2Fd%3aembedContent"
    assert with_gemini_model("/v1beta/models", "c") == "/v1beta/models"
