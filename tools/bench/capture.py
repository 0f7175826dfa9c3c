"""A scripted PostHog that takes every batch and counts later: `python -m tools.bench.capture` prints where it listens.

Bodies are kept as they come, so that taking them costs next to nothing; `GET /count?since=S&until=S` opens them and
tells how many events came in that span of CLOCK_MONOTONIC, and how many different ones ever.
"""

import asyncio
import gzip
import json
import re
import time

import uvloop
from aiohttp import web

_UUID = re.compile(rb'"uuid":\s?"([0-9a-f-]{36})"')


class Capture:
    """The bodies that came, and what was counted of them."""

    def __init__(self) -> None:
        self._unopened: list[tuple[float, bytes]] = []
        self._arrivals: list[tuple[float, int]] = []
        self._uuids: set[bytes] = set()

    async def take(self, request: web.Request) -> web.Response:
        """A batch."""
        body = await request.read()
        self._unopened.append((time.monotonic(), body))
        return web.json_response({"status": "Ok"})

    async def count(self, request: web.Request) -> web.Response:
        """`events` that came within the span, repeated ones too; `unique` events of all time."""
        since, until = float(request.query.get("since", 0)), float(request.query.get("until", "inf"))
        self._open()
        events = sum(count for at, count in self._arrivals if since <= at < until)
        return web.Response(text=json.dumps({"events": events, "unique": len(self._uuids)}))

    def _open(self) -> None:
        for at, body in self._unopened:
            found = _UUID.findall(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)
            self._arrivals.append((at, len(found)))
            self._uuids.update(found)
        self._unopened.clear()


async def main() -> None:
    """Serve until killed."""
    capture = Capture()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/count", capture.count)
    app.router.add_route("*", "/{path:.*}", capture.take)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
