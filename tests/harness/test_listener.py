import asyncio

import pytest

from tests.harness.listener import Listener


async def connected(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", listener.port)


async def is_over(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_comes_as_it_stops_is_ended(turns: int) -> None:
    """Whether it was accepted, made known to its protocol, or given to a task that has not begun."""

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    listener = Listener(serve)
    await listener.listen()
    reader, writer = await connected(listener)
    for _ in range(turns):
        await asyncio.sleep(0)
    await listener.stop()
    assert await is_over(reader)
    writer.close()


async def test_what_ends_is_closed() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"well")

    listener = Listener(serve)
    await listener.listen()
    reader, writer = await connected(listener)
    assert await reader.read() == b"well"
    writer.close()
    await listener.stop()


async def test_it_listens_again_where_it_did() -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    listener = Listener(serve)
    await listener.listen()
    port = listener.port
    reader, writer = await connected(listener)
    listener.refuse()
    assert await is_over(reader)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await connected(listener)
    await listener.listen()
    assert listener.port == port
    await listener.stop()
