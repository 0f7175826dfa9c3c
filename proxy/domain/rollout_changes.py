"""Changes of rollouts by hand or by a guardrail: what is kept of them, what counts now, and the event that tells.

Changes are kept in the order in which they were made; the last one of a flag counts. A change that names no shares
takes an earlier one back: the rollout runs as configured again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import ROLLOUT_CHANGED
from proxy.domain.overrides import ChangedBy, Override, Overrides
from proxy.domain.own_events import own_outcome
from proxy.domain.rollout import Split

EVIDENCE_CHARS = 500
_END_OF_TIME_US = 4_102_444_800_000_000
"""The year 2100."""


class AtPostHog(StrEnum):
    """Whether PostHog's flag was changed too."""

    NOT_ASKED = "not_asked"
    """No key that could, or the rollout has no flag there."""
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    """It will not be tried again: the key may not, or there is no such flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutChange:
    """One change. `shares` are percent by variant; None: as configured."""

    id: str
    flag: str
    prompt: str
    """The prompt, or the alias, whose rollout it is."""
    shares: Mapping[str, float] | None
    changed_by: ChangedBy
    changed_at_unix_us: int
    evidence: str = ""
    """Why, in words and without content."""
    at_posthog: AtPostHog = AtPostHog.NOT_ASKED


def overrides_of(changes: Iterable[RolloutChange]) -> Overrides:
    """What counts now."""
    last = {change.flag: change for change in changes}
    return Overrides(
        {
            flag: Override(
                shares=change.shares, changed_by=change.changed_by, changed_at_unix_us=change.changed_at_unix_us
            )
            for flag, change in last.items()
            if change.shares is not None
        }
    )


def outcome_of(change: RolloutChange) -> Outcome:
    """`llm_rollout_changed`, the same bytes each time."""
    return own_outcome(
        ROLLOUT_CHANGED,
        change.id,
        change.changed_at_unix_us,
        {
            "prompt_name": change.prompt,
            "posthog_flag": change.flag,
            "rollout_shares": {name: f"{share:g}" for name, share in (change.shares or {}).items()} or None,
            "rollout_as_configured": change.shares is None,
            "rollout_changed_by": change.changed_by,
            "rollout_evidence": change.evidence or None,
        },
    )


def to_json(changes: Iterable[RolloutChange]) -> bytes:
    """As they are kept."""
    document = {"version": 1, "changes": [_as_json(change) for change in changes]}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_json(text: bytes) -> list[RolloutChange]:
    """What `to_json` gave. Raises ValueError for anything else, such as shares by which nobody could be dealt out."""
    try:
        document = orjson.loads(text)
        if document["version"] != 1:
            raise ValueError("of another version")
        return [_of_json(each) for each in document["changes"]]
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError("not a list of changes") from error


def _as_json(change: RolloutChange) -> dict[str, object]:
    return {
        "id": change.id,
        "flag": change.flag,
        "prompt": change.prompt,
        "shares": None if change.shares is None else dict(change.shares),
        "changed_by": change.changed_by,
        "changed_at_unix_us": change.changed_at_unix_us,
        "evidence": change.evidence,
        "at_posthog": change.at_posthog,
    }


def _of_json(each: Mapping[str, Any]) -> RolloutChange:
    shares, changed_at_unix_us = each["shares"], int(each["changed_at_unix_us"])
    if not 0 <= changed_at_unix_us < _END_OF_TIME_US:
        raise ValueError("a change at no time that can be told")
    if shares is not None:
        shares = dict(Split.of({name: Decimal(str(share)) for name, share in shares.items()}).shares)
    return RolloutChange(
        id=str(each["id"]),
        flag=str(each["flag"]),
        prompt=str(each["prompt"]),
        shares=shares,
        changed_by=ChangedBy(each["changed_by"]),
        changed_at_unix_us=changed_at_unix_us,
        evidence=str(each["evidence"]),
        at_posthog=AtPostHog(each["at_posthog"]),
    )
