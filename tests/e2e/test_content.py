"""Content that is asked for: nowhere to be read in the data folder, opened by the key's holder, gone when deleted."""

import base64
from pathlib import Path

import pytest

from proxy.adapters.content.files import in_each
from proxy.adapters.content.opening import content_of
from proxy.domain.content_key import VARIABLE
from tests.harness.bed import Bed
from tests.harness.canary import Canaries
from tests.harness.client import Plan

KEY = base64.b64encode(bytes(range(32))).decode()


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
