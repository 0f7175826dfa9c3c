"""Whose key goes where (A, L and S rows): proxy keys stay here, provider keys go to configured hosts alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proxy.domain.keys import key_hash
from tests.harness.bed import Bed, Outcome, chat, message
from tests.harness.client import ClientCall, Plan, RawClient
from tests.harness.framing import BODY, HOST, JSON, LENGTH, START
from tests.harness.serve import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB, OTHER = "plk_web-0123456789abcdefghij", "plk_web-0123456789abcdefghiK"
"""They differ in their last character alone."""
OURS = "sk-ours-0123456789abcdef"
THEIRS = "sk-theirs-0123456789abcdef"


def routing(provider_url: str) -> object:
    openai = {"kind": "openai", "base_url": f"{provider_url}/v1"}
    return {
        "version": 1,
        "providers": {
            "ours": {**openai, "key_env": "OURS"},
            "claude": {"kind": "anthropic", "base_url": provider_url, "key_env": "OURS"},
            "gemini": {"kind": "gemini", "base_url": provider_url, "key_env": "OURS"},
        },
        "default_provider": {"openai": "ours", "anthropic": "claude", "gemini": "gemini"},
        "keys": [
            {"alias": "web", "hash": key_hash(WEB, SECRET.encode()), "allow": ["*"]},
            {"alias": "narrow", "hash": key_hash(OTHER, SECRET.encode()), "allow": ["gpt-4.1*"]},
        ],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    environment = {"OURS": OURS, "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    async with Bed(tmp_path_factory.mktemp("keys"), routing=routing, environment=environment) as bed:
        yield bed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_bed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    """Zero configuration: every key passes through."""
    async with Bed(tmp_path_factory.mktemp("pass-through")) as bed:
        yield bed


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {key}"),)


async def refused(bed: Bed, *headers: tuple[str, str], path: str = "/v1/chat/completions") -> ClientCall:
    """The call is answered by the proxy: nothing reaches the provider, no event is made."""
    call = await bed.client.call(Plan(path=path, body=chat(), headers=headers))
    assert bed.provider.of_call(call.call_id) == []
    barrier = await bed.outcome(Plan(body=chat(), headers=bearer(WEB)))
    assert barrier.call.status == 200
    assert bed.posthog.of_request(call.call_id) == []
    return call


BAD_KEYS = {
    "none": (("Authorization", ""),),
    "bearer without key": (("Authorization", "Bearer"),),
    "bearer and a space": (("Authorization", "Bearer "),),
    "basic": (("Authorization", "Basic dXNlcjpwYXNz"),),
    "in a cookie": (("Authorization", ""), ("Cookie", f"key={WEB}")),
    "a provider's": bearer(THEIRS),
    "unknown": bearer("plk_unknown-0123456789abcd"),
    "a prefix of a good one": bearer(WEB[:-1]),
    "a good one and more": bearer(WEB + "x"),
    "upper case": bearer(WEB.upper()),
    "look-alike": bearer(WEB.replace("e", "\u00e9")),
    "SQL": bearer("' OR 1=1;--"),
    "JSON": bearer('{"$ne": null}'),
    "percent": bearer("%00"),
    "very long": bearer("plk_" + "k" * 20_000),
}


@pytest.mark.parametrize("case", BAD_KEYS)
async def test_a1_a2_a6_a_wrong_key_is_401_before_anything_else(bed: Bed, case: str) -> None:
    call = await refused(bed, *BAD_KEYS[case])
    assert call.status == 401


async def test_a1_a_refusal_says_how_to_authenticate(bed: Bed) -> None:
    call = await refused(bed, ("Authorization", ""))
    assert "www-authenticate" in {name.lower() for name, _ in call.headers}


async def test_a2_the_value_of_a_wrong_key_is_in_no_log(bed: Bed) -> None:
    await refused(bed, *bearer("plk_marked-0123456789abcd"))
    assert b"plk_marked" not in bed.served.stderr


@pytest.mark.parametrize(
    "second", [("x-api-key", OTHER), ("api-key", OTHER), ("x-goog-api-key", OTHER), ("X-Promptlane-Key", OTHER)]
)
async def test_a3_two_different_proxy_keys_are_ambiguous(bed: Bed, second: tuple[str, str]) -> None:
    assert (await refused(bed, *bearer(WEB), second)).status == 400


async def test_a3_two_different_proxy_keys_in_header_and_query_are_ambiguous(bed: Bed) -> None:
    assert (await refused(bed, *bearer(WEB), path=f"/v1/chat/completions?key={OTHER}")).status == 400


async def test_a3_the_same_key_twice_is_one_key(bed: Bed) -> None:
    outcome = await bed.outcome(Plan(body=chat(), headers=(*bearer(WEB), ("x-api-key", WEB))))
    assert outcome.call.status == 200


async def test_a9_keys_that_share_a_long_beginning_are_two(bed: Bed) -> None:
    first = await bed.outcome(Plan(body=chat(), headers=bearer(WEB)))
    second = await bed.outcome(Plan(body=chat(), headers=bearer(OTHER)))
    assert (first.end["key_alias"], second.end["key_alias"]) == ("web", "narrow")


async def test_z5_the_model_that_is_checked_is_the_model_that_is_served(bed: Bed) -> None:
    for model in ("gpt-5", "GPT-4.1-mini", " gpt-4.1-mini", "x/gpt-4.1"):
        outcome = await bed.outcome(Plan(body=chat(model=model), headers=bearer(OTHER)))
        assert (outcome.call.status, outcome.attempts) == (403, [])
        assert outcome.end["status"] == "blocked"


WAYS = {
    "bearer": ("/v1/chat/completions", chat(), bearer(WEB), ("authorization", f"Bearer {OURS}")),
    "x-api-key": ("/v1/messages", message(), (("x-api-key", WEB), ("Authorization", "")), ("x-api-key", OURS)),
    "own header": ("/v1/chat/completions", chat(), (("X-Promptlane-Key", WEB), *bearer(THEIRS)),
                   ("authorization", f"Bearer {OURS}")),
    "query": (f"/v1beta/models/gemini-2.5-flash:generateContent?key={WEB}&alt=sse", b"{}", (("Authorization", ""),),
              ("x-goog-api-key", OURS)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_l2_the_provider_gets_our_key_and_no_other_credential(bed: Bed, way: str) -> None:
    path, body, headers, expected = WAYS[way]
    theirs = (("Cookie", f"a={THEIRS}"), ("Proxy-Authorization", f"Basic {THEIRS}"), ("api-key", THEIRS))
    outcome = await bed.outcome(Plan(path=path, body=body, headers=(*headers, *theirs), script="echo"))
    assert outcome.call.status == 200
    (record,) = outcome.attempts
    assert record.head.get_all(expected[0]) == [expected[1]]
    for secret in (WEB, THEIRS):
        assert secret.encode() not in record.head.raw


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
async def test_l3_our_key_is_cut_out_of_an_error_that_quotes_it(bed: Bed, path: str) -> None:
    pieces: list[bytes] = []
    plan = Plan(path=path, body=chat(), headers=bearer(WEB), script="quote_credentials")
    call = await bed.client.call(plan, on_piece=pieces.append)
    assert call.status == 401
    assert OURS.encode() not in b"".join(pieces)
    assert b"Incorrect API key provided" in b"".join(pieces)


async def test_l4_a_key_in_the_query_is_in_no_log_event_or_metric(open_bed: Bed) -> None:
    path = f"/v1beta/models/gemini-2.5-flash:generateContent?key={THEIRS}"
    for script in ("status:400", "reset", "garbage"):
        outcome = await open_bed.outcome(Plan(path=path, body=b"{}", headers=(("Authorization", ""),), script=script))
        assert outcome.attempts[0].target == path
        assert THEIRS not in repr(outcome.events)
    async with RawClient(open_bed.served.port) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        metrics = (await client.reply("GET")).body
    assert THEIRS.encode() not in metrics + open_bed.served.stderr


@pytest.mark.parametrize("way", ["Authorization", "x-api-key", "api-key", "x-goog-api-key"])
async def test_pass_through_hands_the_callers_key_on_unchanged(open_bed: Bed, way: str) -> None:
    value = f"Bearer {THEIRS}" if way == "Authorization" else THEIRS
    headers = ((way, value),) if way == "Authorization" else (("Authorization", ""), (way, value))
    path = "/v1/messages" if way == "x-api-key" else "/v1/chat/completions"
    path = "/v1beta/models/g:generateContent" if way == "x-goog-api-key" else path
    outcome: Outcome = await open_bed.outcome(Plan(path=path, body=chat(), headers=headers, script="echo"))
    assert outcome.attempts[0].head.get(way) == value


@pytest.mark.parametrize("depth", range(4))
async def test_s1_no_field_of_a_body_chooses_the_host(open_bed: Bed, depth: int) -> None:
    reached: list[object] = []

    async def seen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername"))
        writer.close()

    evil = await asyncio.start_server(seen, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{evil.sockets[0].getsockname()[1]}/v1"
    inner: object = {"api_base": url, "base_url": url, "api_key": "x", "url": url}
    for name in ("metadata", "extra_body", "litellm_params")[:depth]:
        inner = {name: inner}
    fields = inner if isinstance(inner, dict) else {}
    names = ("x-portkey-custom-host", "Helicone-Target-URL", "OpenAI-Base", "X-Forwarded-Host")
    outcome = await open_bed.outcome(Plan(body=chat(**fields), headers=tuple((name, url) for name in names)))
    evil.close()
    assert outcome.call.status == 200
    assert reached == []


async def test_s10_proxies_of_the_environment_are_ignored(bed: Bed) -> None:
    assert (await bed.outcome(Plan(body=chat(), headers=bearer(WEB)))).call.status == 200


async def test_56_without_a_key_a_body_is_never_asked_for(bed: Bed) -> None:
    async with RawClient(bed.served.port) as client:
        await client.send(START + HOST + JSON + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n")
        assert (await client.reply()).status == 401
        assert BODY


async def test_l6_no_page_of_the_proxy_shows_a_key(bed: Bed) -> None:
    for path in ("/config", "/models", "/healthz", "/readyz", "/version", "/metrics", "/debug", "/openapi.json"):
        async with RawClient(bed.served.port) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            reply = await client.reply("GET")
        for secret in (WEB, OTHER, OURS, SECRET):
            assert secret.encode() not in reply.head.raw + reply.body
            assert secret[-6:].encode() not in reply.body


@pytest.mark.parametrize(
    "path", ["/admin", "/v1", "/v2/chat/completions", "/ui/../metrics", "//metrics", "/METRICS", "/metrics;x"]
)
async def test_a8_other_paths_are_none(bed: Bed, path: str) -> None:
    async with RawClient(bed.served.port) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WEB}\r\n\r\n".encode())
        assert (await client.reply("GET")).status in (400, 404)
