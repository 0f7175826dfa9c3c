"""Content is kept redacted and sealed, opened by who may, noted when opened, and gone when it is deleted."""

import base64
import io
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from proxy.adapters.content import handover
from proxy.adapters.content.document import document
from proxy.adapters.content.files import ContentFile, Row, Sealed, content_files, in_each, path_of
from proxy.adapters.content.handover import ContentHandover, KeepingSettings
from proxy.adapters.content.keeper import Keeper, serve
from proxy.adapters.content.opening import (
    FILE_NAME,
    SERVICE,
    TRACES,
    NoKey,
    NotAllowed,
    Opener,
    content_of,
    kept_among,
    openings,
)
from proxy.adapters.content.sealing import CannotOpen, Sealer
from proxy.domain.capture import Captured, CapturePolicy, Level
from proxy.domain.content_key import VARIABLE
from proxy.domain.redaction import Redaction

KEY, OTHER_KEY = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
DAY_US = 86_400_000_000
NOW_US = 1_780_000_000_000_000
RULES = Redaction(("keys", "emails"), {"ticket": r"TICKET-\d+"})
REQUEST = orjson.dumps({"messages": [{"role": "user", "content": "I am ada@example.org, see TICKET-7"}]})
REPLY = b"".join(
    b"data: %b\n\n" % orjson.dumps({"choices": [{"delta": {"content": piece}}]})
    for piece in ("use sk-proj-", "Abcd1234efgh5678")
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


def settings(directory: Path) -> KeepingSettings:
    policy = CapturePolicy(redact=("keys", "emails"), patterns={"ticket": r"TICKET-\d+"}, store_max_age_s=86_400)
    return KeepingSettings(directory=directory, worker=0, policy=policy, max_bytes=1 << 20)


def lasting(directory: Path) -> KeepingSettings:
    """For a child process, which sweeps by the real time: what is kept here stays."""
    shared = settings(directory)
    return replace(shared, policy=replace(shared.policy, store_max_age_s=100 * 365 * 86_400))


def captured(exchange_id: str = "c1", **changes: Any) -> Captured:
    values: dict[str, Any] = {
        "exchange_id": exchange_id,
        "trace_id": "t1",
        "distinct_id": "user_1",
        "ended_unix_us": NOW_US,
        "level": Level.FULL,
        "max_bytes": 10_000,
        "request": REQUEST,
        "reply": [REPLY[:50], REPLY[50:]],
    }
    return Captured(**values | changes)


def row(exchange_id: str, *, ended_unix_us: int = NOW_US, distinct_id: str = "user_1", size: int = 100) -> Row:
    return Row(
        exchange_id=exchange_id,
        trace_id="t1",
        distinct_id=distinct_id,
        ended_unix_us=ended_unix_us,
        level="full",
        sealed=Sealed("k", exchange_id.encode() * (size // len(exchange_id))),
    )


def kept(directory: Path) -> list[str]:
    ids = []
    for path in content_files(directory):
        connection = apsw.Connection(str(path))
        ids += [row[0] for row in connection.execute("SELECT exchange_id FROM content ORDER BY exchange_id")]
        connection.close()
    return ids


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_what_a_worker_hands_over_can_be_opened(tmp_path: Path) -> None:
    content = ContentHandover(lasting(tmp_path))
    content.keep(captured())
    content.keep(captured("c2", request=None, reply=[]))
    content.close(30)
    assert content.lost == 0
    opened = content_of(tmp_path, "c1", role="admin", who="ada")
    assert opened is not None
    assert (opened.trace_id, opened.ended_unix_us, opened.level) == ("t1", NOW_US, "full")
    assert opened.document == {
        "level": "full",
        "request": {"messages": [{"role": "user", "content": "I am [emails], see [ticket]"}]},
        "reply": {"text": "use [keys]"},
    }
    assert content_files(tmp_path) == [path_of(tmp_path, 0)]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    for secret in (b"ada@example.org", b"TICKET-7", b"Abcd1234efgh5678", b"messages"):
        assert secret not in bytes_of(tmp_path)


def test_what_has_no_room_is_let_go_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAX_BYTES", len(REQUEST))
    content = ContentHandover(settings(tmp_path))
    content.keep(captured())
    assert content.lost == 1
    content.close(5)
    content.keep(captured(request=None, reply=[]))
    assert content.lost == 2, "after the end nothing is taken"
    assert not list(tmp_path.iterdir()), "no child was needed"


def test_what_is_not_written_when_the_time_is_up_is_let_go_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handover, "END_S", 0.2)
    content = ContentHandover(settings(tmp_path), module="tests.harness.deaf")
    for _ in range(3):
        content.keep(captured(request=b"x" * (1 << 20)))
    content.close(0.2)
    assert content.lost == 3
    assert "content of calls was let go: there was no time to write it" in caplog.messages
    assert "content" not in [thread.name for thread in threading.enumerate()]


def test_a_child_that_dies_costs_what_was_on_its_way_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = ContentHandover(settings(tmp_path), module="tests.harness")  # ends at once: it has no main
    big = captured(request=b"x" * (1 << 20))
    for _ in range(3):
        content.keep(big)
    content.close(30)
    assert content.lost >= 2
    assert caplog.messages.count("the process that keeps content has died: none is kept for a while") == 1


def test_other_settings_are_taken_up(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    content = ContentHandover(lasting(tmp_path / "a"))
    content.keep(captured("c1"))
    content.close(30)
    content = ContentHandover(lasting(tmp_path / "a"))
    content.take_up(lasting(tmp_path / "b"))
    content.keep(captured("c2"))
    content.close(30)
    assert (kept(tmp_path / "a"), kept(tmp_path / "b")) == (["c1"], ["c2"])


def test_a_call_that_cannot_be_kept_costs_itself_alone(tmp_path: Path) -> None:
    told = orjson.loads(settings(tmp_path).line())
    heads = [
        {"exchange_id": name, "trace_id": "t", "distinct_id": "u", "ended_unix_us": 1, "level": level}
        | {"max_bytes": 100, "request_bytes": 2, "reply_bytes": 3}
        for name, level in (("c1", "full"), ("c2", "unheard of"), ("c3", "tools"))
    ]
    stream = io.BytesIO(b"".join(orjson.dumps(head) + b"\n{}abc" for head in heads))
    assert serve(stream, Keeper(told, KEY, lambda: NOW_US)) == 1
    assert kept(tmp_path) == ["c1", "c3"]


def test_without_a_key_nothing_is_kept_and_what_is_old_goes_all_the_same(tmp_path: Path) -> None:
    with ContentFile(path_of(tmp_path, 3)) as file:
        file.add([row("old", ended_unix_us=NOW_US - 2 * DAY_US), row("new")])
    keeper = Keeper(orjson.loads(settings(tmp_path).line()), "", lambda: NOW_US)
    keeper.keep({}, None, b"")
    assert keeper.sweep() == 1
    assert kept(tmp_path) == ["new"]


@pytest.mark.parametrize("by", ["age", "bytes", "user"])
def test_what_is_deleted_is_nowhere_in_the_folder(tmp_path: Path, by: str) -> None:
    """Not in freed pages, nor in the log: also for bodies of several pages."""
    for worker in (0, 1):
        with ContentFile(path_of(tmp_path, worker)) as file:
            file.add(
                row(f"gone{worker}-{number}", ended_unix_us=NOW_US - DAY_US, distinct_id="user_gone", size=9_000)
                for number in range(20)
            )
            file.add([row(f"stays{worker}", size=9_000)])
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    deleted = in_each(
        tmp_path,
        {
            "age": lambda file: file.expire(NOW_US - DAY_US // 2, 1 << 30),
            "bytes": lambda file: file.expire(0, 10_000),
            "user": lambda file: file.forget("user_gone"),
        }[by],
    )
    assert deleted == 40
    assert kept(tmp_path) == ["stays0", "stays1"]
    assert b"gone" not in bytes_of(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < before / 4


def test_bytes_are_bounded_by_the_oldest(tmp_path: Path) -> None:
    with ContentFile(path_of(tmp_path, 0)) as file:
        file.add(row(f"c{number}", ended_unix_us=NOW_US + number, size=1_000) for number in range(10))
        assert file.expire(0, 3 * 1_600) == 7
    assert kept(tmp_path) == ["c7", "c8", "c9"]


def test_who_may_not_see_content_does_not_and_is_noted(tmp_path: Path) -> None:
    with ContentFile(path_of(tmp_path, 0)) as file:
        sealed = Sealer([base64.b64decode(KEY)]).seal(b'{"level":"full"}', "c1")
        file.add([Row(exchange_id="c1", trace_id="t1", distinct_id="u", ended_unix_us=1, level="full", sealed=sealed)])
    with pytest.raises(NotAllowed):
        content_of(tmp_path, "c1", role="viewer", who="eve")
    assert content_of(tmp_path, "c9", role="admin", who="ada") is None
    assert content_of(tmp_path, "c1", role="admin", who="ada") is not None
    assert kept_among(tmp_path, ["c1", "c9"]) == {"c1"}
    noted = [(it.who, it.role, it.exchange_id, it.trace_id, it.result) for it in openings(tmp_path)]
    assert noted == [
        ("ada", "admin", "c1", "t1", "opened"),
        ("ada", "admin", "c9", "", "absent"),
        ("eve", "viewer", "c1", "t1", "refused"),
    ]
    assert len(openings(tmp_path, 1)) == 1


def test_what_was_opened_for_spans_is_noted_for_as_long_as_content_is_kept(tmp_path: Path) -> None:
    """A person's rows stay, though nothing is kept any more."""
    now_us = [time.time_ns() // 1_000]
    keeper = Keeper({**orjson.loads(settings(tmp_path).line()), "max_age_s": 60}, KEY, lambda: now_us[0])
    keeper.sweep()
    assert not (tmp_path / FILE_NAME).exists()
    head = {"exchange_id": "c1", "trace_id": "t1", "distinct_id": "u", "level": "full", "max_bytes": 9}
    keeper.keep({**head, "ended_unix_us": now_us[0]}, REQUEST, REPLY)
    with Opener(tmp_path, role=SERVICE, who=TRACES) as opener:
        assert opener.has("c1")
        assert not opener.has("c9")
        assert opener.open("c1") is not None
    assert content_of(tmp_path, "c1", role="operator", who="ada") is not None
    keeper.sweep()
    assert [(it.who, it.role) for it in openings(tmp_path)] == [("ada", "operator"), ("otlp", "service")]
    now_us[0] += 61_000_000
    keeper.sweep()
    assert [it.who for it in openings(tmp_path)] == ["ada"]
    assert kept_among(tmp_path, ["c1"]) == frozenset()


@pytest.mark.parametrize(("text", "why"), [("", "is not set"), ("?", "is not base64"), (OTHER_KEY, "another key")])
def test_without_the_key_nothing_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str) -> None:
    with ContentFile(path_of(tmp_path, 0)) as file:
        sealed = Sealer([base64.b64decode(KEY)]).seal(b"{}", "c1")
        file.add([Row(exchange_id="c1", trace_id="t1", distinct_id="u", ended_unix_us=1, level="full", sealed=sealed)])
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(NoKey, match=why):
        content_of(tmp_path, "c1", role="admin", who="ada")
    assert [it.result for it in openings(tmp_path)] == ["no_key"]


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old, new = bytes(32), bytes([7]) * 32
    sealed = Sealer([old]).seal(b"text", "c1")
    both = Sealer([new, old])
    assert both.open(sealed, "c1") == b"text"
    assert both.seal(b"text", "c1").key_id != sealed.key_id
    with pytest.raises(CannotOpen):
        Sealer([new]).open(sealed, "c1")
    with pytest.raises(CannotOpen):
        both.open(sealed, "c2")
    with pytest.raises(CannotOpen):
        both.open(Sealed(sealed.key_id, sealed.body[:-1] + bytes([sealed.body[-1] ^ 1])), "c1")


TOOL_ANSWER = {"role": "tool", "tool_call_id": "c1", "content": "7 pieces for ada@example.org"}
TOOL_USE = {"type": "tool_use", "name": "f", "input": {"id": 7}}
CALLS = {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}


def test_tools_alone_are_kept_where_that_is_asked(tmp_path: Path) -> None:
    request = {
        "system": "secret",
        "tools": [{"type": "function_call", "name": "only offered"}],
        "response_format": {"json_schema": {"schema": {"type": ["object", "null"]}}},
        "messages": [
            {"role": "user", "content": "secret"},
            {"role": "assistant", "content": "secret", **CALLS},
            TOOL_ANSWER,
            {"role": "assistant", "content": [{"type": "text", "text": "secret"}, TOOL_USE]},
        ],
    }
    reply = orjson.dumps({"choices": [{"message": {"content": "secret", **CALLS}}]})
    made = document(Level.TOOLS, orjson.dumps(request), reply, RULES, 10_000)
    assert made == {
        "level": "tools",
        "request": [CALLS, {**TOOL_ANSWER, "content": "7 pieces for [emails]"}, TOOL_USE],
        "reply": {"tool_calls": [{"name": "f", "arguments": "{}"}]},
    }


def test_parts_are_bounded_and_blobs_left_out() -> None:
    image = "data:image/png;base64," + "iVBOR" * 2_000
    request = orjson.dumps({"image": image, "text": "word " * 2_000})
    made = document(Level.FULL, request, REPLY, RULES, 5_000)
    assert made["cut"] == ["request"]
    assert isinstance(made["request"], str)
    assert len(made["request"]) == 5_000
    assert made["request"].startswith('{"image":"[10022 characters left out]","text":"word word')


@pytest.mark.parametrize("request_body", [None, b"no json"])
def test_a_request_that_cannot_be_read_is_left_out(request_body: bytes | None) -> None:
    made = document(Level.FULL, request_body, b"", RULES, 100)
    assert made == {"level": "full", "reply": {}, "left_out": ["request"]}


@pytest.mark.parametrize("depth", [300, 1_000])
def test_what_is_nested_beyond_reason_is_left_out(depth: int) -> None:
    request = b'{"a":' * depth + b"1" + b"}" * depth
    assert document(Level.FULL, request, b"", RULES, 100)["left_out"] == ["request"]
