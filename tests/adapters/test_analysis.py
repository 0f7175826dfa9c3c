"""Whatever happens to the files, each record is in the tables once, and each of its values in its column."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from proxy.adapters.analysis import Analysis, columns, expire, expiry, forget, open_analysis, segments
from proxy.adapters.analysis.segments import folder_of
from proxy.adapters.journal import schema
from proxy.domain.errors import ErrorType
from proxy.domain.events import EventPolicy, closing, opening
from proxy.domain.journal_rows import Closing
from tests.harness.exchanges import EXCHANGE_ID, RECEIVED_UNIX_US, SPARE, attempt, caller, finished

RECEIVED = datetime.fromtimestamp(RECEIVED_UNIX_US / 1e6, UTC)


class Journal:
    """A worker's file, written by hand; calls are known by numbers."""

    def __init__(self, directory: Path, worker: int = 0) -> None:
        self.path = directory / f"journal-{worker}.db"
        self._connection = schema.connect(self.path)

    def end(self, *numbers: int) -> None:
        for number in numbers:
            record = {"received_unix_us": RECEIVED_UNIX_US, "event": "llm_request_completed", "properties": {}}
            self.keep(f"c{number:06}", orjson.dumps(record), RECEIVED_UNIX_US + number)

    def keep(self, exchange_id: str, record: bytes, ended_unix_us: int) -> None:
        self._connection.execute(
            "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES (?, 'trace_1', ?, ?)",
            (exchange_id, ended_unix_us, record),
        )

    def rate(self, *uuids: str, **properties: object) -> None:
        name = "llm_output_rated"
        for uuid in uuids:
            body = orjson.dumps({"event": name, "uuid": uuid, "distinct_id": "user_1", "properties": properties})
            self._connection.execute(
                "INSERT INTO outcome(uuid, exchange_id, trace_id, name, at_unix_us, body) VALUES (?, '', 't', ?, ?, ?)",
                (uuid, name, RECEIVED_UNIX_US, body),
            )

    def forget_first(self, count: int) -> None:
        self._connection.execute(
            "DELETE FROM exchange WHERE seq IN (SELECT seq FROM exchange ORDER BY seq LIMIT ?)", (count,)
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[Journal]]:
    """Two workers'."""
    both = [Journal(tmp_path, worker) for worker in (0, 1)]
    yield both
    for journal in both:
        journal.close()


