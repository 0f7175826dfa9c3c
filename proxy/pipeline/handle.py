"""The visible pipeline: one request, from its head to its one end."""

from dataclasses import replace

from proxy.domain.credentials import Credentials, authenticate, may_use
from proxy.domain.endpoints import Endpoint, find_endpoint
from proxy.domain.errors import Forbidden, Unauthenticated
from proxy.domain.exchange import Exchange
from proxy.domain.limits import narrowed_retries
from proxy.domain.prompt_versions import with_version
from proxy.domain.routing import Plan, plan
from proxy.pipeline.admit import admit
from proxy.pipeline.call import Call
from proxy.pipeline.capture import tap_for
from proxy.pipeline.client_body import WholeBody
from proxy.pipeline.prompts import roll_out
from proxy.pipeline.relay import relay
from proxy.pipeline.rollouts import assign
from proxy.pipeline.services import Deliver, RawRequest, Services, Snapshot
from proxy.pipeline.settle import begin, settle

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
    body = error = None
    try:
        credentials = authenticate(raw.headers, raw.target.raw_query, snapshot.keyring)
        _refuse_keyless(exchange.endpoint, credentials, snapshot)
        body = await admit(raw, exchange, credentials.key, snapshot, services)
        body = await roll_out(body, exchange, snapshot, services)
        route = _route(raw, exchange, credentials, snapshot, services)
        if exchange.caller is not None:
            exchange.caller = with_version(exchange.caller, exchange.endpoint, snapshot.versions, route.demand)
        if snapshot.capture is not None:
            exchange.tap = tap_for(exchange, raw, snapshot.capture)
        exchange.checks, exchange.judges = route.checks, route.judges
        begin(exchange, snapshot, services, route.targets[0])
        call = Call(
            raw=raw, body=body, credentials=credentials, exchange=exchange, snapshot=snapshot, services=services
        )
        await relay(route, call, deliver)
    except BaseException as failure:
        error = failure
        raise
    finally:
        settle(exchange, error, body if isinstance(body, WholeBody) else None, snapshot, services)


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


def _route(
    raw: RawRequest, exchange: Exchange, credentials: Credentials, snapshot: Snapshot, services: Services
) -> Plan:
    """Choose the targets. Raises UnknownModel, Forbidden, and Unauthenticated where a target needs a proxy key."""
    endpoint, model = exchange.endpoint, exchange.call.requested_model if exchange.call else None
    dialect = endpoint.host or endpoint.dialect
    chosen = plan(
        snapshot.routing,
        exchange.asked_model,
        dialect,
        draw=lambda: int.from_bytes(services.random_bytes(4)) / 2**32,
        decide=lambda rollout: assign(rollout, exchange, services),
    )
    if credentials.key is None and chosen.needs_key:
        raise _no_proxy_key()
    if credentials.key is not None and raw.method not in _SPENDING_NOTHING and not may_use(credentials.key, model):
        raise Forbidden("The proxy key may not use this model; its `allow` list says which.", code="model_not_allowed")
    retries = narrowed_retries(chosen.retries, raw.headers)
    return chosen if retries is chosen.retries else replace(chosen, retries=retries)
