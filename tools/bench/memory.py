"""What the proxy holds in memory for each thing that is open: connections, calls, bodies, streams.

`python -m tools.bench.memory` opens some of each kind on a fresh proxy, waits until it has settled, and opens as many
again: what that adds, divided by their number, is what each takes. What the first ones took beyond that is taken
once; and while they come there is more for moments. Child processes are counted in. The provider is ours and answers
nothing further until all have been counted.
"""

import argparse
import asyncio
import sys
import tempfile
from asyncio import Event, Queue, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from tools.bench import machine
from tools.bench.pages import address_of, served
from tools.bench.payload import HEALTH, Script, plain, stream, upload

KIB, MIB = 1024, 1024 * 1024
AT_ONCE = 20
"""Requests under way to the proxy while it is filled."""
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Something that is held, `count` at first and then twice as many. `script` None: a connection whose one request
    was answered, and which is idle.
    """

    name: str
    count: int
    script: Script | None = None
    reply: bytes = b""
    """What the provider has sent of its reply."""
    is_read: bool = True
    """The provider takes the body."""


@dataclass(slots=True)
class Provider:
    """Answers with the start of a reply, and is silent then. `came` has something for each request."""

    kind: Kind
    is_over: Event
    came: "Queue[None]" = field(default_factory=Queue)

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection: one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            while self.kind.is_read and length > 0:
                length -= len(await reader.read(MIB))
            self.came.put_nowait(None)
            writer.write(self.kind.reply)
            await self.is_over.wait()
        finally:
            writer.close()


def kinds(scale: float) -> list[Kind]:
    """All of them; `scale` 1 is enough for figures that one can trust."""
    call, events, file = plain("call", reply_bytes=MIB), stream("stream", events=8), upload("f", file_bytes=20 * MIB)
    first_event, second = events.reply.split(b"\n\n", 2)[:2]
    some = STREAM_HEAD + first_event + b"\n\n" + second + b"\n\n"
    nearly = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + call.reply[:-1]
    whole = [
        Kind(name="an idle connection", count=2500),
        Kind(name="a call that waits for its provider", count=1000, script=call),
        Kind(name="an open stream", count=1000, script=events, reply=some),
        *(
            Kind(name=f"a call with a body of {size // KIB:,} KiB", count=count, script=plain("b", request_bytes=size))
            for size, count in ((16 * KIB, 500), (100 * KIB, 200), (MIB, 40), (16 * MIB, 6))
        ),
        Kind(name="a call with a JSON reply of 1,024 KiB, nearly there", count=40, script=call, reply=nearly),
        Kind(name="an upload of 20 MiB that the provider does not take", count=10, script=file, is_read=False),
        Kind(name="a stream of 8 MiB that its client does not take", count=20, script=events, reply=some * 16384),
    ]
    return [replace(kind, count=max(2, int(kind.count * scale))) for kind in whole]


@asynccontextmanager
async def filled(address: str, kind: Kind, provider: Provider) -> AsyncIterator[None]:
    """`count` more are open within the block."""
    turns, writers = asyncio.Semaphore(AT_ONCE), []
    host, port = urlsplit(address).hostname, urlsplit(address).port

    async def begin() -> None:
        async with turns:
            reader, writer = await asyncio.open_connection(host, port, limit=KIB)
            writers.append(writer)
            writer.write(HEALTH if kind.script is None else kind.script.request({}))
            if kind.script is None:
                await reader.readuntil(b"\r\n\r\n")
            else:
                await provider.came.get()

    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(begin() for _ in range(kind.count)))
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def measure(kind: Kind, settle_s: float) -> tuple[float, float, float]:
    """KiB that each takes, that are taken once, and that there are more while they come."""
    provider = Provider(kind, Event())
    async with await asyncio.start_server(provider.answer, "127.0.0.1", 0, limit=MIB) as server:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            proxy = stack.enter_context(served(Path(folder), server.sockets[0].getsockname()[1]))
            address = await asyncio.to_thread(address_of, proxy)
            found_kib = [await _settled_kib(proxy.pid, settle_s)]
            async with filled(address, kind, provider):
                found_kib.append(await _settled_kib(proxy.pid, settle_s))
                machine.forget_peak(proxy.pid)
                async with filled(address, kind, provider):
                    found_kib.append(await _settled_kib(proxy.pid, settle_s))
                    more_kib = machine.peak_rss_kib(proxy.pid) - machine.rss_kib(proxy.pid)
            provider.is_over.set()
            await asyncio.to_thread(stack.close)  # while the provider ends what the proxy still waits for
    rest_kib, some_kib, all_kib = found_kib
    each_kib = (all_kib - some_kib) / kind.count
    return each_kib, some_kib - rest_kib - each_kib * kind.count, more_kib


async def _settled_kib(pid: int, settle_s: float) -> float:
    await asyncio.sleep(settle_s)
    return machine.own_kib(pid)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(description="What the proxy holds in memory for each thing that is open.")
    parser.add_argument("--scale", type=float, default=1.0, help="so many of each kind, times this (default 1)")
    parser.add_argument("--settle", type=float, default=1.0, help="seconds before memory is read (default 1)")
    options = parser.parse_args(argv)
    machine.raise_open_files()
    for kind in kinds(options.scale):
        each_kib, once_kib, more_kib = asyncio.run(measure(kind, options.settle))
        found = f"{each_kib:>10,.1f} KiB each, {once_kib / KIB:6.1f} MiB once, {more_kib / KIB:6.1f} MiB for moments"
        print(f"{kind.name:52} {2 * kind.count:>6,} {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
