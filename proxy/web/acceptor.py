"""How new connections are taken: all that wait, whenever one does.

libuv takes one in each turn of the loop (since its release 1.45). Turns are short until there is much to do; then they
take a fifth of a second, and new clients, health checks among them, wait for as long as the rush lasts.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

log = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that may wait to be taken."""
MOST_AT_ONCE = 128
"""Then those who are here already have their turn."""
PAUSE_S = 1.0
"""How long nobody is taken when that has failed, most often for want of open files: who leaves makes room."""


class Acceptor:
    """Makes a protocol object for each client of a bound socket, between `start` and `stop`."""

    def __init__(self, bound: socket.socket, make_protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._socket = bound
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._is_failing = False

    def start(self) -> None:
        """Listen. Raises OSError where another process has just begun to."""
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._take)

    def stop(self) -> None:
        """Take nobody any more, and close the socket; safe to call twice."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _take(self) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(os.strerror(error.errno or 0))
                return
            self._is_failing = False
            task = self._loop.create_task(self._open(client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, client)
        except OSError:  # it has left already
            client.close()

    def _rest(self, reason: str) -> None:
        """Else the loop would be told without a pause that somebody waits."""
        if not self._is_failing:
            self._is_failing = True
            log.warning("new connections cannot be taken; trying again each second", extra={"reason": reason})
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(PAUSE_S, self._loop.add_reader, self._socket, self._take)
