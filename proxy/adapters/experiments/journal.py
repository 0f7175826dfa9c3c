"""The sums out of the kept records. Everything is summed up for each person first, then over people, in the database.

An outcome belongs to the person that it names, which the outcome API takes from the call that it is about. One that
names somebody who was never exposed, such as the colleague who closed the ticket, belongs to the person of its trace.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.source import Exposed, Measured, Question
from proxy.domain.experiments import Metric, Source

_EXPOSED = """
seen AS (
    SELECT distinct_id AS person, posthog_flag_variant AS variant, started_at AS moment
    FROM calls
    WHERE prompt_name = $prompt AND posthog_flag = $flag AND posthog_flag_source = 'assigned'
        AND list_contains($variants, posthog_flag_variant) AND distinct_id IS NOT NULL
        AND started_at >= make_timestamp($since) AND started_at < make_timestamp($until)
),
exposed AS (
    SELECT person, arg_min(variant, moment) AS variant, min(moment) AS moment,
        count(DISTINCT variant) > 1 AS has_switched
    FROM seen GROUP BY person
),
later AS (
    SELECT calls.*, exposed.variant, exposed.person
    FROM calls JOIN exposed ON calls.distinct_id = exposed.person
    WHERE calls.started_at >= exposed.moment AND calls.started_at < make_timestamp($until)
)
"""
_COUNTS = """
SELECT variant, count(*) AS people, count(*) FILTER (has_switched) AS switched, epoch_us(min(moment)) AS first_us
FROM exposed GROUP BY variant
"""
_SUMS = """
SELECT variant, count(*) AS people, sum(total) AS numerator, sum(many) AS denominator,
    sum(total * total) AS numerator_squared, sum(many * many) AS denominator_squared, sum(total * many) AS product,
    bool_and(is_share) AS is_share
FROM (
    SELECT variant, person, sum(value)::DOUBLE AS total, count(value)::DOUBLE AS many,
        bool_and(value IN (0, 1)) AS is_share
    FROM single WHERE value IS NOT NULL GROUP BY variant, person
) GROUP BY variant
"""
_CALLS = 'SELECT variant, person, "{property}"::DOUBLE AS value FROM later WHERE prompt_name = $prompt'
_ABOVE = """
SELECT variant, person, ("{property}" > $above[list_position($variants, variant)])::INTEGER::DOUBLE AS value
FROM later WHERE prompt_name = $prompt
"""
_ERRORS = """
SELECT variant, person,
    CASE WHEN status = 'cancelled' THEN NULL ELSE (status <> 'success')::INTEGER END AS value
FROM later WHERE prompt_name = $prompt
"""
_TASKS = """
SELECT variant, person, sum(estimated_cost_usd) AS value
FROM later GROUP BY variant, person, coalesce(task_id, trace_id)
HAVING bool_or(prompt_name = $prompt) AND count(*) = count(estimated_cost_usd)
"""
_TOLD = """
told AS (
    SELECT outcomes.*, coalesce(direct.person, traced.person) AS person
    FROM outcomes
    LEFT JOIN exposed AS direct ON outcomes.distinct_id = direct.person
    LEFT JOIN (SELECT trace_id, min(person) AS person FROM later GROUP BY trace_id) AS traced
        ON outcomes.trace_id = traced.trace_id
    WHERE outcomes."at" < make_timestamp($until)
        AND CASE WHEN $event = '' THEN NOT starts_with(outcomes.name, '$') ELSE outcomes.name = $event END
)
"""
_OUTCOMES = """
SELECT exposed.variant, exposed.person,
    CASE word WHEN 'true' THEN 1 WHEN 'positive' THEN 1 WHEN 'false' THEN 0 WHEN 'negative' THEN 0
        ELSE TRY_CAST(word AS DOUBLE) END AS value
FROM exposed JOIN (SELECT *, json_extract_string(properties, $path) AS word FROM told) AS found
    ON found.person = exposed.person AND found."at" >= exposed.moment
"""
_PEOPLE = """
SELECT exposed.variant, exposed.person, max(found."at" IS NOT NULL)::INTEGER::DOUBLE AS value
FROM exposed LEFT JOIN told AS found ON found.person = exposed.person AND found."at" >= exposed.moment
GROUP BY exposed.variant, exposed.person
"""
_SINGLES = {
    Source.CALLS: _CALLS,
    Source.CALL_SHARE: _ERRORS,
    Source.TASKS: _TASKS,
    Source.OUTCOMES: _OUTCOMES,
    Source.PEOPLE: _PEOPLE,
}


class Tables(Protocol):
    """Satisfied by `adapters.analysis.Analysis`."""

    def query(self, sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rows of a query."""


class JournalRecords:
    """Satisfies `source.Records`. Each question is asked of the tables anew: they are fast, and nothing is held."""

    def __init__(self, tables: Tables, question: Question) -> None:
        self._tables = tables
        self._variants = question.variants
        self._given: dict[str, object] = {
            "flag": question.flag,
            "prompt": question.prompt,
            "variants": list(question.variants),
            "since": question.since_unix_us,
            "until": question.until_unix_us,
        }

    def exposed(self) -> Exposed:
        """See the port."""
        rows = self._ask(_COUNTS, self._given)
        return Exposed(
            people={row["variant"]: row["people"] for row in rows},
            switched=sum(row["switched"] for row in rows),
            first_unix_us=min((row["first_us"] for row in rows), default=None),
        )

    def measured(self, metric: Metric, above: Mapping[str, float] | None = None) -> Measured:
        """See the port."""
        single, given = self._single(metric)
        if above is not None:
            single = _ABOVE.replace("{property}", metric.property)
            given["above"] = [above.get(variant) for variant in self._variants]
        rows = self._ask(_SUMS, given, single)
        return Measured(
            moments={row["variant"]: _moments(row) for row in rows},
            is_share=bool(rows) and all(row["is_share"] for row in rows),
        )

    def quantiles(self, metric: Metric, levels: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
        """See the port."""
        if not levels:
            return {}
        single, given = self._single(metric)
        found: dict[str, Sequence[float]] = {}
        for variant, wanted in levels.items():
            columns = ", ".join(f"quantile_cont(value, {float(level)!r})" for level in wanted)  # must be constants
            rows = self._ask(
                f"SELECT [{columns}] AS found FROM single WHERE variant = $variant",  # noqa: S608 - numbers of our own
                given | {"variant": variant},
                single,
            )
            if rows and rows[0]["found"][0] is not None:
                found[variant] = rows[0]["found"]
        return found

    def _ask(self, select: str, given: Mapping[str, object], single: str | None = None) -> list[dict[str, Any]]:
        parts = [_EXPOSED]
        if single is not None:
            parts += [*([_TOLD] if " told" in single else []), f"single AS ({single})"]
        sql = f"WITH {', '.join(parts)} {select}"
        return self._tables.query(sql, {name: value for name, value in given.items() if f"${name}" in sql})

    def _single(self, metric: Metric) -> tuple[str, dict[str, object]]:
        """The statement that gives each single value with its person, and what it is given."""
        given = dict(self._given)
        if metric.source in (Source.OUTCOMES, Source.PEOPLE):
            given["event"] = metric.event or ""
        if metric.source is Source.OUTCOMES:
            given["path"] = f'$."{metric.property}"'
        return _SINGLES[metric.source].replace("{property}", metric.property), given


def _moments(row: Mapping[str, Any]) -> Moments:
    return Moments(
        people=row["people"],
        numerator=row["numerator"],
        denominator=row["denominator"],
        numerator_squared=row["numerator_squared"],
        denominator_squared=row["denominator_squared"],
        product=row["product"],
    )
