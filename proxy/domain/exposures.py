"""Exposures: PostHog's experiments count whom a flag's variant was shown, and when first.

One person, flag and variant make one event, however many calls, workers and restarts there are: a hash of the three is
remembered, and should it be forgotten, the event that is made again has the same uuid.
"""

from hashlib import blake2b

from proxy import __version__
from proxy.domain.events import encoded, event_uuid
from proxy.domain.exchange import Exchange
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import FLAG_CALLED, allowed
from proxy.domain.rollout import Decision, Reason

REASONS = {Reason.MATCHED: "Evaluated locally", Reason.SPLIT: "Split", Reason.OVERRIDE: "Set by hand"}
"""As `$feature_flag_reason` says it; the first is what PostHog's SDKs say."""


def exposure_key(decision: Decision, distinct_id: str) -> bytes:
    """What is remembered of an exposure that was told: 16 bytes."""
    said = "\0".join(("exposed", distinct_id, decision.flag, decision.variant))
    return blake2b(said.encode(errors="surrogatepass"), digest_size=16).digest()


def exposure(decision: Decision, exchange: Exchange) -> Outcome:
    """The `$feature_flag_called` of an assignment. The caller must be known."""
    caller, facts = exchange.caller, decision.facts
    assert caller is not None
    said = allowed(FLAG_CALLED).members(
        {
            "$feature_flag": decision.flag,
            "$feature_flag_response": decision.value,
            f"$feature/{decision.flag}": decision.value,
            "$feature_flag_id": facts.id,
            "$feature_flag_version": facts.version,
            "$feature_flag_has_experiment": facts.has_experiment,
            "$feature_flag_reason": REASONS[decision.reason],
            "locally_evaluated": True,
            "posthog_flag_source": decision.source,
            "prompt_name": caller.prompt_name,
            "prompt_version_id": caller.prompt_version_id,
            "prompt_version_source": caller.prompt_version_source,
            "exchange_id": exchange.exchange_id,
            "trace_id": caller.trace_id,
            "environment": caller.environment,
            "$session_id": caller.session_id,
            "$groups": dict(caller.groups),
            "distinct_id_hashed": True if caller.distinct_id_hashed else None,
            "$lib": "promptlane",
            "$lib_version": __version__,
            "$geoip_disable": True,
            "$process_person_profile": False if caller.is_anonymous else None,
        },
    )
    event = encoded(
        FLAG_CALLED,
        event_uuid(exposure_key(decision, caller.distinct_id).hex(), FLAG_CALLED),
        distinct_id=caller.distinct_id,
        at_us=exchange.received_unix_us,
        said=said,
    )
    return Outcome(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        at_unix_us=exchange.received_unix_us,
        events=(event,),
    )
