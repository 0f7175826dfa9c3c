"""Many months, looked at on each day: how often is the truth found, and how often is one fooled?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from proxy.adapters.experiments.judge import judge
from proxy.adapters.experiments.source import Question
from proxy.domain.experiments import Experiment, Guardrail, Primary
from proxy.domain.judgement import Outcome, broken, verdict
from tools.simulate.month import ALIKE, AT_THE_LIMIT, BETTER, CONTROL, FLAG, HARMFUL, TREATMENT, Truth, month
from tools.simulate.people import People

EXPERIMENT = Experiment(
    primary=Primary(event="ticket", property="resolved"),
    guardrails=(
        Guardrail(metric="escalated_to_human", max_increase=0.02),
        Guardrail(metric="latency_ms", quantile=0.95, max=4_000),
        Guardrail(metric="cost_per_task_usd", max=0.03),
    ),
)
QUESTION = Question(prompt="support", flag=FLAG, variants=(CONTROL, TREATMENT), until_unix_us=1)
SCENARIOS = {"alike": ALIKE, "better": BETTER, "at the limit": AT_THE_LIMIT, "harmful": HARMFUL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one month made somebody believe, who looked every day: the day on which each was first said, from 1."""

    better: int | None = None
    worse: int | None = None
    stopped: int | None = None
    people_at_stop: int = 0
    """Who had got the treatment by then."""


def looked_at(seed: int, truths: Mapping[str, Truth], *, days: int, people_a_day: int, step: int = 1) -> Seen:
    """Look at the end of every `step` days until a guardrail stops it, or the month is over."""
    simulated = month(seed, truths, days=days, people_a_day=people_a_day)
    shares = {CONTROL: 0.5, TREATMENT: 0.5}
    first: dict[Outcome, int] = {}
    for day in range(step, days + 1, step):
        found = judge(EXPERIMENT, QUESTION, shares, People(simulated, day))
        first.setdefault(verdict(found).outcome, day)
        if broken(found):
            return Seen(
                better=first.get(Outcome.BETTER),
                worse=first.get(Outcome.WORSE),
                stopped=day,
                people_at_stop=found.shares.people[TREATMENT],
            )
    return Seen(better=first.get(Outcome.BETTER), worse=first.get(Outcome.WORSE))


def summary(name: str, seen: Iterable[Seen]) -> Iterator[str]:
    """The shares of months in which each was said, and when."""
    months = list(seen)
    yield f"{name}: {len(months)} months"
    for what in ("better", "worse", "stopped"):
        days = [day for each in months if (day := getattr(each, what)) is not None]
        when = f", in the median on day {median(days):g}" if days else ""
        yield f"  {what:8} {len(days) / len(months):6.1%}{when}"
    if stopped := [each.people_at_stop for each in months if each.stopped is not None]:
        yield f"  people who had the treatment when it was stopped, median: {median(stopped):,.0f}"
