"""The clients under test."""

import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.adapters.upstream_clients import CLIENTS, Client, MakeClient
from tests.harness.provider import ScriptedProvider


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def make_client(client_name: str) -> AsyncIterator[MakeClient]:
    """Clients that are closed when the test has ended."""
    made: list[Client] = []

    def make(ssl_context: ssl.SSLContext | None = None) -> Client:
        made.append(CLIENTS[client_name](ssl_context=ssl_context))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest_asyncio.fixture
async def upstream(make_client: MakeClient) -> Client:
    return make_client(None)
