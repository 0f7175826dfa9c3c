"""The sums out of PostHog, by HogQL: for people of several machines together, and for outcomes that an app sends there
by itself. PostHog may hold an event twice for a while, so each is counted by its uuid.

What is exposed is told by the ends of calls. Otherwise the questions are those of `journal`. Texts of ours are put
together by `replace`; what configuration says goes beside the query, as values for its placeholders.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.source import Exposed, Measured, Question
from proxy.domain.experiments import Metric, Source

Run = Callable[[str, Mapping[str, object]], Sequence[Sequence[Any]]]
"""Text and values of a query to its rows. Blocks."""
LONGEST_S = 90 * 86_400
"""How far back is looked where no beginning is given."""

_EXPOSED = """(
    SELECT person, argMin(given, moment) AS variant, min(moment) AS exposed_at, uniq(given) > 1 AS has_switched
    FROM (
        SELECT distinct_id AS person, toString(properties.posthog_flag_variant) AS given, timestamp AS moment
        FROM events
        WHERE event IN ('llm_request_completed', 'llm_request_failed') AND properties.prompt_name = {prompt}
            AND properties.posthog_flag = {flag} AND properties.posthog_flag_source = 'assigned' AND <DURING>
    )
    WHERE given IN (<VARIANTS>)
    GROUP BY person
)"""
_LATER = """
FROM events JOIN <EXPOSED> AS exposed ON events.distinct_id = exposed.person
WHERE <OF_EVENT> AND timestamp >= exposed.exposed_at AND timestamp < fromUnixTimestamp({until})
GROUP BY variant, person, events.uuid
"""
_SINGLE = "SELECT exposed.variant AS variant, exposed.person AS person, any(<VALUE>) AS value" + _LATER
_TASKS = """
SELECT variant, person, if(count() = count(cost), sum(cost), NULL) AS value
FROM (
    SELECT exposed.variant AS variant, exposed.person AS person,
        any(coalesce(nullIf(toString(properties.task_id), ''), toString(properties.trace_id))) AS task,
        any(toFloat(properties.estimated_cost_usd)) AS cost, any(properties.prompt_name = {prompt}) AS is_ours
    <LATER>
)
GROUP BY variant, person, task
HAVING countIf(is_ours) > 0
"""
_PEOPLE = """
SELECT exposed.variant AS variant, exposed.person AS person, ifNull(found.latest >= exposed.exposed_at, 0) AS value
FROM <EXPOSED> AS exposed
LEFT JOIN (
    SELECT distinct_id AS person, max(timestamp) AS latest
    FROM events WHERE event = {event} AND <DURING> GROUP BY person
) AS found ON exposed.person = found.person
"""
_SUMS = """
SELECT variant, count() AS people, sum(total) AS numerator, sum(many) AS denominator,
    sum(total * total) AS numerator_squared, sum(many * many) AS denominator_squared, sum(total * many) AS product,
    min(is_share) AS is_share