@pytest.fixture
def analysis(tmp_path: Path) -> Iterator[Analysis]:
    with open_analysis(tmp_path) as opened:
        yield opened


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of three rows, merged by four."""
    for name, value in (("BATCH_ROWS", 3), ("SMALL_ROWS", 7), ("MANY", 4)):
        monkeypatch.setattr(segments, name, value)


def numbers(analysis: Analysis) -> list[int]:
    analysis.refresh()
    return [int(row["exchange_id"][1:]) for row in analysis.query("SELECT exchange_id FROM calls ORDER BY exchange_id")]


def look(directory: Path) -> list[int]:
    with open_analysis(directory) as opened:
        return numbers(opened)


def files(directory: Path) -> list[Path]:
    return sorted(folder_of(directory).glob("*.parquet"))


def one(analysis: Analysis, sql: str, params: Sequence[object] = ()) -> dict[str, Any]:
    analysis.refresh()
    (row,) = analysis.query(sql, params)
    return row


@pytest.mark.parametrize("is_old", [False, True], ids=["in memory", "in a file"])
def test_each_value_of_a_record_has_its_column(
    journals: list[Journal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_old: bool
) -> None:
    monkeypatch.setattr(segments, "BATCH_ROWS", 1 if is_old else 100)
    flags = (("odd/~'\"name", "treatment"), ("on", "true"))
    who = caller(flags=flags, groups={"company": "acme"}, properties={"plan": "pro"}, session_id="s1")
    tried = [attempt(error_type=ErrorType.TIMEOUT_IDLE, reading=None), attempt(ordinal=1, target=SPARE)]
    made = closing(finished(*tried, caller=who), EventPolicy())
    _keep(journals[0], made)
    with open_analysis(tmp_path) as analysis:
        call = one(analysis, "SELECT * FROM calls")
        attempts = analysis.query("SELECT * FROM attempts ORDER BY attempt")
    assert bool(files(tmp_path)) is is_old
    told = orjson.loads(made.record)["properties"]
    expected = {name.removeprefix("$"): value for name, value in told.items() if not name.startswith("$feature/")}
    assert {name: call[name] for name in expected} == expected
    assert call["flags"] == dict(flags)
    assert call["groups"] == {"company": "acme"}
    assert orjson.loads(call["own"]) == {"plan": "pro"}
    assert (call["distinct_id"], call["event"]) == ("user_8f3a", "llm_request_completed")
    assert (call["started_at"], call["ended_at"]) == (RECEIVED, RECEIVED + timedelta(milliseconds=1840))
    assert [row["error_type"] for row in attempts] == ["timeout_idle", None]
    assert (attempts[1]["target"], attempts[1]["cost_usd"], attempts[1]["started_us"]) == (
        "spare/qwen3",
        0.0048,
        10_000,
    )


def _keep(journal: Journal, made: Closing) -> None:
    journal.keep(made.exchange_id, made.record, made.ended_unix_us)


def test_a_call_whose_process_died_is_one_that_failed(journals: list[Journal], analysis: Analysis) -> None:
    journals[0].keep(EXCHANGE_ID, opening(finished(), EventPolicy()).facts, RECEIVED_UNIX_US + 5)
    call = one(analysis, "SELECT * FROM calls")
    assert (call["event"], call["status"], call["error_type"]) == ("llm_request_failed", "error", "interrupted")
    assert (call["requested_model"], call["latency_ms"]) == ("gpt-4.1-mini", None)


def test_outcomes_have_columns_and_all_their_properties(journals: list[Journal], analysis: Analysis) -> None:
    told: dict[str, Any] = {"user_feedback": "negative", "eval_score": 0.5, "shelf": "b", "$feature/x": "control"}
    journals[1].rate("u1", **told)
    outcome = one(analysis, "SELECT * FROM outcomes")
    assert (outcome["uuid"], outcome["name"], outcome["trace_id"], outcome["exchange_id"]) == (
        "u1", "llm_output_rated", "t", None,
    )  # fmt: skip
    assert (outcome["user_feedback"], outcome["eval_score"], outcome["at"]) == ("negative", 0.5, RECEIVED)
    assert orjson.loads(outcome["properties"]) == told
    assert outcome["flags"] == {"x": "control"}


def test_a_value_of_another_type_is_null_and_a_text_that_is_no_json_is_left_out(
    journals: list[Journal], analysis: Analysis
) -> None:
    journals[0].keep("c1", b'{"event": "e", "properties": {"latency_ms": "slow", "model": "m"}}', 0)
    journals[0].keep("c2", b'{"event": "e", "prope', 0)
    journals[0].keep("c3", b"\xff\xfe", 0)
    call = one(analysis, "SELECT * FROM calls")
    assert (call["exchange_id"], call["latency_ms"], call["model"]) == ("c1", None, "m")


def test_times_carry_their_zone_both_ways(journals: list[Journal], analysis: Analysis) -> None:
    journals[0].end(1, 2)
    west = (RECEIVED + timedelta(microseconds=2)).astimezone(timezone(-timedelta(hours=9)))
    for query, params in (("ended_at >= ?", [west]), ("ended_at >= $since", {"since": west})):
        analysis.refresh()
        rows = analysis.query(f"SELECT ended_at FROM calls WHERE {query}", params)
        assert [row["ended_at"] for row in rows] == [west]


@pytest.mark.usefixtures("small")
def test_each_call_is_there_once_however_files_grow(journals: list[Journal], tmp_path: Path) -> None:
    with open_analysis(tmp_path) as analysis:
        for number in range(1, 25):
            journals[number % 2].end(number)
            journals[0].rate(f"u{number}")
            assert numbers(analysis) == list(range(1, number + 1))
            assert one(analysis, "SELECT count(*) AS n FROM outcomes")["n"] == number
        assert look(tmp_path) == numbers(analysis)
    assert 2 < len(files(tmp_path)) < 10, "files are merged"


@pytest.mark.usefixtures("small")
def test_many_processes_may_look_at_once(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(*range(50))
    journals[1].end(*range(50, 100))
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(look, [tmp_path] * 4))
    assert seen == [list(range(100))] * 4


@pytest.mark.usefixtures("small")
def test_a_query_goes_on_where_files_were_merged_meanwhile(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(*range(9))
    with open_analysis(tmp_path) as early:
        before = files(tmp_path)
        journals[0].end(*range(9, 30))
        look(tmp_path)
        assert not set(before) & set(files(tmp_path))
        assert early.query("SELECT count(*) AS n FROM calls") == [{"n": 30}]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("is_same_inode", [False, True])
def test_a_journal_that_begins_anew_is_read_from_its_beginning(
    journals: list[Journal], tmp_path: Path, is_same_inode: bool
) -> None:
    journals[0].end(*range(8))
    assert look(tmp_path) == list(range(8))
    old = journals[0].path.stat()
    journals[0].close()
    journals[0].path.unlink()
    journals[0] = Journal(tmp_path)
    new = journals[0].path.stat()
    if is_same_inode:
        manifest = folder_of(tmp_path) / "manifest.json"
        manifest.write_text(manifest.read_text().replace(f":{old.st_ino}:", f":{new.st_ino}:"))
    assert look(tmp_path) == list(range(6)), "what files hold stays; what memory held is gone with its journal"
    journals[0].end(*range(5, 15))
    assert look(tmp_path) == list(range(15))


@pytest.mark.usefixtures("small")
def test_a_journal_that_lost_its_oldest_rows_is_read_on(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(*range(8))
    assert look(tmp_path) == list(range(8))
    journals[0].end(*range(8, 20))
    journals[0].forget_first(10)
    assert look(tmp_path) == [*range(6), *range(10, 20)]


@pytest.mark.usefixtures("small")
def test_a_journal_that_is_put_aside_or_has_no_owner_changes_nothing(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(1, 2, 3)
    journals[1].end(4, 5)
    assert look(tmp_path) == [1, 2, 3, 4, 5]
    journals[0].path.rename(tmp_path / "journal-0.db.corrupt-20260528T202640Z")
    third = Journal(tmp_path, 2)
    third.end(6)
    assert look(tmp_path) == [1, 2, 3, 4, 5, 6]
    third.close()


def _garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _garble_list(path: Path) -> None:
    (path.parent / "manifest.json").write_bytes(b'{"layout": 1, "gen')


def _age_layout(path: Path) -> None:
    manifest = path.parent / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"layout":{columns.LAYOUT}', '"layout":0'))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("harm", [Path.unlink, _garble, _garble_list, _age_layout])
def test_files_that_cannot_be_used_are_made_again(journals: list[Journal], tmp_path: Path, harm: Any) -> None:
    journals[0].end(*range(20))
    assert look(tmp_path) == list(range(20))
    harmed = files(tmp_path)[0]
    harm(harmed)
    assert look(tmp_path) == list(range(20))
    assert harmed not in files(tmp_path), "and the old ones are deleted"


@pytest.mark.usefixtures("small")
def test_a_file_that_a_killed_process_left_is_deleted(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(*range(6))
    assert look(tmp_path) == list(range(6))
    left = folder_of(tmp_path) / "calls-0123.parquet"
    left.write_bytes(b"PAR1 half a file")
    journals[0].end(*range(6, 12))
    assert look(tmp_path) == list(range(12))
    assert not left.exists()


@pytest.mark.usefixtures("small")
def test_a_writer_that_fails_half_way_has_changed_nothing(
    journals: list[Journal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_analysis(tmp_path) as analysis:
        journals[0].end(1, 2)
        assert numbers(analysis) == [1, 2]
        journals[0].end(*range(3, 10))
        with monkeypatch.context() as patch:
            patch.setattr(segments, "make_durable", _full)
            with pytest.raises(OSError, match="full"):
                analysis.refresh()
        assert numbers(analysis) == list(range(1, 10))


def _full(_: Path) -> None:
    raise OSError("the disk is full")


def test_a_journal_that_cannot_be_read_is_named(journals: list[Journal], tmp_path: Path) -> None:
    journals[0].end(1)
    (tmp_path / "journal-7.db").write_bytes(b"not a database, but as long as one might be" * 50)
    with open_analysis(tmp_path) as analysis:
        assert numbers(analysis) == [1]
        assert analysis.unreadable == ("journal-7.db",)


def test_queries_reach_no_other_file(analysis: Analysis, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/out.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            analysis.query(sql)


def test_files_are_for_their_owner_alone(
    journals: list[Journal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "BATCH_ROWS", 1)
    journals[0].end(1)
    assert look(tmp_path) == [1]
    folder = folder_of(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in files(tmp_path) if path.stat().st_mode & 0o077] == []


@pytest.mark.usefixtures("small")
def test_a_forgotten_user_leaves_the_files_and_whoever_has_them_open(journals: list[Journal], tmp_path: Path) -> None:
    for number in range(12):
        user = f"user_{number % 2}"
        record = {"distinct_id": user, "received_unix_us": 0, "event": "e", "properties": {}}
        journals[0].keep(f"c{number:06}", orjson.dumps(record), RECEIVED_UNIX_US)
    journals[0].rate("u1", "u2", "u3")
    with open_analysis(tmp_path) as early:
        assert len(numbers(early)) == 12
        assert forget(tmp_path, "user_1") == 6 + 3
        assert set(early.query("SELECT distinct_id FROM calls").pop().values()) == {"user_0"}
        assert early.query("SELECT count(*) AS n FROM outcomes") == [{"n": 0}]
        assert forget(tmp_path, "user_1") == 0
    assert not any(b"user_1" in path.read_bytes() for path in files(tmp_path))


@pytest.mark.usefixtures("small")
def test_what_is_too_old_leaves_the_files(journals: list[Journal], tmp_path: Path) -> None:
    assert expire(tmp_path, RECEIVED) == 0, "there are none yet"
    journals[0].end(*range(10))
    assert look(tmp_path) == list(range(10))
    assert expire(tmp_path, RECEIVED + timedelta(microseconds=5)) == 5
    journals[0].forget_first(9)
    assert look(tmp_path) == [5, 6, 7, 8, 9]
    assert expiry.main(str(tmp_path), "0") == 0
    assert look(tmp_path) == [9], "which is in the journal still"
    assert files(tmp_path) == []
