"""The client's body: read whole within bounds, or passed on as it comes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import field
from io import BytesIO

from proxy.domain.errors import BodyTimeout, TooLarge
from proxy.domain.json_members import Member, top_level_members
from proxy.domain.limits import Limits
from proxy.domain.request_facts import RequestFacts
from proxy.domain.values import value_class
from proxy.pipeline.services import RawRequest


@value_class
class WholeBody:
    """A body that was read. `raw` is what the client sent, `decoded` the same without its Content-Encoding."""

    raw: bytes = field(repr=False)
    decoded: bytes = field(repr=False)
    facts: RequestFacts
    is_edited: bool = False
    """A rollout has changed it: `raw` is `decoded`, whatever the client's Content-Encoding was."""

    def members(self) -> Sequence[Member]:
        """Where the members of the decoded body stand."""
        return top_level_members(self.decoded) if self.facts.members is None else self.facts.members


SLOWEST_BODY_BYTES_PER_S = 1_024
"""A body that drips more slowly than this, after the first `body_silence_s`, is given up."""


class StreamedBody:
    """A body that passes through. What is wrong with it is raised where it is read on."""

    def __init__(self, raw: RawRequest, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self.content_length = raw.content_length
        self.on_turn: Callable[[bool], None] = nobody_waits
        """Told whose turn it is: True when more is asked of the client, False when it, or the end, was handed on."""
        _refuse_declared(raw, limits.streamed_bytes)
        self._chunks = _bounded(raw, limits, limits.streamed_bytes)
        self._seen = b""

    async def peek(self, limit_bytes: int, find: Callable[[bytes], str | None]) -> str | None:
        """Read on until `find` makes something of the beginning, or `limit_bytes` are seen; nothing is lost."""
        while (found := find(self._seen)) is None and len(self._seen) < limit_bytes:
            chunk = await anext(self._chunks, b"")
            if not chunk:
                break
            self._seen += chunk
        return found

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes as the client sends them."""
        if self._seen:
            yield self._seen
        self.on_turn(True)
        async for chunk in self._chunks:
            self.on_turn(False)
            yield chunk
            self.on_turn(True)
        self.on_turn(False)


def nobody_waits(_: bool) -> None:
    """Whose turn it is matters to nobody."""


async def read_whole(raw: RawRequest, limits: Limits) -> bytes:
    """All bytes as sent. Raises TooLarge before reading more than the limit, and BodyTimeout."""
    if raw.arrived is not None:
        if len(raw.arrived) > limits.body_bytes:
            raise _too_large(limits.body_bytes)
        return raw.arrived
    _refuse_declared(raw, limits.body_bytes)
    whole = BytesIO()  # hands out what it holds without a copy; to join pieces of 20 MB at once takes 10 ms
    async for chunk in _bounded(raw, limits, limits.body_bytes):
        whole.write(chunk)
    return whole.getvalue()


def _refuse_declared(raw: RawRequest, limit_bytes: int) -> None:
    if raw.content_length is not None and raw.content_length > limit_bytes:
        raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The request body is over the limit of {limit_bytes} bytes.", code="body_too_large")


async def _bounded(raw: RawRequest, limits: Limits, limit_bytes: int) -> AsyncIterator[bytes]:
    """Pieces within the size limit. Time counts only while the client is waited for: a slow provider is not its fault.

    Beyond the silence that is allowed at any moment, all waiting together may take no longer than the slowest rate.
    """
    total_bytes, waited_s = 0, 0.0
    loop = asyncio.get_running_loop()
    chunks = raw.body.__aiter__()
    while True:
        began_s = loop.time()
        spare_s = total_bytes / SLOWEST_BODY_BYTES_PER_S - waited_s
        try:
            async with asyncio.timeout(limits.body_silence_s + min(0.0, spare_s)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BodyTimeout("The request body did not arrive in time.", code="body_timeout") from None
        waited_s += loop.time() - began_s
        total_bytes += len(chunk)
        if total_bytes > limit_bytes:
            raise _too_large(limit_bytes)
        yield chunk
