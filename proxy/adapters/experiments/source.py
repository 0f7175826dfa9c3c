"""What a judge asks of the records, wherever they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.adapters.experiments.moments import Moments
from proxy.domain.experiments import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose experiment, and which time of it: from `since_unix_us` inclusive to `until_unix_us` exclusive.

    A person is exposed by the first call of this prompt, in this time, of which the proxy itself decided the variant.
    What came of a person counts from there on.
    """

    prompt: str
    flag: str
    variants: tuple[str, ...]
    """Control first; calls of other variants belong to nobody."""
    since_unix_us: int = 0
    until_unix_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """People by variant. `switched` were seen in more than one, and count in their first."""

    people: Mapping[str, int]
    switched: int
    first_unix_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric by variant; variants without a value are absent."""

    moments: Mapping[str, Moments]
    is_share: bool
    """Every single value was 0 or 1, or false or true."""


class Records(Protocol):
    """Satisfied by `journal.JournalRecords` and `posthog.PostHogRecords`, and by values in tests."""

    def exposed(self) -> Exposed:
        """How many people were given which variant."""

    def measured(self, metric: Metric, above: Mapping[str, float] | None = None) -> Measured:
        """The sums of a metric; with `above` those of the share of calls whose value is above the variant's bound."""

    def quantiles(self, metric: Metric, levels: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
        """The values of single calls at these levels, 0 to 1 inclusive, by variant."""
