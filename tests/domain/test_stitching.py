from dataclasses import replace

import pytest

from proxy.domain.fields import fields_of
from proxy.domain.identity import VirtualKey
from proxy.domain.stitching import (
    MOST_FOLLOWERS,
    NOBODYS,
    REPEAT_WINDOW_MS,
    Asked,
    Keys,
    Trail,
    asked_of,
    packed_request,
    repeats_before,
    tenant_of,
    trail_of,
)
from proxy.domain.tool_calls import ToolCall

SECRET = b"0123456789abcdef"
ASKED = Asked(
    at_unix_ms=1_795_000_000_000, step=3, retries=2, ordinal=1, attempt=0,
    exchange_id="0198c0de-0000-7000-8000-000000000abc", name="get_weather",
)  # fmt: skip


def keys(tenant: bytes = b"t" * 16, person: str = "", secret: bytes = SECRET) -> Keys:
    return Keys(tenant, person, secret)


def test_a_trail_is_found_as_it_was_left() -> None:
    trail = Trail("trace_é", 7).followed(b"abcdef")
    assert trail is not None
    assert trail_of(trail.packed()) == trail
    assert (trail.step, trail.followers) == (7, 1)


@pytest.mark.parametrize("value", [None, b"", NOBODYS, b"\x02" + bytes(20)])
def test_what_is_no_trail_leads_nowhere(value: bytes | None) -> None:
    assert trail_of(value) is None


def test_a_trace_with_a_long_name_is_not_remembered() -> None:
    assert Trail("x" * 65).packed() is None
    assert len(Trail("x" * 64, 10**9).packed() or b"") <= 96


def test_a_reply_is_followed_in_a_few_ways_and_in_each_any_number_of_times() -> None:
    trail: Trail | None = Trail("t")
    for way in range(MOST_FOLLOWERS):
        for _ in range(5):
            assert trail is not None
            trail = trail.followed(bytes([way + 1]) * 16)
    assert trail is not None
    assert trail.followed(b"another one") is None


def test_a_call_is_found_as_it_was_left() -> None:
    assert asked_of(ASKED.packed()) == ASKED
    assert len(ASKED.packed()) <= 96
    assert asked_of(None) is asked_of(b"short") is None


def test_the_name_of_a_tool_is_whole_or_absent() -> None:
    named = [replace(ASKED, name="n" * length).packed() for length in (64, 67, 68)]
    assert [len(found.name) for packed in named if (found := asked_of(packed))] == [64, 67, 0]
    assert all(len(packed) <= 96 for packed in named)


def test_repeats_are_counted_within_the_window() -> None:
    first = packed_request(1_000, repeats_before(None, 1_000))
    assert repeats_before(first, 1_000 + REPEAT_WINDOW_MS) == 1
    second = packed_request(1_000 + REPEAT_WINDOW_MS, 1)
    assert repeats_before(second, 1_000 + 2 * REPEAT_WINDOW_MS) == 2
    assert repeats_before(second, 1_001 + 2 * REPEAT_WINDOW_MS) == 0
    assert repeats_before(b"other", 1_000) == 0


def test_every_key_is_its_callers_own() -> None:
    other = [keys(b"u" * 16), keys(secret=b"another secret")]
    call = ToolCall("c", "search", b"d" * 16)
    made = {
        key
        for own in (keys(), *other)
        for key in (
            own.response("x"), own.tool_call("x"), own.asked("x", None), own.reported("x", 0), own.conversation(b"x"),
            own.request(b"x", "m"), own.trace_of_request(b"x", "m"), own.same_call("t", call),
        )
    }  # fmt: skip
    assert len(made) == 3 * 8
    assert {len(key) for key in made} == {16}


def test_conversations_and_requests_are_their_users_own() -> None:
    mine, theirs = keys(person="a"), keys(person="b")
    assert mine.conversation(b"x") != theirs.conversation(b"x")
    assert mine.request(b"x", "m") != theirs.request(b"x", "m") != theirs.request(b"x", "n")
    assert mine.response("x") == theirs.response("x")
    assert mine.tool_call("x") == theirs.tool_call("x")


def test_ids_that_a_server_counts_are_told_apart_by_their_conversation() -> None:
    assert keys().asked("functions.search:0", b"a") != keys().asked("functions.search:0", b"b")
    assert keys().asked("call_7Gk2aVbQ0pLm3nXy", b"a") == keys().asked("call_7Gk2aVbQ0pLm3nXy", None)


def tenant(*headers: tuple[str, str], query: str = "", key: VirtualKey | None = None) -> bytes:
    return tenant_of(fields_of(headers), query, key)


def test_a_tenant_is_a_key_or_else_a_credential() -> None:
    web, batch = VirtualKey(alias="web"), VirtualKey(alias="batch")
    auth = ("Authorization", "Bearer sk-1")
    assert tenant(auth, key=web) == tenant(key=web) != tenant(auth, key=batch)
    assert tenant(auth) == tenant(("authorization", " Bearer sk-1"), ("X-Other", "1")) != tenant(key=web)
    assert len({tenant(auth), tenant(("x-api-key", "sk-1")), tenant(query="key=sk-2"), tenant()}) == 4
    assert tenant(query="a=b&k%65y=sk%2D1") == tenant(query="key=sk-1")
