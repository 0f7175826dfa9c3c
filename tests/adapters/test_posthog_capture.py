from collections.abc import AsyncIterator

import pytest

from proxy.adapters.journal import OutboxRow
from proxy.adapters.posthog_capture import REPLY_MAX_BYTES, Capture, PostHogSettings
from proxy.adapters.posthog_reply import Action, Trouble
from tests.harness.posthog import Answer, ScriptedPostHog
from tests.harness.rows import event

KEY = "phc_key"
NOW_S = 1_800_000_000.0
ROWS = tuple(
    OutboxRow(one.uuid, "", one.name, len(one.body), created_unix_us=1, attempts=0, body=one.body)
    for one in (event("a", size_bytes=1000), event("b", size_bytes=1000))
)


@pytest.fixture
async def posthog() -> AsyncIterator[ScriptedPostHog]:
    async with ScriptedPostHog() as posthog:
        yield posthog


def capture(posthog: ScriptedPostHog, **settings: object) -> Capture:
    return Capture(PostHogSettings(host=posthog.url, api_key=KEY, **settings), lambda: NOW_S)  # type: ignore[arg-type]


@pytest.mark.parametrize("gzip", [True, False])
async def test_v0_carries_the_events_as_they_are(posthog: ScriptedPostHog, gzip: bool) -> None:
    client = capture(posthog, gzip=gzip)
    answer = await client.post(ROWS, is_historical=False, attempt=1)
    await client.close()
    assert (answer.status, answer.outcome.action) == (200, Action.SETTLE)
    (post,) = posthog.posts
    assert post.path == "/batch/"
    assert (post.wire_bytes < len(post.body)) is gzip
    assert set(post.document) == {"api_key", "historical_migration", "batch"}
    assert (post.document["api_key"], post.document["historical_migration"]) == (KEY, False)
    assert post.raw_events == [row.body for row in ROWS]


async def test_v1_has_the_key_in_a_header_and_the_same_id_at_each_attempt(posthog: ScriptedPostHog) -> None:
    client = capture(posthog, capture="v1")
    for attempt in (1, 2):
        await client.post(ROWS, is_historical=True, attempt=attempt)
    await client.close()
    first, second = posthog.posts
    assert first.head.get("authorization") == f"Bearer {KEY}"
    assert "api_key" not in first.document
    assert [post.head.get("posthog-attempt") for post in posthog.posts] == ["1", "2"]
    assert first.head.get("posthog-request-id") == second.head.get("posthog-request-id")
    assert first.raw_events == second.raw_events


async def test_a_redirect_is_an_answer_and_not_a_way(posthog: ScriptedPostHog) -> None:
    async with ScriptedPostHog() as elsewhere:
        posthog.scripts.append(Answer(status=307, headers={"Location": f"{elsewhere.url}/batch/"}))
        client = capture(posthog)
        answer = await client.post(ROWS, is_historical=False, attempt=1)
        await client.close()
        assert (answer.status, answer.outcome.trouble) == (307, Trouble.REDIRECTED)
        assert elsewhere.posts == []


async def test_an_endless_reply_is_not_read_to_its_end(posthog: ScriptedPostHog) -> None:
    posthog.scripts.append(Answer(body=b"[" + b" " * (4 * REPLY_MAX_BYTES) + b"]"))
    client = capture(posthog)
    answer = await client.post(ROWS, is_historical=False, attempt=1)
    await client.close()
    assert answer.outcome.action is Action.RESEND


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://", "nonsense"])
async def test_a_host_that_cannot_be_reached_is_an_answer(host: str) -> None:
    client = Capture(PostHogSettings(host=host, api_key=KEY), lambda: NOW_S)
    answer = await client.post(ROWS, is_historical=False, attempt=1)
    await client.close()
    assert (answer.status, answer.outcome.trouble) == (None, Trouble.UNREACHABLE)


@pytest.mark.parametrize(
    ("host", "ingestion"),
    [
        ("https://eu.posthog.com/", "https://eu.i.posthog.com"),
        ("https://app.posthog.com", "https://us.i.posthog.com"),
        ("https://us.i.posthog.com", "https://us.i.posthog.com"),
        ("https://analytics.example/", "https://analytics.example"),
    ],
)
def test_the_web_apps_address_is_taken_for_the_ingestion_host(host: str, ingestion: str) -> None:
    assert Capture(PostHogSettings(host=host, api_key=KEY), lambda: NOW_S).host == ingestion


def test_settings_do_not_show_the_key() -> None:
    assert KEY not in repr(PostHogSettings(host="h", api_key=KEY))
