"""The visible pipeline: one request, from its head to its one end."""

from collections.abc import Awaitable
from dataclasses import replace

from proxy.domain.credentials import Credentials, authenticate, may_use
from proxy.domain.endpoints import Endpoint, find_endpoint
from proxy.domain.errors import Forbidden, Unauthenticated
from proxy.domain.exchange import Exchange
from proxy.domain.limits import narrowed_retries
from proxy.domain.prompt_versions import demand_version
from proxy.domain.rollout import Decision, Rollout
from proxy.domain.routing import Plan, plan
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.admit import admit
from proxy.pipeline.begin import introduce
from proxy.pipeline.call import Call
from proxy.pipeline.capture import tap_for
from proxy.pipeline.client_body import WholeBody
from proxy.pipeline.prompts import roll_out
from proxy.pipeline.pump import Pump
from proxy.pipeline.relay import leave, relay
from proxy.pipeline.rollouts import assign
from proxy.pipeline.services import Deliver, RawRequest, Services, Snapshot
from proxy.pipeline.settle import settle

_SPENDING_NOTHING = frozenset({"GET", "HEAD", "DELETE"})


async def handle(raw: RawRequest, services: Services, deliver: Deliver) -> None:
    """Carry one request through the house; leaving settles it exactly once, without an await, whoever failed.

    The reply is handed to `deliver`, whose failure is the client's leaving.
    """
    snapshot = services.snapshot()
    exchange = Exchange(
        exchange_id=raw.exchange_id,
        received_unix_us=raw.received_unix_us,
        received_ns=raw.received_ns,
        endpoint=endpoint_of(raw),
    )
    try:
        pump, delivering = await _begin_reply(raw, exchange, snapshot, services, deliver)
        try:
            await delivering
        finally:
            leave(pump, services.clock)
    except BaseException as error:
        settle(exchange, error, snapshot, services)
        raise
    settle(exchange, None, snapshot, services)


async def _begin_reply(
    raw: RawRequest, exchange: Exchange, snapshot: Snapshot, services: Services, deliver: Deliver
) -> tuple[Pump, Awaitable[None]]:
    """All that comes before the first byte to the client; what is needed for that alone is gone with it."""
    call = route = None
    try:
        credentials = authenticate(raw.headers, raw.target.raw_query, snapshot.keyring)
        _refuse_keyless(exchange.endpoint, credentials, snapshot)
        call = Call(raw=raw, credentials=credentials, exchange=exchange, snapshot=snapshot, services=services)
        body = await admit(call)
        if snapshot.prompts:
            body = await roll_out(body, call)
        if isinstance(body, WholeBody):
            exchange.sent = body.decoded
        route = _route(call)
        exchange.checks, exchange.judges = route.checks, route.judges
        if snapshot.capture is not None:
            exchange.tap = tap_for(snapshot.capture, call)
        return await relay(route, body, call, deliver)  # and introduces the caller while the provider works
    except BaseException:
        if call is not None:
            introduce(call, route)
        raise


def endpoint_of(raw: RawRequest) -> Endpoint:
    """What is being asked for."""
    return find_endpoint(raw.method, raw.target.raw_path, raw.target.raw_query, raw.headers.names.at)


def _refuse_keyless(endpoint: Endpoint, credentials: Credentials, snapshot: Snapshot) -> None:
    """Refuse before any body byte is read, where every provider of the dialect spends the operator's key."""
    if credentials.key is None and (endpoint.host or endpoint.dialect) in snapshot.routing.keyed_dialects:
        raise _no_proxy_key()


def _no_proxy_key() -> Unauthenticated:
    return Unauthenticated(
        "This route needs a proxy key. Send it as the API key, or in X-Promptlane-Key.", code="proxy_key_required"
    )


def _route(call: Call) -> Plan:
    """Choose the targets. Raises UnknownModel, Forbidden, Unauthenticated where a target needs a proxy key, and
    PromptVersionRequired where a version must be named and is not.
    """
    raw, exchange, key = call.raw, call.exchange, call.credentials.key
    endpoint, model = exchange.endpoint, exchange.call.requested_model if exchange.call else None

    def draw() -> float:
        return int.from_bytes(call.services.random_bytes(4)) / 2**32

    def decide(rollout: Rollout) -> Decision:
        acquaint(call)
        return assign(rollout, exchange, call.services)

    chosen = plan(call.snapshot.routing, exchange.asked_model, endpoint.host or endpoint.dialect, draw, decide)
    if key is None and chosen.needs_key:
        raise _no_proxy_key()
    if key is not None and raw.method not in _SPENDING_NOTHING and not may_use(key, model):
        raise Forbidden("The proxy key may not use this model; its `allow` list says which.", code="model_not_allowed")
    if (chosen.demand or call.snapshot.versions.demand) == "enforce":
        demand_version(acquaint(call), endpoint)
    return replace(chosen, retries=narrowed_retries(chosen.retries, raw.headers)) if chosen.retries.max else chosen
