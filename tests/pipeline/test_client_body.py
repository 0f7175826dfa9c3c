import asyncio

import pytest

from proxy.domain.errors import BodyTimeout, TooLarge
from proxy.domain.limits import Limits
from proxy.pipeline.client_body import StreamedBody, read_whole
from tests.pipeline.fakes import request

SMALL = Limits(body_bytes=10, streamed_bytes=10, body_silence_s=0.01)


async def test_a_body_is_read_whole() -> None:
    assert await read_whole(request(pieces=[b"abc", b"def"]), SMALL) == b"abcdef"
    assert await read_whole(request(b""), SMALL) == b""


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    raw = request(b"a" * 11)
    with pytest.raises(TooLarge):
        await read_whole(raw, SMALL)
    assert await anext(raw.body) == b"a" * 11


async def test_an_undeclared_one_is_refused_at_the_limit() -> None:
    unread = AssertionError("read on after the limit")
    with pytest.raises(TooLarge):
        await read_whole(request(pieces=[b"a" * 11, unread]), SMALL)


async def test_a_client_that_falls_silent_is_timed_out() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(BodyTimeout):
        await read_whole(request(pieces=[b"a", hang]), SMALL)


async def test_a_body_that_drips_is_given_up_though_it_never_falls_silent() -> None:
    handed: list[int] = []

    async def drip() -> None:
        handed.append(1)
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.004)

    pieces = [piece for _ in range(1_000) for piece in (drip, b"a")]
    with pytest.raises(BodyTimeout):
        await read_whole(request(pieces=pieces), Limits(body_bytes=10_000, body_silence_s=0.02))
    assert len(handed) < 1_000


async def test_a_streamed_body_passes_and_says_whose_turn_it_is() -> None:
    body = StreamedBody(request(pieces=[b"a", b"b"]), SMALL)
    seen: list[object] = []
    body.on_turn = lambda is_clients: seen.append("client" if is_clients else "provider")
    note = seen.append
    async for piece in body:
        note(piece)
    assert seen == ["client", "provider", b"a", "client", "provider", b"b", "client", "provider"]


async def test_a_streamed_body_is_bounded() -> None:
    body = StreamedBody(request(pieces=[b"a" * 11]), SMALL)
    with pytest.raises(TooLarge):
        [piece async for piece in body]
    with pytest.raises(TooLarge):
        StreamedBody(request(b"a" * 11), SMALL)


async def test_peeking_reads_no_further_than_it_must_and_loses_nothing() -> None:
    body = StreamedBody(request(pieces=[b"ab", b"cd", b"ef"]), SMALL)
    assert await body.peek(10, lambda seen: "found" if b"c" in seen else None) == "found"
    assert await body.peek(3, lambda _: None) is None
    assert [piece async for piece in body] == [b"abcd", b"ef"]


async def test_peeking_at_a_short_body_ends_with_it() -> None:
    body = StreamedBody(request(pieces=[b"ab"]), SMALL)
    assert await body.peek(10, lambda _: None) is None
    assert [piece async for piece in body] == [b"ab"]
