"""A PostHog flag's `filters` with other shares in them, and everything else as it was.

PostHog takes `filters` whole: what is left out of it is lost. So they are copied, members that nobody here knows too,
and only shares are written anew. A condition that pins its people to a variant which nobody is to get any more is
pinned to control: else they would keep it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


class Unfit(Exception):
    """The flag cannot be given these shares; the text says why, for the operator."""


def with_shares(filters: Mapping[str, Any], shares: Mapping[str, float], control: str) -> dict[str, Any]:
    """The filters to send. `shares` are percent by variant and sum to 100. Raises Unfit."""
    changed = deepcopy(dict(filters))
    try:
        variants = (changed.get("multivariate") or {}).get("variants") or []
        if variants:
            _deal_out(changed, variants, shares, control)
        else:
            _switch(changed, shares)
    except (AttributeError, KeyError, TypeError) as error:
        raise Unfit("its conditions are not of a form that is known here") from error
    return changed


def shares_of(filters: Mapping[str, Any]) -> dict[str, float] | None:
    """Percent by variant among the people whom the flag gives one; None where its conditions make that no fixed share.

    Whether somebody gets a variant at all is drawn apart from which one, so conditions leave the shares as they are,
    but for those that pin people to a variant.
    """
    try:
        variants = (filters.get("multivariate") or {}).get("variants") or []
        conditions = filters.get("groups") or []
        if any(condition.get("variant") is not None for condition in conditions):
            return None
        if variants:
            return {str(variant["key"]): float(variant["rollout_percentage"]) for variant in variants}
        if len(conditions) != 1 or conditions[0].get("properties"):
            return None
        share = float(conditions[0].get("rollout_percentage", 100))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return {"true": share, "false": 100 - share}


def _deal_out(
    changed: dict[str, Any], variants: list[dict[str, Any]], shares: Mapping[str, float], control: str
) -> None:
    known = [variant["key"] for variant in variants]
    given = {variant for variant, share in shares.items() if share > 0}
    if given == {control} and control not in known:
        _show_to_nobody(changed)  # without an answer of the flag, control runs
        return
    if missing := sorted(given.difference(known)):
        raise Unfit(f"it has no variant {missing[0]}; it has {', '.join(known)}")
    for variant in variants:
        variant["rollout_percentage"] = _number(shares.get(variant["key"], 0))
    for condition in changed.get("groups") or []:
        if condition.get("variant") is not None and condition["variant"] not in given:
            condition["variant"] = control if control in given else None


def _switch(changed: dict[str, Any], shares: Mapping[str, float]) -> None:
    """A flag that is on or off: its share is that of its conditions."""
    share = shares.get("true", 0)
    conditions = changed.get("groups") or []
    if share == 0:
        _show_to_nobody(changed)
    elif len(conditions) == 1:
        conditions[0]["rollout_percentage"] = _number(share)
    else:
        raise Unfit(f"it has {len(conditions)} conditions, each with a share of its own; set them in PostHog")


def _show_to_nobody(changed: dict[str, Any]) -> None:
    for condition in changed.get("groups") or []:
        condition["rollout_percentage"] = 0


def _number(share: float) -> float:
    return int(share) if share == int(share) else share
