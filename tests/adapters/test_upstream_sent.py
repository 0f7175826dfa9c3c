"""The moment in which a request has left, and what is done in it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from proxy.adapters.upstream import NativeUpstream
from tests.adapters.upstream_clients import read, request
from tests.harness.call import PATIENCE_S
from tests.harness.certs import Authority


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_request_has_left_when_that_is_told(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], is_tls: bool, tmp_path: Path
) -> None:
    """What is done then delays no byte: the provider has it all while the loop stands still in that very call."""
    authority = Authority(tmp_path) if is_tls else None
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        server.settimeout(PATIENCE_S)
        has_come = threading.Event()
        provider = threads.submit(_answer, server, authority.server_context() if authority else None, has_come)
        seen = []

        async def ask() -> bytes:
            trusting = ssl.create_default_context(cafile=authority.ca_file) if authority else None
            upstream = NativeUpstream(ssl_context=trusting)
            url = f"{'https' if is_tls else 'http'}://127.0.0.1:{server.getsockname()[1]}/"
            sent = request(url, body=b"all of it", on_sent=lambda: seen.append(has_come.wait(PATIENCE_S)))
            _, body = await read(upstream, sent)
            await upstream.close()
            return body

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            assert runner.run(ask()) == b"fine"
        assert seen == [True]
        assert provider.result().endswith(b"all of it")


def _answer(server: socket.socket, tls: ssl.SSLContext | None, has_come: threading.Event) -> bytes:
    peer, _ = server.accept()
    peer.settimeout(PATIENCE_S)
    with tls.wrap_socket(peer, server_side=True) if tls else peer as spoken:
        came = b""
        while not came.endswith(b"all of it"):
            came += spoken.recv(65_536)
        has_come.set()
        spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        return came


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
