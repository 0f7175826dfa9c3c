"""The edge on a real socket, in front of a pipeline whose outside world is scripted."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from aiohttp import web

from proxy.domain.sessions import Seal
from proxy.pages.request import About, PageReply, PageRequest
from proxy.pipeline.outcome import OutcomeServices
from proxy.pipeline.services import Services
from proxy.web.access import Access
from proxy.web.edge import Edge
from proxy.web.front import Front
from proxy.web.ops import Operations
from proxy.web.server import HardenedServer
from proxy.web.ui import Ui
from tests.pipeline.fakes import Keys
from tests.pipeline.outcome_fakes import outcome_services

OPERATIONS = Operations(
    version="1.2.3",
    config_digest=lambda: "abc",
    problems=lambda: (),
    render_metrics=lambda: b"promptlane_calls_total 1\n",
    keyring=Keys,
    admin_token="an-admin-token",
    is_loopback=False,
)


SECRET = b"0123456789abcdef"


class ScriptedPages:
    """Shows each reader the path that was asked for, and remembers the requests."""

    def __init__(self) -> None:
        self.asked: list[PageRequest] = []
        self.replies: dict[str, PageReply] = {}

    async def answer(self, request: PageRequest) -> PageReply:
        self.asked.append(request)
        return self.replies.get(request.path, PageReply(body=request.path.encode()))


def made_ui(
    *,
    admin_token: str | None = "an-admin-token",
    viewer_token: str | None = "a-viewer-token",
    now_s: int = 1_800_000_000,
) -> Ui:
    used: set[str] = set()
    numbers = count(1)

    def is_first_use(link_id: str) -> bool:
        is_first = link_id not in used
        used.add(link_id)
        return is_first

    return Ui(
        access=Access(
            seal=Seal(SECRET, admin_token, viewer_token),
            admin_token=admin_token,
            viewer_token=viewer_token,
            keyring=Keys,
            is_first_use=is_first_use,
            new_id=lambda: f"id{next(numbers)}",
            unix_s=lambda: now_s,
        ),
        pages=ScriptedPages(),
        about=About,
    )


@dataclass(frozen=True)
class Listening:
    edge: Edge
    port: int
    server: HardenedServer


@asynccontextmanager
async def listening(
    services: Services, outcomes: OutcomeServices | None = None, serve: Callable[[Edge], HardenedServer] = Front
) -> AsyncIterator[Listening]:
    edge = Edge(services, outcomes or outcome_services(services), OPERATIONS, made_ui())
    runner = web.ServerRunner(server := serve(edge), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Listening(edge, runner.addresses[0][1], server)
    finally:
        await runner.cleanup()


def asks(target: str = "/v1/chat/completions", body: bytes = b"", *fields: bytes, method: str = "POST") -> bytes:
    """One request of known length."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: proxy.test", *fields]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])
