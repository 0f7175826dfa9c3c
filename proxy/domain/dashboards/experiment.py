"""One dashboard for each experiment: who got which variant, what they did, and whether a guardrail is near."""

import re
from collections.abc import Sequence

from proxy.domain.dashboards.tiles import Dashboard, Query, Series, Tile, is_true, number, share, table, trend
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.outcome_properties import FLAG_CALLED, TASK_COMPLETED

_PLAIN = re.compile(r"[\w.$ -]{1,200}", re.ASCII)


def experiment_dashboard(prompt: str, flag: str, event: str, property_name: str | None) -> Dashboard:
    """`event`, with a boolean property or alone, is the experiment's primary metric. Raises ValueError for a name that
    would end a string of HogQL.
    """
    if not all(_PLAIN.fullmatch(name) for name in (flag, event, property_name or event)):
        raise ValueError("a name of the experiment cannot stand in a query")
    return Dashboard(
        slug=f"experiment-{prompt.lower()}",
        name=f"LLM experiment: {prompt}",
        description=f"Variants of the flag {flag}. The verdict, valid however often it is looked at: "
        f"`promptlane experiment report {prompt}`.",
        tiles=(*_outcomes(flag, event, property_name), *_guardrails(flag), *_tables(flag, event, property_name)),
    )


def _outcomes(flag: str, event: str, property_name: str | None) -> tuple[Tile, ...]:
    variant = [f"$feature/{flag}"]
    return (
        Tile(
            slug="exposures",
            name="Users exposed, by variant",
            description="First time that a user got the variant. Shares far from the rollout's point to a fault.",
            query=trend(
                Series(event=FLAG_CALLED, name="users", measure="uniq(distinct_id)", where={"$feature_flag": flag}),
                by=["$feature_flag_response"],
                display="ActionsLineGraphCumulative",
            ),
        ),
        Tile(
            slug="primary",
            name=f"{event}, by variant",
            description="The primary metric.",
            query=_primary(event, property_name, variant),
        ),
        Tile(
            slug="escalations",
            name="Escalations, by variant",
            description="Tasks that a person had to take over.",
            query=share(
                Series(event=TASK_COMPLETED, name="escalated", where={"escalated_to_human": "true"}),
                Series(event=TASK_COMPLETED, name="tasks"),
                "escalated",
                by=variant,
            ),
        ),
    )


def _primary(event: str, property_name: str | None, variant: Sequence[str]) -> Query:
    """The share of events of which the property holds; of an event alone, the users who had it."""
    if property_name is None:
        return trend(Series(event=event, name="users", measure="uniq(distinct_id)"), by=variant)
    successes = Series(event=event, name="successes", where={property_name: "true"})
    return share(successes, Series(event=event, name="all"), "rate", by=variant)


def _guardrails(flag: str) -> tuple[Tile, ...]:
    variant = [f"$feature/{flag}"]
    return (
        Tile(
            slug="latency",
            name="p95 latency, by variant",
            description="In milliseconds.",
            query=trend(
                Series(event=COMPLETED, name="p95", measure=("p95", "latency_ms")), by=variant, axis="duration_ms"
            ),
        ),
        Tile(
            slug="errors",
            name="Error rate, by variant",
            description="Failed calls as a share of all that ended.",
            query=share(
                Series(event=FAILED, name="failed"),
                Series(event=COMPLETED, name="completed"),
                "error rate",
                by=variant,
                of_both=True,
            ),
        ),
        Tile(
            slug="cost",
            name="Cost per call, by variant",
            description="Average, in USD.",
            query=trend(
                Series(event=COMPLETED, name="cost", measure=("avg", "estimated_cost_usd")),
                by=variant,
                dollars=True,
            ),
        ),
    )


def _tables(flag: str, event: str, property_name: str | None) -> tuple[Tile, ...]:
    of_variant = f"properties.`$feature/{flag}`"
    value = is_true(property_name) if property_name else "true"
    return (
        Tile(
            slug="side-by-side",
            name="Variants side by side",
            description="Calls, the primary metric, latency and cost of each variant and version.",
            query=table(f"""
                SELECT {of_variant} AS variant, properties.prompt_version_id AS version,
                    uniqIf(uuid, event IN ('{COMPLETED}', '{FAILED}')) AS calls,
                    uniqIf(distinct_id, event IN ('{COMPLETED}', '{FAILED}')) AS users,
                    uniqIf(uuid, event = '{event}') AS outcomes,
                    round(100 * uniqIf(uuid, event = '{event}' AND {value}) / nullIf(outcomes, 0), 2)
                        AS success_percent,
                    round(quantileIf(0.95)({number("latency_ms")}, event = '{COMPLETED}')) AS p95_ms,
                    round(avgIf({number("estimated_cost_usd")}, event = '{COMPLETED}'), 6) AS usd_per_call
                FROM events WHERE event IN ('{COMPLETED}', '{FAILED}', '{event}')
                    AND {of_variant} IS NOT NULL AND {{filters}}
                GROUP BY variant, version ORDER BY variant LIMIT 100
            """),
            width=12,
        ),
        Tile(
            slug="calls-to-open",
            name="Failed and slow calls to open, by variant",
            description="`trace_url` opens the trace.",
            query=table(f"""
                SELECT timestamp, {of_variant} AS variant, event, properties.error_type AS error_type,
                    {number("latency_ms")} AS latency_ms, properties.trace_url AS trace_url
                FROM events WHERE event IN ('{COMPLETED}', '{FAILED}') AND {of_variant} IS NOT NULL AND {{filters}}
                ORDER BY event = '{FAILED}' DESC, latency_ms DESC LIMIT 100
            """),
            width=12,
            height=6,
        ),
    )
