from dataclasses import replace

import pytest

from proxy.domain.endpoints import Dialect
from proxy.domain.routing import Route, Target
from tests.pipeline.fakes import ANTHROPIC, CHAT, OPENAI, OURS, call, plain, request, snapshot, world

GOOGLE = replace(ANTHROPIC, name="google", kind="gemini", dialect=Dialect.GEMINI, base_url="http://g.test")


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/v1/chat/completions?a=b%2Fc&d", "http://o.test/v1/chat/completions?a=b%2Fc&d"),
        ("/v1/responses/resp%3A1/input_items", "http://o.test/v1/responses/resp%3A1/input_items"),
    ],
)
async def test_raw_path_and_query_go_up_byte_for_byte(target: str, url: str) -> None:
    made = world(plain())
    await call(made, request(CHAT, target=target))
    assert made.upstream.requests[0].url == url


async def test_anthropic_s_base_has_no_v1_of_its_own() -> None:
    made = world(plain())
    await call(made, request({**CHAT, "max_tokens": 1}, target="/v1/messages"))
    assert made.upstream.requests[0].url == "http://a.test/v1/messages"
    assert made.journal.end()["provider"] == ANTHROPIC.label


async def test_the_client_s_bytes_go_up_unchanged_with_their_length() -> None:
    made = world(plain())
    body = b' {"model" : "gpt-4.1-mini", "messages":[{"role":"user","content":"\\u00e9"}], "new_field": 1.0 } '
    await call(made, request(body))
    assert made.upstream.bodies == [body]
    headers = made.upstream.requests[0].headers
    assert [value for name, value in headers if name == "Content-Length"] == [str(len(body))]


async def test_analytics_headers_stay_here() -> None:
    made = world(plain())
    ours = [("X-Prompt-Version", "p"), ("X-PostHog-Properties", "{}"), ("Helicone-User-Id", "u"), ("traceparent", "t")]
    await call(made, request(headers=[*ours, ("X-Kept", "k")]))
    names = {name.lower() for name, _ in made.upstream.requests[0].headers}
    assert names == {"x-kept", "accept-encoding", "content-length"}


@pytest.mark.parametrize(("key", "accepts"), [("plk_web", "identity"), ("sk-theirs", "gzip")])
async def test_a_reply_in_which_our_key_may_stand_is_asked_for_uncompressed(key: str, accepts: str) -> None:
    configured = snapshot()
    ours = replace(configured.routing, defaults={Dialect.OPENAI: OURS if key == "plk_web" else OPENAI})
    made = world(plain(), configured=replace(configured, routing=ours))
    headers = [("Authorization", f"Bearer {key}"), ("Accept-Encoding", "gzip")]
    await call(made, request(b"", method="GET", target="/v1/models", headers=headers))
    assert dict(made.upstream.requests[0].headers)["Accept-Encoding"] == accepts


async def test_a_proxy_key_in_the_query_is_taken_out() -> None:
    made = world(plain(), configured=snapshot(Route(pattern="*", targets=(Target(provider=OURS),))))
    await call(made, request(CHAT, target="/v1/chat/completions?alt=1&key=plk_web"))
    assert made.upstream.requests[0].url == "http://u.test/v1/chat/completions?alt=1"


async def test_an_alias_on_a_gemini_path_is_replaced_in_the_path() -> None:
    made = world(plain(), configured=snapshot(Route(pattern="*", targets=(Target(provider=GOOGLE, model="gemini-3"),))))
    body = b'{"contents":[]}'
    await call(made, request(body, target="/v1beta/models/fast:streamGenerateContent?alt=sse&key=AIza"))
    assert (
        made.upstream.requests[0].url == "http://g.test/v1beta/models/gemini-3:streamGenerateContent?alt=sse&key=AIza"
    )
    assert made.upstream.bodies == [body]


async def test_gemini_s_openai_surface_takes_the_key_as_openai_does() -> None:
    google = replace(GOOGLE, api_key="AIza-ours")
    made = world(plain(), configured=snapshot(Route(pattern="*", targets=(Target(provider=google),))))
    headers = [("Authorization", "Bearer plk_web")]
    await call(made, request(target="/v1beta/openai/chat/completions", headers=headers))
    (sent,) = made.upstream.requests
    assert sent.url == "http://g.test/v1beta/openai/chat/completions"
    assert [field for field in sent.headers if "AIza-ours" in field[1]] == [("Authorization", "Bearer AIza-ours")]


async def test_a_get_has_no_body_and_no_length() -> None:
    made = world(plain())
    await call(made, request(b"", method="GET", target="/v1/models"))
    assert made.upstream.requests[0].body is None
    assert "Content-Length" not in dict(made.upstream.requests[0].headers)
