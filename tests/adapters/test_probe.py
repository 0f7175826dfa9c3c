"""Questions to servers on real sockets, good ones and those that fail in a chosen way."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import RawTestServer, unused_port

from proxy.adapters.probe import REPLY_MAX_BYTES, Answer, Failure, Prober, Question, ask_all
from tests.harness.certs import Authority
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End
from tests.harness.scripts import raw

NOW_S = 1_795_000_000.0
DATE = "Wed, 18 Nov 2026 11:00:00 GMT"
"""`NOW_S` minus 400 s."""


@pytest_asyncio.fixture
async def prober() -> AsyncIterator[Prober]:
    async with Prober(lambda: NOW_S) as prober:
        yield prober


Served = Callable[[web.BaseRequest], web.Response]


async def served(prober: Prober, answer: Served, **question: Any) -> Answer:
    """The answer to one question that `answer` replies to."""

    async def handler(request: web.BaseRequest) -> web.Response:
        await request.read()
        return answer(request)

    async with RawTestServer(handler) as server:
        return await prober.ask(Question(url=str(server.make_url("/here")), **question))


async def test_a_question_is_sent_as_it_is_and_a_good_reply_is_read(prober: Prober) -> None:
    seen: list[tuple[str, str, str | None, bytes]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append((request.method, request.path, request.headers.get("X-Key"), await request.read()))
        return web.json_response({"a": [1]})

    async with RawTestServer(handler) as server:
        url = str(server.make_url("/here"))
        posted = Question(method="POST", url=url, headers={"X-Key": "k"}, document={"b": 2})
        answers = await ask_all(prober, {"posted": posted, "got": Question(url=url)})
    assert sorted(seen) == [("GET", "/here", None, b""), ("POST", "/here", "k", b'{"b": 2}')]
    assert {name: (a.status, a.document, a.is_good) for name, a in answers.items()} == dict.fromkeys(
        ("posted", "got"), (200, {"a": [1]}, True)
    )
    assert answers["got"].member("a") == [1]
    assert answers["got"].member("b") is None


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (web.json_response({"error": "CANARY"}, status=401), 401),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), 302),
        (web.Response(text="<html>"), 200),
        (web.Response(body=b"[" + b"1," * (REPLY_MAX_BYTES // 2) + b"1]"), 200),
    ],
    ids=["error", "redirect", "no-json", "too-long"],
)
async def test_of_other_replies_only_the_status_is_kept(prober: Prober, reply: web.Response, status: int) -> None:
    answer = await served(prober, lambda _: reply)
    assert (answer.status, answer.failure, answer.document) == (status, None, None)
    assert Answer(document=["no object"]).member("a") is None


@pytest.mark.parametrize(
    ("headers", "ahead_s"),
    [({"Date": DATE}, 399.5), ({"Date": DATE, "Age": "3"}, None), ({"Date": "yesterday"}, None)],
)
async def test_the_clock_is_compared_with_a_reply_that_is_fresh(
    prober: Prober, headers: dict[str, str], ahead_s: float | None
) -> None:
    assert (await served(prober, lambda _: web.Response(headers=headers))).clock_ahead_s == ahead_s


async def test_the_environment_s_proxies_are_not_used(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    assert (await served(prober, lambda _: web.Response())).status == 200


async def failure(prober: Prober, url: str) -> Failure | None:
    answer = await prober.ask(Question(url=url))
    assert answer.status is None
    assert not answer.is_good
    return answer.failure


async def test_a_port_where_nobody_listens(prober: Prober) -> None:
    assert await failure(prober, f"http://127.0.0.1:{unused_port()}/") is Failure.REFUSED


async def test_a_name_that_nobody_knows(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver answers by itself, so that no name server is asked."""

    async def no_such_name(*_: object, **__: object) -> None:
        raise OSError(None, "no such name")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", no_such_name)
    assert await failure(prober, "http://provider.invalid/") is Failure.DNS


async def test_a_host_that_does_not_answer() -> None:
    async with Prober(lambda: NOW_S, patience_s=0.05) as prober, ScriptedProvider() as silent:
        silent.scripts.append(raw(b"", End.HANG))
        assert await failure(prober, silent.url) is Failure.TIMEOUT


@pytest.mark.parametrize(
    ("sent", "expected"), [(b"220 mail.example ESMTP\r\n\r\n", Failure.NOT_HTTP), (b"HTTP/1.1 200", Failure.BROKEN)]
)
async def test_what_is_no_reply(prober: Prober, sent: bytes, expected: Failure) -> None:
    async with ScriptedProvider(raw(sent)) as provider:
        assert await failure(prober, provider.url) is expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"is_expired": True}, Failure.CERTIFICATE_EXPIRED),
        ({"host": "elsewhere.test"}, Failure.CERTIFICATE_NAME),
        ({"host": "127.0.0.2"}, Failure.CERTIFICATE_NAME),
        (None, Failure.CERTIFICATE_UNTRUSTED),
    ],
    ids=["expired", "name", "address", "unknown"],
)
async def test_certificates_that_are_not_good(fault: dict[str, Any] | None, expected: Failure, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust = ssl.create_default_context(cafile=authority.ca_file if fault is not None else None)
    async with (
        ScriptedProvider(tls=authority.server_context(**(fault or {}))) as provider,
        Prober(lambda: NOW_S, ssl_context=trust) as prober,
    ):
        assert await failure(prober, provider.url) is expected


async def test_tls_where_nobody_speaks_it(prober: Prober) -> None:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async with RawTestServer(handler) as server:
        assert await failure(prober, str(server.make_url("/")).replace("http:", "https:")) is Failure.TLS


def test_no_key_is_in_a_repr() -> None:
    question = Question(url="http://h/?token=hidden", headers={"A": "hidden"}, document={"token": "hidden"})
    assert "hidden" not in repr(question) + repr(Answer(status=200, document="hidden"))
