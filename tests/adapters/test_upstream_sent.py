"""The moment in which a request has left, and what is done in it."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import pytest
import uvloop

from proxy.adapters.upstream import NativeUpstream
from tests.adapters.upstream_clients import read, request
from tests.harness.call import PATIENCE_S


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_request_has_left_when_that_is_told(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """What is done then delays no byte: the provider, here in the very call, has it all and can answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        came = []

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                came.append(peer.recv(65_536))
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")

        async def ask() -> bytes:
            upstream = NativeUpstream()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            _, body = await read(upstream, request(url, body=b"all of it", on_sent=answer))
            await upstream.close()
            return body

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            assert runner.run(ask()) == b"fine"
        assert came[0].endswith(b"all of it")


async def test_a_failure_while_that_is_told_ends_the_connection() -> None:
    upstream = NativeUpstream()

    def fail() -> None:
        raise RuntimeError("a bug")

    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(RuntimeError, match="a bug"):
            await upstream.send(request(f"http://127.0.0.1:{server.getsockname()[1]}/", on_sent=fail))
        peer, _ = server.accept()
        with peer:
            peer.settimeout(PATIENCE_S)
            await asyncio.sleep(0)  # the loop lets go of what was aborted in its next turn
            with suppress(ConnectionResetError):
                while peer.recv(65_536):  # runs out of time where the connection was left open
                    pass
    await upstream.close()
