"""Rolling out: a flag or a split is asked once for each call, and all that is told of the call says its answer."""

from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller
from proxy.domain.rollout import Decision, Reason, Rollout, by_default, by_override, by_split
from proxy.pipeline.services import Services


def assign(rollout: Rollout, exchange: Exchange, services: Services) -> Decision:
    """The variant of this call, which must have been identified. Never raises, and never waits.

    A flag that was asked already gives the same answer again, also to another rollout of the same key.
    """
    for made in exchange.decisions:
        if made.flag == rollout.flag:
            return made
    assert exchange.caller is not None
    decision = _decide(rollout, exchange.caller, services)
    exchange.decisions += (decision,)
    return decision


def _decide(rollout: Rollout, caller: Caller, services: Services) -> Decision:
    if (override := services.overrides().of(rollout.flag)) is not None:
        return by_override(rollout.flag, override, caller.distinct_id)
    if rollout.split is not None:
        return by_split(rollout.flag, rollout.split, caller.distinct_id)
    if services.flags is not None:
        return services.flags.decide(rollout, caller)
    return by_default(rollout, Reason.NOT_CONFIGURED)
