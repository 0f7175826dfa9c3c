"""`store forget` leaves nothing of a user, wherever it was kept."""

import json
from pathlib import Path

import orjson
import pytest

from proxy.adapters.analysis import open_analysis, segments
from proxy.adapters.content.files import ContentFile, Row, Sealed, path_of
from proxy.adapters.journal import schema
from proxy.cli import main

USER = "user_qzqz_canary"


def fill(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record, an outcome, a waiting event, a file of the analysis, and content."""
    connection = schema.connect(data / "journal-0.db")
    record = orjson.dumps({"distinct_id": USER, "received_unix_us": 1, "event": "e", "properties": {}})
    connection.execute(
        "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) VALUES ('c1', 't', 1, ?)", (record,)
    )
    connection.execute(
        "INSERT INTO outcome(uuid, exchange_id, trace_id, name, at_unix_us, body) VALUES ('u1', '', 't', 'e', 1, ?)",
        (record,),
    )
    connection.execute(
        "INSERT INTO outbox(uuid, exchange_id, name, bytes, created_unix_us, body) VALUES ('u2', 'c1', 'e', 9, 1, ?)",
        (record,),
    )
    connection.close()
    monkeypatch.setattr(segments, "BATCH_ROWS", 1)
    with open_analysis(data) as analysis:
        assert len(analysis.query("FROM calls")) == 1
    sealed = Sealed("k", b"sealed")
    with ContentFile(path_of(data, 0)) as file:
        file.add([Row(exchange_id="c1", trace_id="t", distinct_id=USER, ended_unix_us=1, level="full", sealed=sealed)])


def found(data: Path) -> list[str]:
    return [path.name for path in sorted(data.rglob("*")) if path.is_file() and USER.encode() in path.read_bytes()]


def test_nothing_of_the_user_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, monkeypatch)
    assert len(found(tmp_path)) >= 4
    assert main(["store", "forget", "--distinct-id", "somebody", "--data", str(tmp_path)]) == 0
    assert len(found(tmp_path)) >= 4
    capsys.readouterr()
    assert main(["store", "forget", "--distinct-id", USER, "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ("Forgotten: records, outcomes, waiting events, and the content of 1 calls.\n")
    assert found(tmp_path) == []


def test_what_was_put_aside_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.connect(tmp_path / "journal-0.db").close()
    (tmp_path / "journal-0.db.corrupt-20260528T202640Z").touch()
    assert main(["store", "forget", "--distinct-id", USER, "--data", str(tmp_path)]) == 1
    assert "  journal-0.db.corrupt-20260528T202640Z\n" in capsys.readouterr().out
    assert main(["store", "forget", "--distinct-id", USER, "--data", str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told == {"content": 0, "late": 0, "rows": 0, "put_aside": ["journal-0.db.corrupt-20260528T202640Z"]}


def test_nobody_is_not_a_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.connect(tmp_path / "journal-0.db").close()
    assert main(["store", "forget", "--distinct-id", "", "--data", str(tmp_path)]) == 2
    assert "--distinct-id" in capsys.readouterr().err
    assert main(["store", "forget", "--distinct-id", USER, "--data", str(tmp_path / "none")]) == 1
    assert "There is no journal" in capsys.readouterr().err
