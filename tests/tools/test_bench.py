"""The benchmark may only be believed if it notices a wrong byte: it is tried on the scripted upstream itself."""

import asyncio
import json
import math
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tools.bench import upstream
from tools.bench.client import Window, at_full_speed, at_rate
from tools.bench.payload import EVENTS, EVENTS_PER_STREAM, PACED_STREAM, PLAIN, STREAM
from tools.bench.report import Round, summarise, table


@asynccontextmanager
async def serving(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_stream_has_fifty_events():
    assert len(EVENTS) == EVENTS_PER_STREAM
    assert EVENTS[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("exchange", [PLAIN, STREAM])
async def test_full_speed_counts_checked_replies(exchange):
    async with serving(upstream._Upstream) as port:
        window = await at_full_speed(port, exchange, connections=3, seconds=0.05)
    assert window.errors == 0
    assert window.replies == len(window.latency_s) >= 3
    assert window.received_bytes > window.replies * len(exchange.reply)


async def test_a_paced_stream_begins_long_before_it_ends():
    async with serving(upstream._Upstream) as port:
        window = await at_rate(port, PACED_STREAM, per_second=40, seconds=0.05)
    assert (window.replies, window.errors) == (2, 0)
    assert all(first < whole / 2 for first, whole in zip(window.first_body_s, window.latency_s, strict=True))


@pytest.mark.parametrize("exchange", [PLAIN, STREAM])
async def test_a_wrong_byte_is_an_error(exchange):
    async with serving(upstream._Upstream) as port:
        expected = replace(exchange, reply=exchange.reply.replace(b"word7", b"word8", 1))
        window = await at_full_speed(port, expected, connections=1, seconds=0.01)
    assert window.replies == 0
    assert window.errors > 0


async def test_a_cut_reply_is_an_error():
    class Cuts(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.transport.close()

    async with serving(Cuts) as port:
        window = await at_full_speed(port, PLAIN, connections=2, seconds=0.01)
    assert (window.replies, window.errors) == (0, 2)


def window_of(replies, *, errors=0, latency_s=0.001):
    return Window(1.0, replies, errors, replies * 10, [latency_s] * 10, [latency_s] * 10)


def round_of(replies, latency_s, *, errors=0, cpu_s=math.nan):
    window = window_of(replies, latency_s=latency_s)
    return Round(
        plain=window_of(replies, errors=errors, latency_s=latency_s),
        streams=window,
        calm=window,
        paced=window,
        plain_cpu_s=cpu_s,
        streams_cpu_s=cpu_s,
        paced_cpu_s=cpu_s,
    )


def test_rows_are_medians_added_to_direct():
    rounds = {
        "direct": [round_of(1000, 0.001), round_of(2000, 0.002), round_of(1500, 0.001)],
        "bare aiohttp": [round_of(100, 0.002, cpu_s=0.1)] * 3,
        "promptlane": [round_of(50, 0.004, cpu_s=0.1), round_of(200, 0.003, cpu_s=0.1), round_of(60, 0.002, cpu_s=0.1)],
    }
    direct, bare, proxy = summarise(rounds)
    assert (direct.requests_per_s, proxy.requests_per_s) == (1500, 60)
    assert proxy.requests_to_bare == pytest.approx(0.6)
    assert proxy.added_p50_ms == pytest.approx(1.0)
    assert bare.cpu_us_per_request == pytest.approx(1000)
    assert bare.cpu_us_per_paced_event == pytest.approx(20)
    assert json.loads(json.dumps(direct.as_json(), allow_nan=False))["cpu_us_per_request"] is None
    assert "+1.00" in table([direct, bare, proxy])


def test_a_row_with_errors_shows_no_numbers():
    rounds = {"direct": [round_of(1000, 0.001)], "promptlane": [round_of(777, 0.001, errors=2)]}
    text = table(summarise(rounds))
    assert "FAILED: 2 errors" in text
    assert "777" not in text
