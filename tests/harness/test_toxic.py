import asyncio
import time

import pytest

from tests.harness.client import RawClient
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import Framing, Reply
from tests.harness.toxic import ToxicProxy

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"0123456789" * 20
REPLY = Reply(pieces=[BODY], framing=Framing.LENGTH)
HEAD_BYTES = len(REPLY.head())


async def test_without_toxics_nothing_changes() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        for _ in range(3):
            await client.send(GET)
            assert (await client.reply("GET")).body == BODY
    assert toxic.connections == 1


async def test_slices_corrupts_and_cuts_at_the_byte() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        toxic.down.slice_bytes = 7
        toxic.down.corrupt_at = HEAD_BYTES + 3
        toxic.down.cut_after = HEAD_BYTES + 50
        toxic.down.cut_resets = False
        await client.send(GET)
        reply = await client.reply("GET")
    assert not reply.is_whole
    assert reply.body == BODY[:3] + bytes([BODY[3] ^ 0xFF]) + BODY[4:50]


async def test_cuts_with_a_reset() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        toxic.up.cut_after = 10
        await client.send(GET)
        with pytest.raises(ConnectionResetError):
            await client.reply("GET")
    assert provider.ledger == []


async def test_a_black_hole_takes_bytes_and_gives_none() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        toxic.down.is_blackhole = True
        await client.send(GET)
        record = await provider.arrival()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.read_some()
    assert record.method == "GET"


async def test_half_close_ends_one_direction_alone() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        toxic.down.half_close_after = HEAD_BYTES + 5
        await client.send(GET)
        reply = await client.reply("GET")
        assert (reply.body, reply.is_whole) == (BODY[:5], False)
        await client.send(GET)
        await provider.arrival()
        second = await provider.arrival()
    assert second.method == "GET"


async def test_latency_and_rate_take_their_time() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic, RawClient(toxic.port) as client:
        toxic.up.latency_s = 0.03
        toxic.down.rate_bytes_per_s = (HEAD_BYTES + len(BODY)) / 0.05
        began = time.monotonic()
        await client.send(GET)
        await client.reply("GET")
        assert time.monotonic() - began >= 0.08


async def test_resets_clients_while_the_target_is_away() -> None:
    async with ScriptedProvider(REPLY) as provider, ToxicProxy(provider.port) as toxic:
        await provider.refuse()
        async with RawClient(toxic.port) as client:
            with pytest.raises(ConnectionResetError):
                await client.read_some()
