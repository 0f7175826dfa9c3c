"""No content and no credential leaves by default: canaries through every slot, then a search of everything."""

from pathlib import Path

import pytest

from proxy.domain.keys import key_hash
from tests.harness.bed import Bed, chat
from tests.harness.canary import Canaries, Hit
from tests.harness.canary_traffic import CALLS, RAW, RAW_REPLY
from tests.harness.client import Plan, RawClient
from tests.harness.collector import Collector
from tests.harness.oracle import Event
from tests.harness.scripts import raw
from tests.harness.serve import SECRET

ALLOWED = {
    "output_model": frozenset({"model", "$ai_model", "log", "spans"}),
    "requested_model": frozenset({"model", "requested_model", "$ai_model", "spans"}),
    "tool_name": frozenset({"tools_called", "$ai_tools_called"}),
}
"""Slots whose token has documented places; the warning about an unpriced model names the one that answered."""


def routing_with_keys(canaries: Canaries, provider_url: str) -> object:
    proxy_key = f"plk_{canaries.token('proxy_key')}"
    ours = {"kind": "openai", "base_url": f"{provider_url}/v1", "key_env": "OURS"}
    return {
        "version": 1,
        "providers": {
            "openai": {"kind": "openai", "base_url": f"{provider_url}/v1", "credentials": "passthrough"},
            "anthropic": {"kind": "anthropic", "base_url": provider_url, "credentials": "passthrough"},
            "gemini": {"kind": "gemini", "base_url": provider_url, "credentials": "passthrough"},
            "ours": ours,
        },
        "models": {"ours": {"target": "ours"}},
        "default_provider": {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"},
        "keys": [{"alias": "web", "hash": key_hash(proxy_key, SECRET.encode()), "allow": ["*"]}],
    }


async def traffic(bed: Bed, canaries: Canaries) -> list[bytes]:
    """Make every call; returns what the proxy itself answered to those that it refused."""
    own: list[bytes] = []
    for call in CALLS:
        bed.provider.named[call.name] = call.answer.reply(canaries)
        pieces: list[bytes] = []
        made = await bed.client.call(call.plan(canaries), on_piece=pieces.append)
        if call.refused is not None:
            assert made.status == call.refused, call.name
            own.append(b"".join(pieces) + repr(made.headers).encode())
        else:
            assert bed.provider.of_call(made.call_id), (call.name, made.status)
    for data in RAW:
        async with RawClient(bed.served.port) as client:
            await client.send(canaries.plant(data).encode())
            client.half_close()
            own += [reply.head.raw + reply.body for reply in await client.replies_until_closed()]
    bed.provider.named["raw"] = raw(canaries.plant(RAW_REPLY).encode())
    await bed.client.call(Plan(body=chat(), script="raw"))
    return own


async def test_no_canary_is_anywhere(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    canaries = Canaries()
    environment = {
        "PROMPTLANE_LOG_LEVEL": "debug",
        "OURS": f"sk-{canaries.token('provider_key')}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={canaries.token('collector_token')}",
        "TMPDIR": str(tmp_path_factory.mktemp("temporary")),
    }
    async with (
        Collector() as collector,
        Bed(
            tmp_path,
            environment={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
            routing=lambda url: routing_with_keys(canaries, url),
            analytics={"version": 1, "otel": {"traces": True, "metrics": True}},
        ) as bed,
    ):
        own = await traffic(bed, canaries)
        keyed = (("Authorization", f"Bearer plk_{canaries.token('proxy_key')}"),)
        plan = Plan(body=chat(model="ours"), headers=keyed, script="quote_credentials")
        quoted = await bed.client.call(plan, on_piece=own.append)
        assert (quoted.status, len(bed.provider.of_call(quoted.call_id))) == (401, 1)
        assert canaries.idle == frozenset()
        last = (await bed.outcome(Plan(body=chat()))).call
        async with RawClient(bed.served.port) as client:
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            metrics = (await client.reply("GET")).body
        before_stop = scan(canaries, bed, own, metrics, Path(environment["TMPDIR"]))
        assert await bed.served.terminate() == 0
        after_stop = scan(canaries, bed, own, metrics, Path(environment["TMPDIR"]))
        after_stop += scan_telemetry(canaries, collector)
    assert last.status == 200
    assert b"promptlane" in metrics
    assert [str(hit) for hit in before_stop] == []
    assert [str(hit) for hit in after_stop] == []


def scan(canaries: Canaries, bed: Bed, own: list[bytes], metrics: bytes, temporary: Path) -> list[Hit]:
    texts = {
        "standard output": bed.served.stdout,
        "log": bed.served.stderr,
        "metrics": metrics,
        "the proxy's own replies": b"\n".join(own),
        "heads of posts to PostHog": b"\n".join(post.head.raw for post in bed.posthog.posts),
    }
    events: list[Event] = bed.posthog.delivered
    assert len(events) > len(CALLS)
    return canaries.scan(paths=[bed.served.data, temporary], texts=texts, events=events, allowed=ALLOWED)


def scan_telemetry(canaries: Canaries, collector: Collector) -> list[Hit]:
    assert len(collector.spans) > len(CALLS)
    bodies = {"spans": collector.bodies["/v1/traces"], "their metrics": collector.bodies["/v1/metrics"]}
    return canaries.scan(texts=bodies, allowed=ALLOWED)


async def test_the_search_would_find_what_is_there(tmp_path: Path) -> None:
    """The same search over a place where tokens do lie: the provider's ledger."""
    canaries = Canaries()
    async with Bed(tmp_path) as bed:
        await bed.client.call(Plan(body=canaries.plant_json({"model": "m", "input": "«user_text»"}), script="echo"))
        found = canaries.scan(texts={"ledger": bed.provider.ledger[0].body})
    assert [hit.slot for hit in found] == ["user_text"]


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with Bed(tmp_path) as bed:
        await bed.outcome(Plan(body=chat()))
        files = [path for path in bed.served.data.rglob("*") if path.is_file()]
        assert files
        assert {path.stat().st_mode & 0o077 for path in files} == {0}


async def test_no_key_stands_in_the_command_line(tmp_path: Path) -> None:
    canaries = Canaries()
    async with Bed(tmp_path, environment={"OPENAI_API_KEY": canaries.token("provider_key")}) as bed:
        assert canaries.scan(paths=[Path(f"/proc/{bed.served.pid}/cmdline")]) == []
