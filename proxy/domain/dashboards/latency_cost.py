"""Latency and cost: a prompt that grew, a model that is slower, an agent that loops."""

from proxy.domain.dashboards.tiles import COUNT, Dashboard, Series, Tile, latency, number, table, trend
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.outcome_properties import TASK_COMPLETED

_COST = f"sum({number('estimated_cost_usd')})"


LATENCY_AND_COST = Dashboard(
    slug="latency-cost",
    name="LLM latency and cost",
    description="How long users wait and what it costs, by model, prompt version and size; tables lead to the calls.",
    tiles=(
        Tile(
            slug="latency",
            name="Latency p50, p95, p99",
            description="Request received → last byte handed to the client, in milliseconds.",
            query=trend(latency("median", "p50"), latency("p95", "p95"), latency("p99", "p99"), axis="duration_ms"),
        ),
        Tile(
            slug="ttft",
            name="Time to first token p50, p95",
            description="Request received → first content token. Streams only.",
            query=trend(latency("median", "p50", "ttft_ms"), latency("p95", "p95", "ttft_ms"), axis="duration_ms"),
        ),
        Tile(
            slug="latency-by-model",
            name="p95 latency by model",
            description="What a change of model does to those who wait longest.",
            query=trend(latency("p95", "p95"), by=["model"], axis="duration_ms"),
        ),
        Tile(
            slug="latency-by-version",
            name="p95 latency by prompt version",
            description="A prompt that asks for more takes longer.",
            query=trend(latency("p95", "p95"), by=["prompt_name", "prompt_version_id"], axis="duration_ms"),
        ),
        Tile(
            slug="latency-by-size",
            name="p95 latency by size of the input",
            description="Tells a slower provider from longer inputs.",
            query=trend(latency("p95", "p95"), by=["input_length_bucket"], axis="duration_ms"),
        ),
        Tile(
            slug="cost-by-model",
            name="Cost by day and model",
            description="Estimated cost in USD, all attempts. Calls without a known price are not in it.",
            query=trend(
                Series(event=COMPLETED, name="cost", measure=("sum", "estimated_cost_usd")),
                by=["model"],
                display="ActionsBar",
                dollars=True,
            ),
        ),
        Tile(
            slug="cost-per-task",
            name="Cost per completed task",
            description="Cost of completed and failed calls ÷ tasks that ended as the user wanted.",
            query=trend(
                Series(event=COMPLETED, name="completed", measure=_COST),
                Series(event=FAILED, name="failed", measure=f"ifNull({_COST}, 0)"),
                Series(event=TASK_COMPLETED, name="tasks", where={"task_completed": "true"}),
                ratio=("(A+B)/C", "USD per task"),
                dollars=True,
            ),
        ),
        Tile(
            slug="cost-known",
            name="Calls by what is known of their cost",
            description="`unpriced`: a model that pricing.yaml should have; `partial`: estimated counts.",
            query=trend(Series(event=COMPLETED, name="calls"), by=["cost_status"], display="ActionsBar"),
        ),
        Tile(
            slug="versions",
            name="Prompt versions side by side",
            description="Calls, latency, tokens and cost of each version of each prompt.",
            query=table(f"""
                SELECT properties.prompt_name AS prompt, properties.prompt_version_id AS version,
                    properties.posthog_flag_variant AS variant, properties.model AS model, {COUNT} AS calls,
                    round(quantile(0.5)({number("latency_ms")})) AS p50_ms,
                    round(quantile(0.95)({number("latency_ms")})) AS p95_ms,
                    round(avg({number("input_tokens")})) AS input_tokens,
                    round(avg({number("output_tokens")})) AS output_tokens,
                    round(avg({number("estimated_cost_usd")}), 6) AS usd_per_call, round({_COST}, 4) AS usd
                FROM events WHERE event = '{COMPLETED}' AND {{filters}}
                GROUP BY prompt, version, variant, model ORDER BY calls DESC LIMIT 100
            """),
            width=12,
            height=6,
        ),
        Tile(
            slug="slowest",
            name="Slowest calls to open",
            description="`trace_url` opens the trace.",
            query=table(f"""
                SELECT timestamp, {number("latency_ms")} AS latency_ms, {number("ttft_ms")} AS ttft_ms,
                    {number("proxy_overhead_ms")} AS proxy_ms, properties.model AS model,
                    properties.prompt_version_id AS version, properties.input_length_bucket AS input_size,
                    properties.output_length_bucket AS output_size, properties.trace_url AS trace_url
                FROM events WHERE event = '{COMPLETED}' AND {{filters}} ORDER BY latency_ms DESC LIMIT 50
            """),
            height=6,
        ),
        Tile(
            slug="dearest-traces",
            name="Dearest traces to open",
            description="An agent that loops shows here first. `trace_url` opens the trace.",
            query=table(f"""
                SELECT properties.trace_id AS trace, round({_COST}, 4) AS usd, {COUNT} AS calls,
                    sum({number("input_tokens")}) AS input_tokens, any(properties.agent_config_id) AS agent,
                    any(properties.trace_url) AS trace_url
                FROM events WHERE event IN ('{COMPLETED}', '{FAILED}') AND {{filters}}
                GROUP BY trace ORDER BY usd DESC LIMIT 50
            """),
            height=6,
        ),
    ),
)
