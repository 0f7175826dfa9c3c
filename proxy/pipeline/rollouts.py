"""Rolling out: a flag or a split is asked once for each call, and all that is told of the call says its answer."""

import logging

from proxy.domain.exchange import Exchange
from proxy.domain.exposures import exposure, exposure_key
from proxy.domain.identity import Caller
from proxy.domain.rollout import Decision, Reason, Rollout, by_default, by_override, by_split
from proxy.pipeline.services import Services

log = logging.getLogger(__name__)


def assign(rollout: Rollout, exchange: Exchange, services: Services) -> Decision:
    """The variant of this call, which must have been identified. Never raises, and never waits.

    A flag that was asked already gives the same answer again, also to another rollout of the same key; where it gave
    none, each runs its own default.
    """
    for made in exchange.decisions:
        if made.flag == rollout.flag:
            return by_default(rollout, made.reason) if made.runs_default else made
    assert exchange.caller is not None
    decision = _decide(rollout, exchange.caller, services)
    exchange.decisions += (decision,)
    return decision


def _decide(rollout: Rollout, caller: Caller, services: Services) -> Decision:
    overrides = services.overrides()
    if not overrides.are_known:
        return by_default(rollout, Reason.UNKNOWN_STATE)
    if (override := overrides.of(rollout.flag)) is not None:
        return by_override(rollout.flag, override, caller.distinct_id)
    if rollout.split is not None:
        return by_split(rollout.flag, rollout.split, caller.distinct_id)
    if services.flags is not None:
        return services.flags.decide(rollout, caller)
    return by_default(rollout, Reason.NOT_CONFIGURED)


def expose(exchange: Exchange, services: Services) -> None:
    """Tell PostHog's experiments which variants this person was shown, unless they know. Never raises.

    Only when the version that runs is known, too: it is told with them.
    """
    try:
        policy = services.snapshot().events
        if exchange.caller is None or not (policy.product or policy.ai):
            return
        for decision in exchange.decisions:
            is_new = decision.is_assigned and services.shared.remember(
                exposure_key(decision, exchange.caller.distinct_id), b""
            )
            if is_new:
                services.journal.note(exposure(decision, exchange))
    except Exception:
        log.exception("an exposure could not be written", extra={"exchange_id": exchange.exchange_id})
