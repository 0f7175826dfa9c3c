import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.credentials import Credentials
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest
from proxy.domain.fields import fields_of
from proxy.domain.headers import downstream_headers, upstream_headers, without_key_query
from proxy.domain.routing import Provider

PASS = Provider(name="openai", label="openai", kind="openai", dialect=Dialect.OPENAI, base_url="https://o/v1")


def forwarded(headers, provider=PASS, credentials=None, identity_encoding=False):
    return list(
        upstream_headers(
            fields_of(headers),
            provider=provider,
            credentials=credentials or Credentials(),
            identity_encoding=identity_encoding,
        )
    )


def replied(headers, own, *, keeps_length):
    names, values = [name for name, _ in own], [value for _, value in own]
    return list(downstream_headers(fields_of(headers), names, values, keeps_length=keeps_length))


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Host",
        "Content-Length", "Expect", "Cookie", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "CF-Ray", "Origin",
        "Referer", "Sec-Fetch-Site", "traceparent", "baggage", "X-Promptlane-Key", "X-Prompt-Version",
    ],
)  # fmt: skip
def test_these_never_reach_a_provider(name: str) -> None:
    assert forwarded([(name, "v")]) == []


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "OpenAI-Organization", "OpenAI-Beta", "Idempotency-Key", "x-stainless-retry-count",
        "User-Agent", "anthropic-version", "anthropic-beta", "x-api-key", "HTTP-Referer", "X-Title", "X-Unknown",
        "Accept-Encoding", "Content-Encoding", "Content-Type",
    ],
)  # fmt: skip
def test_these_pass_unchanged_in_order(name: str) -> None:
    assert forwarded([("A", "1"), (name, "v"), (name, "w")]) == [("A", "1"), (name, "v"), (name, "w")]


def test_headers_named_by_connection_are_dropped() -> None:
    assert forwarded([("Connection", "close, X-Secret"), ("x-secret", "s"), ("X-Kept", "k")]) == [("X-Kept", "k")]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("openai", ("Authorization", "Bearer pk")),
        ("anthropic", ("x-api-key", "pk")),
        ("gemini", ("x-goog-api-key", "pk")),
        ("azure_openai", ("api-key", "pk")),
    ],
)
def test_a_configured_key_replaces_every_credential_of_the_client(kind, expected) -> None:
    ours = Provider(name="p", label="p", kind=kind, dialect=Dialect.OPENAI, base_url="https://o", api_key="pk")
    theirs = [("Authorization", "Bearer x"), ("x-api-key", "x"), ("api-key", "x"), ("X-Goog-Api-Key", "x")]
    assert forwarded(theirs, provider=ours) == [expected]


def test_a_spent_proxy_key_is_not_forwarded_to_a_pass_through_provider() -> None:
    spent = Credentials(spent_headers=frozenset({"authorization"}))
    assert forwarded([("Authorization", "Bearer plk_x"), ("x-api-key", "theirs")], credentials=spent) == [
        ("x-api-key", "theirs")
    ]


def test_metered_calls_ask_for_identity() -> None:
    assert forwarded([("Accept-Encoding", "gzip, br")], identity_encoding=True) == [("Accept-Encoding", "identity")]


def test_undecodable_values_are_refused() -> None:
    with pytest.raises(BadRequest):
        forwarded([("X-Odd", "a\udcff")])


def test_what_is_remembered_by_names_holds_for_other_values() -> None:
    for named, kept in (("X-A", "X-B"), ("X-B", "X-A"), ("keep-alive, x-a", "X-B")):
        came = [("Connection", named), ("X-A", named), ("X-B", named)]
        assert forwarded(came) == [(kept, named)]
        assert replied(came, [], keeps_length=True) == [(kept, named)]
    both = [("X-A", "1"), ("X-B", "2")]
    assert forwarded([("Connection", "keep-alive"), *both]) == both
    assert forwarded([("Connection", "keep-alive"), *both, ("connection", "x-b")]) == [("X-A", "1")]


def test_replies_lose_hop_by_hop_fields_and_keep_the_rest() -> None:
    came = [
        ("Content-Type", "text/event-stream"), ("Connection", "x-private"), ("X-Private", "p"),
        ("Transfer-Encoding", "chunked"), ("Alt-Svc", "h3"), ("Strict-Transport-Security", "max-age=1"),
        ("x-request-id", "req_1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "5"),
    ]  # fmt: skip
    assert replied(came, [("X-Request-Id", "ours"), ("X-Trace-Id", "t")], keeps_length=True) == [
        ("Content-Type", "text/event-stream"),
        ("x-request-id", "req_1"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Length", "5"),
        ("X-Trace-Id", "t"),
    ]


def test_an_edited_body_loses_its_length_and_server_timing_stands_twice() -> None:
    came = [("Content-Length", "5"), ("Server-Timing", "db;dur=1")]
    assert replied(came, [("Server-Timing", "proxy;dur=1")], keeps_length=False) == [
        ("Server-Timing", "db;dur=1"),
        ("Server-Timing", "proxy;dur=1"),
    ]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(max_size=20)), max_size=8))
def test_no_line_break_gets_into_a_reply_header(headers) -> None:
    for _, value in replied(headers, [], keeps_length=True):
        assert not {"\r", "\n", "\0"} & set(value)


def test_a_key_in_the_query_is_taken_out() -> None:
    assert without_key_query("alt=sse&key=s&KEY=t&k%65y=u&a=b") == "alt=sse&a=b"
