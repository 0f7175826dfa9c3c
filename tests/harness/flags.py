"""Definitions of feature flags as PostHog sends them."""

from collections.abc import Mapping
from typing import Any

Definition = dict[str, Any]


def flag(key: str, *conditions: Definition, variants: Mapping[str, float] | None = None, **more: Any) -> Definition:
    """A flag; without a condition it is for everybody."""
    groups = list(conditions) or [condition()]
    filters: Definition = {"groups": groups, "payloads": {"true": '"a payload"'}, **more.pop("filters", {})}
    if variants is not None:
        shares = [{"key": variant, "rollout_percentage": share} for variant, share in variants.items()]
        filters["multivariate"] = {"variants": shares}
    return {"id": 7, "key": key, "name": "a name", "active": True, "version": 3, **more, "filters": filters}


def condition(*properties: Definition, rollout: float | str | None = None, **more: Any) -> Definition:
    """Properties that must all hold, and of whom that holds, how many percent are in; a text is malformed."""
    return {"properties": list(properties), "rollout_percentage": rollout, **more}


def holds(key: str, operator: str, value: Any, **more: Any) -> Definition:
    """A condition on a person's property."""
    return {"key": key, "operator": operator, "value": value, "type": "person", **more}


def definitions(*flags: Definition, **cohorts: Any) -> Definition:
    """The reply; cohorts by `c` and their number."""
    return {
        "flags": list(flags),
        "group_type_mapping": {"0": "company"},
        "cohorts": {name.removeprefix("c"): group for name, group in cohorts.items()},
    }


def cohort(number: int) -> Definition:
    """A condition on membership."""
    return {"key": "id", "type": "cohort", "value": number}


def all_of(*filters: Definition) -> Definition:
    """A cohort's definition."""
    return {"type": "AND", "values": list(filters)}
