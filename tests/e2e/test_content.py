"""Content that is asked for: nowhere to be read in the data folder, opened by the key's holder, gone when deleted."""

import base64
from pathlib import Path

import orjson
import pytest

from proxy.adapters.content.files import in_each
from proxy.adapters.content.opening import content_of, openings
from proxy.domain.content_key import VARIABLE
from tests.harness.bed import Bed
from tests.harness.canary import Canaries
from tests.harness.client import Plan
from tests.harness.collector import Collector

KEY = base64.b64encode(bytes(range(32))).decode()


async def test_spans_tell_what_is_kept_where_that_is_asked(tmp_path: Path) -> None:
    """Redacted as it was kept; and the span of a call of which nothing is kept comes all the same."""
    analytics = {"version": 1, "capture": {"content": "full"}, "otel": {"traces": True, "content": True}}
    message = {"role": "user", "content": "of ada@analytical.example: hi"}
    body = orjson.dumps({"model": "gpt-4.1-mini", "messages": [message]})
    async with Collector() as collector:
        environment = {VARIABLE: KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with Bed(tmp_path, analytics=analytics, environment=environment) as bed:
            kept = await bed.outcome(Plan(body=body))
            left_out = await bed.outcome(Plan(body=body, headers=(("X-LLM-Capture-Content", "false"),)))
            assert await bed.served.terminate() == 0
        _, told = await collector.trace_of(kept.end["exchange_id"])
        _, silent = await collector.trace_of(left_out.end["exchange_id"])
    (asked,) = orjson.loads(told.attributes["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "of [emails]: hi"}]}
    (answer,) = orjson.loads(told.attributes["gen_ai.output.messages"])
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert [name for name in silent.attributes if "messages" in name or "instructions" in name] == []
    (noted,) = openings(bed.served.data)
    assert (noted.who, noted.role, noted.exchange_id) == ("otlp", "service", kept.end["exchange_id"])


async def test_kept_content_is_read_by_who_has_the_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = Canaries()
    body = canaries.plant_json(
        {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "«user_text» ada@«user_email».example"}]}
    )
    analytics = {"version": 1, "capture": {"content": "full"}}
    user = (("X-PostHog-Distinct-Id", "user_to_forget"),)
    async with Bed(tmp_path, analytics=analytics, environment={VARIABLE: KEY}) as bed:
        kept = await bed.outcome(Plan(body=body, headers=user))
        not_kept = await bed.outcome(Plan(body=body, headers=(*user, ("X-LLM-Capture-Content", "false"))))
        assert await bed.served.terminate() == 0
    data = bed.served.data
    assert canaries.scan(paths=[data], events=[*kept.events, *not_kept.events]) == []
    monkeypatch.setenv(VARIABLE, KEY)
    assert content_of(data, not_kept.end["exchange_id"], role="admin", who="test") is None
    content = content_of(data, kept.end["exchange_id"], role="admin", who="test")
    assert content is not None
    (message,) = content.document["request"]["messages"]
    assert message["content"] == f"{canaries.token('user_text')} [emails]"
    assert content.document["reply"]["text"]
    sealed = b"".join(path.read_bytes() for path in data.glob("content-0.db*"))
    assert in_each(data, lambda file: file.forget("user_to_forget")) == 1
    left = b"".join(path.read_bytes() for path in data.glob("content-0.db*"))
    assert kept.end["exchange_id"].encode() in sealed
    assert kept.end["exchange_id"].encode() not in left
    assert {path.stat().st_mode & 0o077 for path in data.iterdir() if path.is_file()} == {0}
