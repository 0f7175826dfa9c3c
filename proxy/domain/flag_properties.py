"""What events say of feature flags: what the proxy decided, and beside it what the client asserts of other flags.

A default that runs because nothing could be decided is told with its reason, but is no `$feature/…`: it would put the
user into an experiment that never took them in.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from proxy.domain.event_properties import MAX_FLAGS
from proxy.domain.rollout import Decision, value_of

Asserted = Sequence[tuple[str, str]]
"""(flag, variant) pairs as the client sent them."""


def of_flags(decisions: Sequence[Decision], asserted: Asserted) -> dict[str, object]:
    """Properties of every event of a call; none where it has no flag."""
    if not decisions and not asserted:
        return {}
    decided = {decision.flag: decision for decision in decisions}
    values = {decision.flag: decision.variant for decision in decisions if decision.is_assigned}
    values |= {flag: variant for flag, variant in asserted if flag not in decided}
    kept = dict(islice(values.items(), MAX_FLAGS))
    return {
        **_first(decisions, asserted),
        **{f"$feature/{flag}": value_of(variant) for flag, variant in kept.items()},
        "$active_feature_flags": sorted(flag for flag, variant in kept.items() if variant != "false"),
    }


def _first(decisions: Sequence[Decision], asserted: Asserted) -> Mapping[str, object]:
    flag, variant = first_flag(decisions, asserted)
    return {
        "posthog_flag": flag,
        "posthog_flag_variant": variant,
        "posthog_flag_source": decisions[0].source if decisions else "asserted",
        "posthog_flag_reason": decisions[0].reason if decisions else None,
    }


def first_flag(decisions: Sequence[Decision], asserted: Asserted) -> tuple[str | None, str | None]:
    """The flag that a call is known by, and its variant: what was decided first, else what is asserted first."""
    if decisions:
        return decisions[0].flag, decisions[0].variant
    return asserted[0] if asserted else (None, None)


def shown_to_client(decisions: Sequence[Decision], asserted: Asserted) -> list[str]:
    """Values of `X-Feature-Flag` on a reply: `key=variant`, with the reason where a default runs."""
    decided = {decision.flag for decision in decisions}
    shown = [
        f"{made.flag}={made.variant}" if made.is_assigned else f"{made.flag}={made.variant};reason={made.reason}"
        for made in decisions
    ]
    shown += [f"{flag}={variant}" for flag, variant in asserted if flag not in decided]
    return [value for value in shown if value.isascii()]
