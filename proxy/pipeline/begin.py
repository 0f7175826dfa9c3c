"""The beginning of what is told of a call: its caller, the version of its prompt, and that it runs."""

import logging

from proxy.domain import events
from proxy.domain.exchange import Exchange
from proxy.domain.prompt_versions import with_version
from proxy.domain.routing import Plan, Target
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.call import Call
from proxy.pipeline.rollouts import expose
from proxy.pipeline.services import Services, Snapshot

log = logging.getLogger(__name__)


def introduce(call: Call, plan: Plan | None) -> None:
    """Know the caller, and note the call as running; no more than the caller where nobody knows yet who is asked.

    Called once the request is on its way, and when a call has failed before that.
    """
    caller, exchange = acquaint(call), call.exchange
    if plan is not None and not exchange.is_started:
        exchange.caller = with_version(caller, exchange.endpoint, call.snapshot.versions, plan.demand)
        begin(exchange, call.snapshot, call.services, plan.targets[0])


def begin(exchange: Exchange, snapshot: Snapshot, services: Services, planned: Target | None = None) -> None:
    """Note the call as running; from here on it is owed exactly one end. Never raises. `planned` is asked first."""
    if exchange.is_started or exchange.caller is None or not exchange.endpoint.is_model_call:
        return
    exchange.is_started = True

    def write() -> None:
        try:
            services.journal.open(events.opening(exchange, snapshot.events, planned))
        except Exception:
            log.exception("the start of a call could not be written", extra={"exchange_id": exchange.exchange_id})
        if exchange.decisions:
            expose(exchange, services)

    services.later(write)
