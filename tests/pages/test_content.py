from pathlib import Path

import pytest

from proxy.adapters.content.opening import Content, NoKey, openings
from proxy.pages import content

CALLS = [{"exchange_id": "x1"}, {"exchange_id": "x2"}]


def test_without_content_nothing_is_looked_up(tmp_path: Path) -> None:
    assert content.kept_of(tmp_path, CALLS) == frozenset()
    assert not list(tmp_path.iterdir())
    assert content.opened(tmp_path, "x1") == content.Opened(why="No content is kept of this call.")


def test_calls_with_content_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "kept_among", lambda _, ids: frozenset(ids) & {"x2", "x9"})
    assert content.kept_of(tmp_path, CALLS) == {"x2"}


def test_content_is_shown_as_it_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"request": {"messages": []}, "reply": '{"cut', "level": "full"}
    found = Content(exchange_id="x1", trace_id="t", ended_unix_us=1, level="full", document=document)
    monkeypatch.setattr(content, "content_of", lambda *_, **__: found)
    opened = content.opened(tmp_path, "x1")
    assert (opened.trace_id, opened.level) == ("t", "full")
    assert opened.parts == [("request", '{\n  "messages": []\n}'), ("reply", '{"cut')]


def test_a_missing_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sealed(*_: object, **__: object) -> None:
        raise NoKey("PROMPTLANE_CONTENT_KEY is not set")

    monkeypatch.setattr(content, "content_of", sealed)
    assert content.opened(tmp_path, "x1").why.startswith("The content is sealed, and PROMPTLANE_CONTENT_KEY")


def test_who_may_not_see_it_is_noted(tmp_path: Path) -> None:
    content.refuse(tmp_path, "x1")
    (noted,) = openings(tmp_path)
    assert (noted.who, noted.role, noted.exchange_id, noted.result) == ("pages", "viewer", "x1", "refused")
