"""The program in this very process, between two buffers."""

import io
import logging
from pathlib import Path

import pytest

from proxy.adapters.body_reader import framed, read_frame
from proxy.pages import child
from proxy.pages.request import PageReply, PageRequest, Reader
from proxy.pages.site import Site

REQUEST = PageRequest(path="/ui/traces", query="", reader=Reader(is_admin=True))


def answers(folder: Path, *requests: PageRequest) -> list[object]:
    replies = io.BytesIO()
    child.serve(folder, io.BytesIO(b"".join(map(framed, requests))), replies)
    replies.seek(0)
    found: list[object] = []
    while (reply := read_frame(replies)) is not None:
        found.append(reply)
    return found


def test_it_is_ready_and_answers_until_there_is_no_more(tmp_path: Path) -> None:
    ready, first, second = answers(tmp_path, REQUEST, REQUEST)
    assert (ready, isinstance(first, PageReply), isinstance(second, PageReply)) == ("ready", True, True)


def test_a_page_that_cannot_be_made_is_told_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> PageReply:
        raise ValueError("CANARY")

    monkeypatch.setattr(Site, "answer", fail)
    with caplog.at_level(logging.ERROR):
        assert answers(tmp_path, REQUEST)[1:] == [PageReply(status=500)]
    assert "a page could not be made" in caplog.messages