FROM (
    SELECT variant, person, sum(value) AS total, count(value) AS many, min(value IN (0, 1)) AS is_share
    FROM (<SINGLES>) WHERE value IS NOT NULL GROUP BY variant, person
)
GROUP BY variant
"""
_COUNTS = (
    "SELECT variant, count(), countIf(has_switched), toUnixTimestamp(min(exposed_at)) FROM <EXPOSED> GROUP BY variant"
)
_DURING = "timestamp >= fromUnixTimestamp({since}) AND timestamp < fromUnixTimestamp({until})"
_CALLS_END = "event IN ('llm_request_completed', 'llm_request_failed')"
_CALLS_OF_PROMPT = _CALLS_END + " AND properties.prompt_name = {prompt}"
_ERROR = "multiIf(properties.status = 'cancelled', NULL, properties.status = 'success', 0, 1)"
_OUTCOME = (
    "multiIf(toString(properties.<PROPERTY>) IN ('true', 'positive'), 1,"
    " toString(properties.<PROPERTY>) IN ('false', 'negative'), 0, toFloat(properties.<PROPERTY>))"
)


class PostHogRecords:
    """Satisfies `source.Records`."""

    def __init__(self, run: Run, question: Question) -> None:
        self._run = run
        self._variants = question.variants
        until_s = question.until_unix_us // 1_000_000
        self._values: dict[str, object] = {
            "prompt": question.prompt,
            "flag": question.flag,
            "since": max(question.since_unix_us // 1_000_000, until_s - LONGEST_S),
            "until": until_s,
            **{f"variant_{number}": variant for number, variant in enumerate(question.variants)},
        }
        variants = ", ".join(f"{{variant_{number}}}" for number in range(len(question.variants)))
        self._exposed = _EXPOSED.replace("<VARIANTS>", variants)

    def exposed(self) -> Exposed:
        """See the port."""
        rows = self._ask(_COUNTS)
        return Exposed(
            people={variant: int(people) for variant, people, *_ in rows},
            switched=sum(int(switched) for _, _, switched, _ in rows),
            first_unix_us=min((int(first_s) * 1_000_000 for *_, first_s in rows), default=None),
        )

    def measured(self, metric: Metric, above: Mapping[str, float] | None = None) -> Measured:
        """See the port."""
        singles, values = self._singles(metric)
        if above is not None:
            bounds = {f"above_{self._variants.index(variant)}": bound for variant, bound in above.items()}
            cases = ", ".join(
                f"variant = {{{name.replace('above', 'variant')}}}, value > {{{name}}}" for name in bounds
            )
            singles = f"SELECT variant, person, multiIf({cases}, NULL) AS value FROM ({singles}) AS plain"  # noqa: S608
            values = values | bounds
        rows = self._ask(_SUMS.replace("<SINGLES>", singles), values)
        return Measured(
            moments={str(row[0]): _moments(row) for row in rows},
            is_share=bool(rows) and all(bool(row[7]) for row in rows),
        )

    def quantiles(self, metric: Metric, levels: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
        """See the port."""
        singles, values = self._singles(metric)
        found: dict[str, Sequence[float]] = {}
        for variant, wanted in levels.items():
            columns = ", ".join(f"quantile({float(level)!r})(value)" for level in wanted)
            given = values | {"wanted": variant}
            rows = self._ask(
                f"SELECT count(), {columns} FROM ({singles}) WHERE variant = {{wanted}}",  # noqa: S608 - numbers
                given,
            )
            if rows and rows[0][0]:
                found[variant] = [float(value) for value in rows[0][1:]]
        return found

    def _singles(self, metric: Metric) -> tuple[str, dict[str, object]]:
        """The query that gives each single value with its person, and its values beside those of all."""
        match metric.source:
            case Source.TASKS:
                return _TASKS.replace("<LATER>", _LATER.replace("<OF_EVENT>", _CALLS_END)), {}
            case Source.PEOPLE:
                return _PEOPLE, {"event": metric.event}
            case Source.CALL_SHARE:
                return _SINGLE.replace("<VALUE>", _ERROR).replace("<OF_EVENT>", _CALLS_OF_PROMPT), {}
            case Source.CALLS:
                value = f"toFloat(properties.{quoted(metric.property)})"
                return _SINGLE.replace("<VALUE>", value).replace("<OF_EVENT>", _CALLS_OF_PROMPT), {}
            case Source.OUTCOMES:
                value = _OUTCOME.replace("<PROPERTY>", quoted(metric.property))
                if metric.event is None:
                    has = f"NOT startsWith(event, '$') AND isNotNull(properties.{quoted(metric.property)})"
                    return _SINGLE.replace("<VALUE>", value).replace("<OF_EVENT>", has), {}
                return _SINGLE.replace("<VALUE>", value).replace("<OF_EVENT>", "event = {event}"), {
                    "event": metric.event
                }

    def _ask(self, text: str, values: Mapping[str, object] | None = None) -> Sequence[Sequence[Any]]:
        text = text.replace("<EXPOSED>", self._exposed).replace("<DURING>", _DURING)
        given = {**self._values, **(values or {})}
        used = {name: value for name, value in given.items() if f"{{{name}}}" in text}
        return self._run(" ".join(text.split()), used)


def quoted(name: str) -> str:
    """As an identifier of HogQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "``") + "`"


def _moments(row: Sequence[Any]) -> Moments:
    return Moments(
        people=int(row[1]),
        numerator=float(row[2]),
        denominator=float(row[3]),
        numerator_squared=float(row[4]),
        denominator_squared=float(row[5]),
        product=float(row[6]),
    )
