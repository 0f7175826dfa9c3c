"""The edge on a real socket, in front of a pipeline whose outside world is scripted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from proxy.pipeline.outcome import OutcomeServices
from proxy.pipeline.services import Services
from proxy.web.edge import Edge
from proxy.web.ops import Operations
from proxy.web.server import HardenedServer
from tests.pipeline.fakes import Keys
from tests.pipeline.outcome_fakes import outcome_services

OPERATIONS = Operations(
    version="1.2.3",
    config_digest=lambda: "abc",
    problems=lambda: (),
    render_metrics=lambda: b"promptlane_calls_total 1\n",
    records_of_trace=lambda trace_id: (
        [b'{"received_unix_us": 0, "properties": {"model": "the-model"}}'] if trace_id == "trace 1" else []
    ),
    keyring=Keys,
    admin_token="an-admin-token",
    is_loopback=False,
)


@dataclass(frozen=True)
class Listening:
    edge: Edge
    port: int


@asynccontextmanager
async def listening(services: Services, outcomes: OutcomeServices | None = None) -> AsyncIterator[Listening]:
    edge = Edge(services, outcomes or outcome_services(services), OPERATIONS)
    runner = web.ServerRunner(HardenedServer(edge), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Listening(edge, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def asks(target: str = "/v1/chat/completions", body: bytes = b"", *fields: bytes, method: str = "POST") -> bytes:
    """One request of known length."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: proxy.test", *fields]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])
