"""What is kept of a call, as its spans tell it; and whatever is in the way, they tell the rest."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from proxy.adapters.content import opening
from proxy.adapters.content.files import ContentFile, Row, in_each, path_of
from proxy.adapters.content.opening import openings
from proxy.adapters.content.sealing import Sealer
from proxy.adapters.otel.content import KeptContent
from proxy.adapters.otel.messages import INPUT, OUTPUT
from proxy.domain.content_key import VARIABLE
from proxy.domain.events import EventPolicy, closing, recorded
from tests.harness.exchanges import finished

KEY, OTHER_KEY = (bytes([number]) * 32 for number in (1, 2))
DOCUMENT = {"level": "full", "request": {"messages": [{"role": "user", "content": "hi"}]}, "reply": {"text": "ho"}}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, base64.b64encode(KEY).decode())


def record(**changes: Any) -> dict[str, Any]:
    return recorded(closing(finished(exchange_id="c1", **changes), EventPolicy()).record)


def keep(directory: Path, document: object = DOCUMENT) -> None:
    sealed = Sealer([KEY]).seal(orjson.dumps(document), "c1")
    row = Row(exchange_id="c1", trace_id="t1", distinct_id="u", ended_unix_us=1, level="full", sealed=sealed)
    with ContentFile(path_of(directory, 0)) as file:
        file.add([row])


def told(directory: Path, **changes: Any) -> dict[str, Any]:
    with KeptContent(directory) as content:
        return dict(content.of(record(**changes)))


def test_what_is_kept_is_told_and_the_opening_noted(tmp_path: Path) -> None:
    keep(tmp_path)
    made = told(tmp_path)
    assert json.loads(made[INPUT])[0]["parts"] == [{"type": "text", "content": "hi"}]
    assert json.loads(made[OUTPUT])[0]["finish_reason"] == "stop"
    noted = [(it.who, it.role, it.exchange_id, it.trace_id, it.result) for it in openings(tmp_path)]
    assert noted == [("otlp", "service", "c1", "t1", "opened")]


def forgotten(directory: Path, _: pytest.MonkeyPatch) -> None:
    in_each(directory, lambda file: file.forget("u"))


def without_key(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)


def never_kept(directory: Path, _: pytest.MonkeyPatch) -> None:
    path_of(directory, 0).unlink()


@pytest.mark.parametrize("away", [forgotten, without_key, never_kept])
def test_where_nothing_is_kept_or_no_key_is_there_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    keep(tmp_path)
    away(tmp_path, monkeypatch)
    assert told(tmp_path) == {}
    assert openings(tmp_path) == []


def test_with_another_key_nothing_is_told_and_that_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)
    monkeypatch.setenv(VARIABLE, base64.b64encode(OTHER_KEY).decode())
    assert told(tmp_path) == {}
    assert [it.result for it in openings(tmp_path)] == ["no_key"]


def test_where_no_row_can_be_left_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise apsw.FullError

    keep(tmp_path)
    monkeypatch.setattr(opening.Opener, "_note", full)
    assert told(tmp_path) == {}
    (tmp_path / opening.FILE_NAME).write_bytes(b"no database" * 1_000)
    assert told(tmp_path) == {}


def test_content_that_has_no_shape_costs_the_span_nothing_else(tmp_path: Path) -> None:
    deep = {"type": "function_call", "arguments": "[" * 300 + "]" * 300}
    keep(tmp_path, {"level": "full", "request": {"input": [deep]}, "reply": {}})
    assert told(tmp_path) == {}
