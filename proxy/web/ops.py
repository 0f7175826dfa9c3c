"""/healthz /readyz /metrics /version: for those who look after the proxy."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from proxy.domain.credentials import Keyring, authenticate, is_token
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import ProxyError, Unauthenticated
from proxy.domain.fields import fields_of
from proxy.domain.paths import is_local_host
from proxy.web.errors import error_response


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What the operations endpoints show. `problems` are short fixed words; none means ready."""

    version: str
    config_digest: Callable[[], str]
    problems: Callable[[], Sequence[str]]
    render_metrics: Callable[[], bytes]
    """Reads the disk."""
    keyring: Callable[[], Keyring]
    admin_token: str | None
    is_loopback: bool


async def health(_: web.BaseRequest, ops: Operations) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok", "version": ops.version})


async def ready(_: web.BaseRequest, ops: Operations) -> web.Response:
    """200 while calls are taken; 503 while draining. Degraded analytics is told, and still ready (law 3)."""
    problems = list(ops.problems())
    is_draining = "draining" in problems
    state = "draining" if is_draining else "degraded" if problems else "ready"
    return web.json_response({"status": state}, status=503 if is_draining else 200)


async def metrics(request: web.BaseRequest, ops: Operations) -> web.Response:
    """Prometheus text. Off loopback it needs a proxy key or the admin token."""
    try:
        _authorize(request, ops)
    except ProxyError as error:
        return error_response(error, Dialect.OPENAI)
    body = await asyncio.to_thread(ops.render_metrics)
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def version(_: web.BaseRequest, ops: Operations) -> web.Response:
    """Which code and which configuration run."""
    return web.json_response({"version": ops.version, "config": ops.config_digest()})


def _authorize(request: web.BaseRequest, ops: Operations) -> None:
    """Raises Unauthenticated for who holds neither a proxy key nor the admin token."""
    if ops.is_loopback and is_local_host(request.headers.get("Host", "")):
        return
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if is_token(token, ops.admin_token):
        return
    if authenticate(fields_of(request.headers.items()), "", ops.keyring()).key is None:
        raise Unauthenticated(
            "Send a proxy key, or the token in PROMPTLANE_ADMIN_TOKEN, as a bearer token.", code="token_required"
        )
