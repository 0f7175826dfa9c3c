"""With a real child, and with some that do not do their work."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.pages import process
from proxy.pages.process import BUSY, FAILED, MOST_WAITING, STARTING, PageProcess
from proxy.pages.request import PageReply, PageRequest, Reader

REQUEST = PageRequest(path="/ui", query="", reader=Reader(is_admin=True))
REPLY = PageReply(body=b"page")
ANSWERS = """
import sys
from proxy.adapters.body_reader import framed, read_frame
from proxy.pages.request import PageReply
"""
ONCE = f"""{ANSWERS}
out = sys.stdout.buffer
out.write(framed("ready")); out.flush()
read_frame(sys.stdin.buffer)
out.write(framed(PageReply(body=b"page"))); out.flush()
"""
SILENT = f"{ANSWERS}\nsys.stdout.buffer.write(framed('ready')); sys.stdout.flush(); sys.stdin.read()"
SLOW_TO_BEGIN = "import sys; sys.stdin.read()"
DEAD = "raise SystemExit(3)"


@pytest_asyncio.fixture
async def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageProcess]:
    for patience in ("START_PATIENCE_S", "END_S"):  # a child gives way to all else that the machine does
        monkeypatch.setattr(process, patience, 60.0)
    made = PageProcess(tmp_path)
    yield made
    await made.close()


def doing(pages: PageProcess, program: str) -> PageProcess:
    pages._command = [sys.executable, "-c", program]
    return pages


async def test_a_real_child_makes_pages_until_it_is_closed(pages: PageProcess) -> None:
    replies = [await pages.answer(REQUEST) for _ in range(2)]
    assert [reply.location for reply in replies] == ["/ui/traffic?last=24h"] * 2
    starting = pages._starting
    assert starting is not None
    await pages.close()
    assert starting.result().returncode == 0
    assert (await pages.answer(REQUEST)).location == "/ui/traffic?last=24h"


async def test_a_child_that_has_ended_is_followed_by_another(pages: PageProcess) -> None:
    doing(pages, ONCE)
    assert await pages.answer(REQUEST) == REPLY
    assert pages._starting is not None
    await pages._starting.result().wait()
    assert await pages.answer(REQUEST) == REPLY


async def test_a_child_that_dies_at_once_fails_the_page_and_no_more(pages: PageProcess) -> None:
    assert await doing(pages, DEAD).answer(REQUEST) == FAILED
    assert await doing(pages, ONCE).answer(REQUEST) == REPLY


async def test_a_page_that_takes_too_long_ends_the_child(pages: PageProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE_S", 0.05)
    assert await doing(pages, SILENT).answer(REQUEST) == FAILED
    assert pages._starting is None


async def test_while_a_child_begins_readers_are_told_so(pages: PageProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_PATIENCE_S", 0.05)
    assert [await doing(pages, SLOW_TO_BEGIN).answer(REQUEST) for _ in range(2)] == [STARTING] * 2


async def test_who_leaves_leaves_the_child_in_order(pages: PageProcess) -> None:
    leaving = asyncio.ensure_future(pages.answer(REQUEST))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await pages.answer(REQUEST)).location == "/ui/traffic?last=24h"
    assert leaving.cancelled()


async def test_too_many_readers_are_asked_to_come_again(pages: PageProcess) -> None:
    await pages._turn.acquire()
    waiting = [asyncio.ensure_future(pages.answer(REQUEST)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert await pages.answer(REQUEST) == BUSY
    for reader in waiting:
        reader.cancel()
    await asyncio.wait(waiting)
    pages._turn.release()
    assert (await pages.answer(REQUEST)).location == "/ui/traffic?last=24h"


async def test_a_child_that_nobody_asks_ends(pages: PageProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.01)
    await pages.answer(REQUEST)
    assert pages._starting is not None
    assert await pages._starting.result().wait() == 0
    assert pages._starting is None
