"""One look at a proxy's /metrics, and what happened between two of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs of name and value."""


class NotMetrics(ValueError):
    """The text is no Prometheus text, or not that of a Promptlane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """`at_s` is monotonic. `samples` are values by sample name and labels."""

    at_s: float
    samples: Mapping[str, Mapping[Labels, float]]

    def values(self, name: str, label: str, **where: str) -> Mapping[str, float]:
        """By the values of one label, each summed over the series whose other labels are as given."""
        found: dict[str, float] = {}
        for labels, value in self.samples.get(name, {}).items():
            named = dict(labels)
            if all(named.get(other) == wanted for other, wanted in where.items()):
                key = named.get(label, "")
                found[key] = found.get(key, 0.0) + value
        return found

    def value(self, name: str) -> float | None:
        """The sum over all series; None where the proxy tells of no such thing."""
        series = self.samples.get(name)
        return sum(series.values()) if series else None

    def split(self, label: str) -> Mapping[str, "Scrape"]:
        """A part for each value of the label, with the series that have it."""
        parts: dict[str, dict[str, dict[Labels, float]]] = {}
        for name, series in self.samples.items():
            for labels, value in series.items():
                for part in (its for other, its in labels if other == label):
                    parts.setdefault(part, {}).setdefault(name, {})[labels] = value
        return {part: Scrape(at_s=self.at_s, samples=samples) for part, samples in parts.items()}

    def restarted_since(self, before: "Scrape") -> bool:
        """True where calls that had been counted before are not counted any more."""
        name = "promptlane_calls_total"
        now = self.samples.get(name, {})
        return any(now.get(labels, 0.0) < value for labels, value in before.samples.get(name, {}).items())


def parse(text: str, at_s: float) -> Scrape:
    """Raises NotMetrics."""
    samples: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    except ValueError as error:
        raise NotMetrics from error
    if not any(name.startswith("promptlane_") for name in samples):
        raise NotMetrics
    return Scrape(at_s=at_s, samples=samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What happened between two scrapes."""

    before: Scrape
    after: Scrape

    @property
    def span_s(self) -> float:
        """How much time lies between them."""
        return self.after.at_s - self.before.at_s

    def split(self, label: str) -> Mapping[str, "Window"]:
        """A part for each value of the label that there is now."""
        then, nothing = self.before.split(label), Scrape(at_s=self.before.at_s, samples={})
        return {
            part: Window(before=then.get(part, nothing), after=after) for part, after in self.after.split(label).items()
        }

    def gains(self, name: str, label: str, **where: str) -> Mapping[str, float]:
        """By the values of one label, over the series whose other labels are as given; a new series began at 0."""
        then = self.before.values(name, label, **where)
        now = self.after.values(name, label, **where)
        return {key: max(0.0, total - then.get(key, 0.0)) for key, total in now.items()}

    def per_s(self, name: str, **where: str) -> float | None:
        """Over the series whose labels are as given; None where there is none."""
        gains = self.gains(name, "", **where)
        return sum(gains.values()) / self.span_s if gains else None

    def quantiles(self, name: str, *shares: float) -> list[float | None]:
        """Of what a histogram observed; see `quantile`."""
        buckets = sorted((float(upper), count) for upper, count in self.gains(f"{name}_bucket", "le").items())
        return [quantile(buckets, share) for share in shares]


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """As Prometheus does it: evenly within a bucket, and the last finite bound for what lies beyond it.

    `buckets` are upper bounds in ascending order with cumulative counts, the last one infinite. None where nothing
    was observed.
    """
    if not buckets or not buckets[-1][1]:
        return None
    rank = share * buckets[-1][1]
    lower, below = 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            return lower if upper == inf else lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    return lower
