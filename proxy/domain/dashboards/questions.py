"""Questions that no single event answers: what users did after an answer, and which answers they had."""

from proxy.domain.dashboards.tiles import COUNT, Dashboard, Series, Tile, is_true, number, percent, share, table, trend
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.outcome_properties import AGENT_STEP, OUTPUT_EVALUATED, OUTPUT_RATED, TASK_COMPLETED

_LAST_ANSWER = f"""
    SELECT properties.trace_id AS trace, argMax(properties.output_category, timestamp) AS kind,
        argMax(properties.output_length_bucket, timestamp) AS size,
        argMax(properties.model, timestamp) AS model, sum({number("latency_ms")}) AS latency_ms
    FROM events WHERE event = '{COMPLETED}' AND {{filters}} GROUP BY trace
"""
"""What the last answer of each trace was like, and how long its user waited in all."""
_TASKS = f"""
    SELECT properties.trace_id AS trace, max({is_true("task_completed")}) AS is_done,
        max({is_true("escalated_to_human")}) AS is_escalated, max({is_true("edited_output")}) AS is_edited,
        max({is_true("accepted_output")}) AS is_accepted
    FROM events WHERE event = '{TASK_COMPLETED}' AND {{filters}} GROUP BY trace
"""


QUESTIONS = Dashboard(
    slug="questions",
    name="LLM questions across calls and outcomes",
    description="Each tile answers one question by joining calls to what came of them.",
    tiles=(
        Tile(
            slug="latency-by-plan",
            name="Which model is slowest for paying customers?",
            description="By your own property `plan` (allow it under properties.allow), else by nothing.",
            query=table(f"""
                SELECT properties.plan AS plan, properties.model AS model, {COUNT} AS calls,
                    round(quantile(0.5)({number("latency_ms")})) AS p50_ms,
                    round(quantile(0.95)({number("latency_ms")})) AS p95_ms
                FROM events WHERE event = '{COMPLETED}' AND {{filters}}
                GROUP BY plan, model ORDER BY p95_ms DESC LIMIT 100
            """),
        ),
        Tile(
            slug="first-response",
            name="How long do users wait for the first response?",
            description="The first call of each trace: time to its first token, or to its end where it was no stream.",
            query=table(f"""
                SELECT prompt, count() AS traces, round(quantile(0.5)(first_ms)) AS p50_ms,
                    round(quantile(0.95)(first_ms)) AS p95_ms
                FROM (
                    SELECT properties.trace_id AS trace, argMin(properties.prompt_name, timestamp) AS prompt,
                        argMin(coalesce({number("ttft_ms")}, {number("latency_ms")}), timestamp) AS first_ms
                    FROM events WHERE event = '{COMPLETED}' AND {{filters}} GROUP BY trace
                ) GROUP BY prompt ORDER BY traces DESC LIMIT 100
            """),
        ),
        Tile(
            slug="abandonment",
            name="Do users leave after a refusal, a bad answer or a failed tool?",
            description="Users who had such an event, and how many of them made no call in the following day.",
            query=table(f"""
                SELECT trouble, count() AS users, countIf(gone) AS gone, {percent("gone")} AS gone_percent
                FROM (
                    SELECT t.person AS who, t.trouble AS trouble, max(l.last) < t.at + INTERVAL 10 MINUTE AS gone
                    FROM (
                        SELECT distinct_id AS person, max(timestamp) AS at, multiIf(
                            event = '{OUTPUT_RATED}', 'bad rating', event = '{AGENT_STEP}', 'failed tool',
                            event = '{FAILED}', 'failed call', 'refusal') AS trouble
                        FROM events
                        WHERE (event = '{COMPLETED}' AND properties.output_category = 'refusal'
                            OR event = '{FAILED}'
                            OR event = '{OUTPUT_RATED}' AND properties.user_feedback = 'negative'
                            OR event = '{AGENT_STEP}' AND properties.step_status = 'error')
                            AND timestamp < now() - INTERVAL 1 DAY AND {{filters}}
                        GROUP BY person, trouble
                    ) AS t
                    JOIN (
                        SELECT distinct_id AS person, max(timestamp) AS last FROM events
                        WHERE event IN ('{COMPLETED}', '{FAILED}') AND {{filters}} GROUP BY person
                    ) AS l ON l.person = t.person
                    GROUP BY t.person, t.trouble, t.at
                ) GROUP BY trouble ORDER BY users DESC
            """),
            width=12,
        ),
        Tile(
            slug="accepted-by-version",
            name="Which prompt version's suggestions are accepted?",
            description="Tasks whose answer was taken, as a share of all that were reported.",
            query=share(
                Series(event=TASK_COMPLETED, name="accepted", where={"accepted_output": "true"}),
                Series(event=TASK_COMPLETED, name="tasks"),
                "accepted",
                by=("prompt_name", "prompt_version_id"),
            ),
        ),
        Tile(
            slug="retries-per-task",
            name="How many retries does a task take?",
            description="Average of `retry_count` of tasks, by prompt version.",
            query=trend(
                Series(event=TASK_COMPLETED, name="retries", measure=("avg", "retry_count")),
                by=("prompt_name", "prompt_version_id"),
            ),
        ),
        Tile(
            slug="longer-more-edits",
            name="Do longer outputs get more edits?",
            description="Tasks by the size of the last answer of their trace.",
            query=table(f"""
                SELECT a.size AS output_size, count() AS tasks, {percent("t.is_edited")} AS edited_percent,
                    {percent("t.is_accepted")} AS accepted_percent
                FROM ({_TASKS}) AS t JOIN ({_LAST_ANSWER}) AS a ON a.trace = t.trace
                GROUP BY output_size ORDER BY tasks DESC
            """),
        ),
        Tile(
            slug="latency-and-completion",
            name="Does waiting hurt completion?",
            description="Tasks by how long their trace's calls took together.",
            query=table(f"""
                SELECT multiIf(a.latency_ms < 2000, '1: under 2 s', a.latency_ms < 4000, '2: 2 to 4 s',
                        a.latency_ms < 8000, '3: 4 to 8 s', a.latency_ms < 16000, '4: 8 to 16 s', '5: over 16 s')
                    AS waited, count() AS tasks, {percent("t.is_done")} AS completed_percent
                FROM ({_TASKS}) AS t JOIN ({_LAST_ANSWER}) AS a ON a.trace = t.trace
                GROUP BY waited ORDER BY waited
            """),
        ),
        Tile(
            slug="model-and-escalation",
            name="Does a cheaper model raise escalations?",
            description="Tasks by the model of their last answer, with the cost per task beside.",
            query=table(f"""
                SELECT properties.model AS model, {COUNT} AS tasks,
                    round(avg({number("estimated_cost_usd")}), 5) AS usd_per_task,
                    round(100 * uniqIf(uuid, {is_true("escalated_to_human")}) / tasks, 1) AS escalated_percent,
                    round(100 * uniqIf(uuid, {is_true("task_completed")}) / tasks, 1) AS completed_percent
                FROM events WHERE event = '{TASK_COMPLETED}' AND {{filters}}
                GROUP BY model ORDER BY usd_per_task DESC
            """),
        ),
        Tile(
            slug="citations-and-trust",
            name="Are answers with citations trusted more?",
            description="Tasks by the kind of their trace's last answer.",
            query=table(f"""
                SELECT a.kind AS answer, count() AS tasks, {percent("t.is_accepted")} AS accepted_percent,
                    {percent("t.is_edited")} AS edited_percent, {percent("t.is_escalated")} AS escalated_percent
                FROM ({_TASKS}) AS t JOIN ({_LAST_ANSWER}) AS a ON a.trace = t.trace
                GROUP BY answer ORDER BY tasks DESC
            """),
        ),
        Tile(
            slug="accuracy-by-document",
            name="How accurate is it, by type of document?",
            description="Evaluations passed, and tasks whose answer was corrected by hand.",
            query=table(f"""
                SELECT properties.document_type AS document_type,
                    uniqIf(uuid, event = '{OUTPUT_EVALUATED}') AS evaluations,
                    round(100 * uniqIf(uuid, event = '{OUTPUT_EVALUATED}' AND {is_true("eval_passed")})
                        / nullIf(evaluations, 0), 1) AS passed_percent,
                    uniqIf(uuid, event = '{TASK_COMPLETED}') AS tasks,
                    round(100 * uniqIf(uuid, event = '{TASK_COMPLETED}' AND {is_true("edited_output")})
                        / nullIf(tasks, 0), 1) AS corrected_percent
                FROM events WHERE event IN ('{OUTPUT_EVALUATED}', '{TASK_COMPLETED}') AND {{filters}}
                GROUP BY document_type ORDER BY tasks DESC LIMIT 100
            """),
        ),
        Tile(
            slug="time-per-task",
            name="How long does a task take?",
            description="Median of `duration_ms` of tasks, by type: compare it with the time it took by hand.",
            query=trend(
                Series(event=TASK_COMPLETED, name="median", measure=("median", "duration_ms")),
                by=["task_type"],
                axis="duration_ms",
            ),
        ),
        Tile(
            slug="low-confidence-and-churn",
            name="Do repeated poor answers drive users away?",
            description="Users by their failed evaluations and bad ratings, and how many were not seen for 7 days.",
            query=table(f"""
                SELECT multiIf(poor = 0, '0', poor < 3, '1 or 2', '3 or more') AS poor_answers, count() AS users,
                    {percent("last < now() - INTERVAL 7 DAY")} AS gone_percent
                FROM (
                    SELECT distinct_id AS person, max(timestamp) AS last,
                        uniqIf(uuid, event = '{OUTPUT_RATED}' AND properties.user_feedback = 'negative'
                            OR event = '{OUTPUT_EVALUATED}' AND toString(properties.eval_passed) = 'false') AS poor
                    FROM events WHERE {{filters}} GROUP BY person
                ) GROUP BY poor_answers ORDER BY poor_answers
            """),
            width=12,
        ),
    ),
)
