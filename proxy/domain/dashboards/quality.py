"""Quality and outcomes: whether a change of prompt or model helped the people who use it."""

from proxy.domain.dashboards.tiles import (
    COUNT,
    Dashboard,
    Series,
    Tile,
    funnel,
    is_true,
    number,
    share,
    table,
    tasks,
    trend,
)
from proxy.domain.event_properties import COMPLETED
from proxy.domain.outcome_properties import OUTPUT_EVALUATED, OUTPUT_RATED, PROMPT_DRIFTED, TASK_COMPLETED

_TASKS = Series(event=TASK_COMPLETED, name="tasks")
_RATED = Series(event=OUTPUT_RATED, name="ratings")
_ANSWERS = Series(event=COMPLETED, name="answers")
_BY_VERSION = ("prompt_name", "prompt_version_id")


QUALITY = Dashboard(
    slug="quality",
    name="LLM quality and outcomes",
    description="What came of the answers: tasks done, ratings, escalations, evaluations, by prompt version.",
    tiles=(
        Tile(
            slug="completion-by-version",
            name="Tasks completed, by prompt version",
            description="Tasks that ended as the user wanted, as a share of all that were reported.",
            query=share(tasks("completed", task_completed="true"), _TASKS, "completed", by=_BY_VERSION),
        ),
        Tile(
            slug="negative-feedback",
            name="Negative ratings, by prompt version",
            description="As a share of all ratings.",
            query=share(
                Series(event=OUTPUT_RATED, name="negative", where={"user_feedback": "negative"}),
                _RATED,
                "negative",
                by=_BY_VERSION,
            ),
        ),
        Tile(
            slug="escalation",
            name="Escalations after an answer, by prompt version",
            description="Tasks that a person had to take over, as a share of all.",
            query=share(tasks("escalated", escalated_to_human="true"), _TASKS, "escalated", by=_BY_VERSION),
        ),
        Tile(
            slug="eval-score",
            name="Evaluation score, by prompt version",
            description="Average of `eval_score`, one line for each evaluation and version.",
            query=trend(
                Series(event=OUTPUT_EVALUATED, name="score", measure=("avg", "eval_score")),
                by=("eval_name", "prompt_version_id"),
            ),
        ),
        Tile(
            slug="edits",
            name="Answers that were edited before use",
            description="Of the tasks that say so; by prompt version.",
            query=share(tasks("edited", edited_output="true"), _TASKS, "edited", by=_BY_VERSION),
        ),
        Tile(
            slug="kinds-of-output",
            name="Answers by kind",
            description="Plain answers, answers with citations, refusals, tool calls, cut and empty ones.",
            query=trend(_ANSWERS, by=["output_category"], display="ActionsBar"),
        ),
        Tile(
            slug="from-answer-to-done",
            name="From an answer to a task done, by prompt version",
            description="Users who had an answer, and those whose task was done within a day.",
            query=funnel(_ANSWERS, tasks("done", task_completed="true"), by="prompt_version_id"),
            width=12,
        ),
        Tile(
            slug="versions",
            name="Outcomes of each version",
            description="Tasks, completion, escalation, edits and cost per completed task.",
            query=table(f"""
                SELECT properties.prompt_name AS prompt, properties.prompt_version_id AS version,
                    properties.posthog_flag_variant AS variant, {COUNT} AS tasks,
                    round(100 * uniqIf(uuid, {is_true("task_completed")}) / nullIf(tasks, 0), 1) AS completed_percent,
                    round(100 * uniqIf(uuid, {is_true("escalated_to_human")}) / nullIf(tasks, 0), 1)
                        AS escalated_percent,
                    round(100 * uniqIf(uuid, {is_true("edited_output")}) / nullIf(tasks, 0), 1) AS edited_percent,
                    round(sum({number("estimated_cost_usd")})
                        / nullIf(uniqIf(uuid, {is_true("task_completed")}), 0), 4) AS usd_per_completed,
                    round(sum({number("revenue_usd")}), 2) AS revenue_usd
                FROM events WHERE event = '{TASK_COMPLETED}' AND {{filters}}
                GROUP BY prompt, version, variant ORDER BY tasks DESC LIMIT 100
            """),
            width=12,
            height=6,
        ),
        Tile(
            slug="bad-answers",
            name="Badly rated answers to open",
            description="The newest hundred. `trace_url` opens the trace.",
            query=table(f"""
                SELECT timestamp, properties.prompt_name AS prompt, properties.prompt_version_id AS version,
                    properties.model AS model, properties.task_type AS task, properties.trace_url AS trace_url
                FROM events WHERE event = '{OUTPUT_RATED}' AND properties.user_feedback = 'negative' AND {{filters}}
                ORDER BY timestamp DESC LIMIT 100
            """),
            height=6,
        ),
        Tile(
            slug="drift",
            name="Versions whose text changed",
            description="One prompt version ran with a new text: somebody edited it in place.",
            query=table(f"""
                SELECT timestamp, properties.prompt_name AS prompt, properties.prompt_version_id AS version,
                    properties.prompt_hash AS prompt_hash, properties.trace_url AS trace_url
                FROM events WHERE event = '{PROMPT_DRIFTED}' AND {{filters}} ORDER BY timestamp DESC LIMIT 50
            """),
            height=6,
        ),
    ),
)
