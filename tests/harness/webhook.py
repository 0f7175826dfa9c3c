"""A webhook on loopback that keeps what it is sent. It answers 200, unless `statuses` says otherwise, one by one."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from aiohttp import web

from tests.harness.call import PATIENCE_S


class ScriptedWebhook:
    """`async with ScriptedWebhook() as webhook:`."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        """Of the next answers; 0 gives none."""
        self.messages: list[Mapping[str, Any]] = []
        """All that came, also what was refused."""
        self.url = ""
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/services/hidden?token=hidden"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leaving.set()
        await self._runner.cleanup()

    async def wait_for(self, count: int) -> None:
        """Until so many messages have come."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.messages.append(await request.json())
        self._changed.set()
        status = self.statuses.pop(0) if self.statuses else 200
        if not status:
            await self._leaving.wait()
        return web.Response(status=status or 200, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})
