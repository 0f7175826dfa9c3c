import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from proxy.cli.top import source as module
from proxy.cli.top.source import NoFigures, Source, address_of

METRICS = "promptlane_workers 2\n"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/metrics", handler)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


async def words(address: str, token: str | None = None) -> str:
    """Why there are no figures."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NoFigures) as problem:
            await Source(address=address, token=token).scrape(session)
    return problem.value.words.replace(address, "HERE")


def answering(status: int, text: str = "", **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return answer


async def test_a_scrape_has_the_time_of_its_answer() -> None:
    async with served(answering(200, METRICS)) as address, aiohttp.ClientSession() as session:
        scrape = await Source(address=address, monotonic_s=lambda: 7.0).scrape(session)
    assert (scrape.at_s, scrape.value("promptlane_workers")) == (7.0, 2)


async def test_the_token_goes_with_it() -> None:
    async def guarded(request: web.Request) -> web.Response:
        is_known = request.headers.get("Authorization") == "Bearer an-admin-token"
        return web.Response(status=200 if is_known else 401, text=METRICS)

    async with served(guarded) as address:
        async with aiohttp.ClientSession() as session:
            await Source(address=address, token="an-admin-token").scrape(session)
        assert await words(address) == (
            "HERE asks for a token: set PROMPTLANE_ADMIN_TOKEN to the one that the proxy was started with."
        )
        refused = await words(address, token="an-old-token")
    assert refused.startswith("HERE does not take the token in PROMPTLANE_ADMIN_TOKEN:")
    assert "an-old-token" not in refused + repr(Source(address=address, token="an-old-token"))


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (answering(404), "HERE/metrics answers 404: see --url."),
        (answering(302, Location="/elsewhere"), "HERE/metrics answers 302, and redirects are not followed: see --url."),
        (answering(200, "up 1\n"), "What answers at HERE is no Promptlane: see --url."),
        (answering(200, "<html>"), "What answers at HERE is no Promptlane: see --url."),
    ],
)
async def test_another_server(handler: Handler, told: str) -> None:
    async with served(handler) as address:
        assert await words(address) == told


async def test_bytes_that_are_no_text() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe")

    async with served(answer) as address:
        assert "no Promptlane" in await words(address)


async def test_more_than_anyone_would_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_BYTES", 100)
    async with served(answering(200, METRICS * 10)) as address:
        assert "no Promptlane" in await words(address)


async def test_an_answer_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def silent(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with served(silent) as address:
        assert await words(address) == "HERE does not answer within 0 s."


async def test_nobody_there() -> None:
    assert (await words(f"http://127.0.0.1:{unused_port()}")).startswith("Nothing listens on HERE: start `promptlane")


async def test_no_tls_there() -> None:
    async with served(answering(200, METRICS)) as address:
        assert "cannot be reached by TLS" in await words(address.replace("http:", "https:"))


async def test_a_name_that_does_not_resolve() -> None:
    assert await words("http://no-such-host.invalid") == "HERE cannot be found: its name does not resolve."


async def test_a_connection_that_breaks() -> None:
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(breaks, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "the connection fails or breaks" in await words(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("http://proxy.internal/", "http://proxy.internal"),
        ("https://proxy.internal:443/llm/metrics", "https://proxy.internal:443/llm"),
        ("HTTP://[::1]:4000/metrics", "http://[::1]:4000"),
    ],
)
def test_addresses(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4000",
        "ftp://h",
        "http://",
        "http://h:x",
        "http://h:99999",
        "http://u:p@h",
        "http://h?a=b",
        "http://[",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(it |write it )"):
        address_of(url)
