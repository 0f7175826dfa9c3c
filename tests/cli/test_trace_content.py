"""`traces show --content` shows what is kept, once it is noted who looks, and else says why not."""

import base64
import json
import os
import pwd
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from proxy.adapters.content import opening
from proxy.adapters.content.files import ContentFile, Row, path_of
from proxy.adapters.content.opening import openings
from proxy.adapters.content.sealing import Sealer
from proxy.cli import main
from proxy.domain.content_key import VARIABLE
from proxy.pages.trace import read_trace
from tools.bench.store import fill

KEY = bytes([1]) * 32
DOCUMENT: dict[str, Any] = {
    "level": "full",
    "request": {"messages": [{"role": "user", "content": "hi\n\x9b1m"}]},
    "reply": '{"text": "ho',
    "cut": ["reply"],
}
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a trace of three calls, of which content is kept of the second alone."""
    monkeypatch.setenv(VARIABLE, base64.b64encode(KEY).decode())
    fill(tmp_path, 9, workers=1, until=datetime.now(UTC))
    _, second, _ = read_trace(tmp_path, "trace_1", None).calls
    exchange_id = second["exchange_id"]
    sealed = Sealer([KEY]).seal(orjson.dumps(DOCUMENT), exchange_id)
    row = Row(
        exchange_id=exchange_id, trace_id="trace_1", distinct_id="u", ended_unix_us=1, level="full", sealed=sealed
    )
    with ContentFile(path_of(tmp_path, 0)) as file:
        file.add([row])
    return tmp_path


def show(folder: Path, *words: str, trace: str = "trace_1") -> int:
    return main(["traces", "show", trace, "--content", "--data", str(folder), *words])


def test_what_is_kept_is_shown_below_its_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(folder) == 0
    out = capsys.readouterr().out
    assert out.startswith("trace trace_1\n3 calls")
    _, _, content = out.partition("\nContent of call 2, ")
    heading, *lines = content.splitlines()
    assert heading.endswith("level full; this opening is noted")
    assert lines[0] == "request:"
    assert r'"content": "hi\n?1m"' in content  # nothing moves the cursor
    assert lines[-2:] == ["reply, of which the beginning is kept:", '{"text": "ho']


def test_scripts_get_it_by_call_and_each_opening_is_noted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["content"].values()) == [DOCUMENT]
    assert list(told["content"]) == [told["calls"][1]["exchange_id"]]
    (noted,) = openings(folder)
    assert (noted.who, noted.role, noted.trace_id, noted.result) == (ME, "operator", "trace_1", "opened")
    assert main(["store", "openings", "--data", str(folder)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.startswith("time UTC            who ")
    assert row.split()[2:] == [ME, "operator", "opened", noted.exchange_id, "trace_1"]
    assert main(["store", "openings", "--data", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["who"] == ME


def test_without_being_asked_nothing_is_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traces", "show", "trace_1", "--data", str(folder)]) == 0
    assert main(["traces", "show", "trace_1", "--data", str(folder), "--json"]) == 0
    assert "Content of" not in capsys.readouterr().out
    assert main(["store", "openings", "--data", str(folder)]) == 0
    assert capsys.readouterr() == ("", "Nobody has opened content here.\n")


def without_key(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)


def with_another_key(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, base64.b64encode(bytes(32)).decode())


def unreadable(folder: Path, _: pytest.MonkeyPatch) -> None:
    path_of(folder, 0).write_bytes(b"no database" * 1_000)


def unwritable(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise apsw.ReadOnlyError

    monkeypatch.setattr(opening, "_audit", refuse)


def forgotten(folder: Path, _: pytest.MonkeyPatch) -> None:
    path_of(folder, 0).unlink()


@pytest.mark.parametrize(
    ("away", "why"),
    [
        (without_key, "The content is sealed: PROMPTLANE_CONTENT_KEY is not set or empty."),
        (with_another_key, "The content is sealed: PROMPTLANE_CONTENT_KEY holds another key than "),
        (unreadable, "The files of contents in "),
        (unwritable, "cannot be opened, or the opening cannot be noted there (ReadOnlyError); run this as the user"),
        (forgotten, "No content is kept of this trace"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_cannot_be_opened_is_told_and_nothing_is_shown(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    away: Any,
    why: str,
    words: tuple[str, ...],
) -> None:
    away(folder, monkeypatch)
    assert show(folder, *words) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert why in told.err
