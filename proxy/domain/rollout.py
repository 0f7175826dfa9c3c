"""Who gets which variant: PostHog's bucketing, splits of our own, and decisions as values.

A person's place is a number from 0 to 1 that follows from the key and the id alone, so the same person gets the same
variant on every worker, on every replica and in PostHog's own SDKs, and nothing has to be remembered. Shares are laid
side by side in the order in which they are written; a variant has whoever falls into its part. So a share that grows
at its neighbour's expense keeps all whom it had. A split is what PostHog makes of a flag with the same key, the same
variants and a rollout of 100 %: to move from one to the other changes nobody's variant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import sha1
from typing import Literal, Self

from proxy.domain.overrides import Override
from proxy.domain.privacy import is_safe_text
from proxy.domain.values import value_class

VARIANT_LIMIT_CHARS = 200
MAX_VARIANTS = 50
_LONG_SCALE = float(0xFFFFFFFFFFFFFFF)
_FORBIDDEN_IN_VARIANTS = frozenset(",;=\"'\\ ")


def bucket(key: str, value: str, salt: str = "") -> float:
    """PostHog's hash: the place of a value (a distinct id, a group's key) under a flag's key, 0 to 1 inclusive."""
    digest = sha1(f"{key}.{value}{salt}".encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return int(digest[:15], 16) / _LONG_SCALE


@dataclass(frozen=True, slots=True)
class Split:
    """Variants with their shares in percent, in the order written; `of` makes one that adds up."""

    shares: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, percentages: Mapping[str, Decimal]) -> Self:
        """Raises ValueError, with what to do, where these are no shares of a whole."""
        if not 1 <= len(percentages) <= MAX_VARIANTS:
            raise ValueError(f"name 1 to {MAX_VARIANTS} variants")
        for variant, share in percentages.items():
            if (problem := variant_problem(variant)) is not None:
                raise ValueError(problem)
            if not 0 <= share <= 100:
                raise ValueError(f"the share of {variant} must be from 0 to 100")
        if (total := sum(percentages.values(), Decimal(0))) != 100:
            raise ValueError(f"the shares must add up to 100, and these make {total.normalize():f}")
        return cls(tuple((variant, float(share)) for variant, share in percentages.items()))

    def variant_of(self, key: str, value: str) -> str:
        """The variant in whose part the value falls: half-open, the last one closed."""
        place, end = bucket(key, value, "variant"), 0.0
        for variant, share in self.shares:
            end += share / 100
            if place < end:
                return variant
        return next(variant for variant, share in reversed(self.shares) if share > 0)

    @property
    def variants(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(variant for variant, _ in self.shares)


def variant_problem(variant: str) -> str | None:
    """Why a text cannot name a variant, or None; a variant stands in headers and events."""
    if not 0 < len(variant) <= VARIANT_LIMIT_CHARS:
        return f"a variant has 1 to {VARIANT_LIMIT_CHARS} characters"
    if not is_safe_text(variant) or _FORBIDDEN_IN_VARIANTS & set(variant):
        return "a variant has no spaces, quotes, commas, semicolons or equals signs"
    return None


class Reason(StrEnum):
    """Why a variant was served, as docs/rollouts.md explains. The first three are assignments; with all others, one
    variant runs for everybody.
    """

    MATCHED = "matched"
    SPLIT = "split"
    OVERRIDE = "override"
    STOPPED = "stopped"
    UNKNOWN_STATE = "unknown_state"
    NOT_CONFIGURED = "not_configured"
    NO_DEFINITIONS = "no_definitions"
    UNKNOWN_FLAG = "unknown_flag"
    INACTIVE = "inactive"
    MISSING_PROPERTY = "missing_property"
    UNSUPPORTED = "unsupported_definition"
    TOO_COSTLY = "too_costly"
    FAILED = "evaluation_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagFacts:
    """What PostHog's definition says of a flag besides its rules; goes with exposures."""

    id: int | None = None
    version: int | None = None
    has_experiment: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One question to ask of a call. Without a split, PostHog's flag of this key is asked."""

    flag: str
    default: str
    """The variant that runs where nothing can be decided."""
    split: Split | None = None


@value_class
class Decision:
    """What was decided for one call. Boolean flags answer `true` and `false`, as in headers."""

    flag: str
    variant: str
    reason: Reason
    facts: FlagFacts = FlagFacts()

    @property
    def is_assigned(self) -> bool:
        """False where one variant runs for everybody: such a call belongs to no experiment."""
        return self.reason in _DECIDED

    @property
    def runs_default(self) -> bool:
        """True where `variant` is no answer, but the default of whoever asked."""
        return self.reason not in _ANSWERS

    @property
    def source(self) -> Literal["assigned", "default"]:
        """As events say it; a client's own assertion is `asserted`."""
        return "assigned" if self.is_assigned else "default"

    @property
    def value(self) -> str | bool:
        """The variant as PostHog's SDKs send it."""
        return value_of(self.variant)


_DECIDED = frozenset({Reason.MATCHED, Reason.SPLIT, Reason.OVERRIDE})
_ANSWERS = _DECIDED | {Reason.STOPPED}
_BOOLEANS = {"true": True, "false": False}


def value_of(variant: str) -> str | bool:
    """A variant as PostHog's SDKs send it: boolean flags are booleans."""
    return _BOOLEANS.get(variant, variant)


def by_split(flag: str, split: Split, distinct_id: str) -> Decision:
    """The decision of a split under this key."""
    return Decision(flag=flag, variant=split.variant_of(flag, distinct_id), reason=Reason.SPLIT)


def by_override(flag: str, override: Override, distinct_id: str) -> Decision:
    """The decision of what counts instead of the configuration."""
    if (variant := override.only_variant) is not None:
        return Decision(flag=flag, variant=variant, reason=Reason.STOPPED)
    variant = Split(tuple(override.shares.items())).variant_of(flag, distinct_id)
    return Decision(flag=flag, variant=variant, reason=Reason.OVERRIDE)


def by_default(rollout: Rollout, reason: Reason) -> Decision:
    """The default, and why."""
    return Decision(flag=rollout.flag, variant=rollout.default, reason=reason)
