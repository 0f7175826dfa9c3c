"""Rollouts whose shares somebody has set by hand, or a guardrail has stopped: what counts instead of configuration.

An override holds for every worker of a data folder, and until an operator takes it back; nothing resumes by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ChangedBy(StrEnum):
    """Who changed a rollout."""

    GUARDRAIL = "guardrail"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The shares of one rollout, in percent by variant, in the order in which people are dealt out. They sum to 100."""

    shares: Mapping[str, float]
    changed_by: ChangedBy
    changed_at_unix_us: int

    @property
    def only_variant(self) -> str | None:
        """The variant that everybody gets, where it is one."""
        given = [variant for variant, share in self.shares.items() if share > 0]
        return given[0] if len(given) == 1 else None


@dataclass(frozen=True, slots=True)
class Overrides:
    """All of them, by the rollout's key: the flag's, or the split's. No override: the rollout runs as configured."""

    by_key: Mapping[str, Override] = field(default_factory=dict)
    are_known: bool = True
    """False where any rollout may have been stopped, and nobody can tell which."""

    def of(self, key: str) -> Override | None:
        """What counts instead of configuration for this rollout; None where configuration counts."""
        return self.by_key.get(key)


NO_OVERRIDES = Overrides()
UNKNOWN_OVERRIDES = Overrides(are_known=False)
