import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import uvloop

from proxy.web import acceptor
from proxy.web.acceptor import Acceptor

CLIENTS = 20


class Guest(asyncio.Protocol):
    """Counts those who are here, and says a word to each."""

    here = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Guest.here += 1
        transport.write(b"x")  # type: ignore[attr-defined]  # uvloop's is no asyncio.Transport
        transport.close()


class Scripted(socket.socket):
    """Fails as often as it is told."""

    failures = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "no more files")
        return super().accept()


@pytest.fixture
def bound() -> Iterator[Scripted]:
    Guest.here = 0
    with Scripted() as made:
        made.bind(("127.0.0.1", 0))
        yield made


async def turns_until(is_done: Callable[[], bool]) -> int:
    turns = 0
    while not is_done():
        turns += 1
        await asyncio.sleep(0)
    return turns


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_all_who_wait_are_taken_at_once(loop_factory: Callable[[], asyncio.AbstractEventLoop], bound: Scripted) -> None:
    async def serve() -> int:
        made = Acceptor(bound, Guest)
        made.start()
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(bound.getsockname())) for _ in range(CLIENTS)]
            turns = await turns_until(lambda: Guest.here == CLIENTS)
            assert [client.recv(1) for client in clients] == [b"x"] * CLIENTS
        made.stop()
        return turns

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(serve()) < CLIENTS


async def test_who_cannot_be_taken_now_is_taken_later(
    bound: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "PAUSE_S", 0)
    bound.failures = 3
    made = Acceptor(bound, Guest)
    made.start()
    with caplog.at_level(logging.WARNING), socket.create_connection(bound.getsockname()) as client:
        await turns_until(lambda: Guest.here == 1)
        assert client.recv(1) == b"x"
    made.stop()
    assert [(record.message, record.reason) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("new connections cannot be taken; trying again each second", "Too many open files")
    ]


async def test_nobody_is_taken_once_it_has_stopped(bound: Scripted) -> None:
    made = Acceptor(bound, Guest)
    made.start()
    address = bound.getsockname()
    made.stop()
    made.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def test_it_can_be_stopped_while_it_rests(bound: Scripted) -> None:
    bound.failures = 1
    made = Acceptor(bound, Guest)
    made.start()
    with socket.create_connection(bound.getsockname()):
        await turns_until(lambda: bound.failures == 0)
        made.stop()
    assert Guest.here == 0
