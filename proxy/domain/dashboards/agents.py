"""Agent workflow health: which tool fails, which step is tried again, what a finished task costs."""

from proxy.domain.dashboards.tiles import COUNT, Dashboard, Series, Tile, number, share, table, trend
from proxy.domain.event_properties import COMPLETED, FAILED
from proxy.domain.outcome_properties import AGENT_STEP, TASK_COMPLETED

_STEPS = Series(event=AGENT_STEP, name="steps")
_TASKS = Series(event=TASK_COMPLETED, name="tasks")
_DONE = Series(event=TASK_COMPLETED, name="completed", where={"task_completed": "true"})
_CALLS_OF_AGENTS = f"event IN ('{COMPLETED}', '{FAILED}') AND properties.agent_config_id IS NOT NULL"

AGENTS = Dashboard(
    slug="agents",
    name="LLM agent workflow health",
    description="Steps of agents: tools that fail, steps that are tried again, tasks that are finished and their cost.",
    tiles=(
        Tile(
            slug="tool-failures",
            name="Failed tool calls, by tool",
            description="As a share of the tool calls whose result came back.",
            query=share(
                Series(event=AGENT_STEP, name="failed", where={"step_status": "error"}),
                _STEPS,
                "failed",
                by=["tool_name"],
            ),
        ),
        Tile(
            slug="retries-by-step",
            name="Retries, by step",
            description="How often a call was tried again by the app, by `agent_step_name`.",
            query=trend(
                Series(event=COMPLETED, name="retries", measure=("sum", "retry_count")),
                by=["agent_step_name"],
                display="ActionsBar",
            ),
        ),
        Tile(
            slug="completion-by-agent",
            name="Tasks completed, by agent configuration",
            description="As a share of all tasks that were reported.",
            query=share(_DONE, _TASKS, "completed", by=["agent_config_id"]),
        ),
        Tile(
            slug="cost-per-agent-task",
            name="Cost per completed agent task",
            description="Cost of the calls that name an agent configuration ÷ their tasks that were completed.",
            query=table(f"""
                SELECT properties.agent_config_id AS agent,
                    sumIf({number("estimated_cost_usd")}, event IN ('{COMPLETED}', '{FAILED}')) AS usd,
                    uniqIf(uuid, event = '{TASK_COMPLETED}' AND toString(properties.task_completed) = 'true') AS tasks,
                    round(usd / nullIf(tasks, 0), 4) AS usd_per_task
                FROM events WHERE event IN ('{COMPLETED}', '{FAILED}', '{TASK_COMPLETED}')
                    AND properties.agent_config_id IS NOT NULL AND {{filters}}
                GROUP BY agent ORDER BY usd DESC LIMIT 100
            """),
        ),
        Tile(
            slug="tool-time",
            name="p95 time of a tool call, by tool",
            description="From the reply that asked for the tool to the request that brought its result.",
            query=trend(
                Series(event=AGENT_STEP, name="p95", measure=("p95", "duration_ms")),
                by=["tool_name"],
                axis="duration_ms",
            ),
        ),
        Tile(
            slug="calls-per-trace",
            name="Calls per trace",
            description="A step up without a release is an agent that loops.",
            query=trend(
                Series(event=COMPLETED, name="calls"),
                Series(event=COMPLETED, name="traces", measure="uniq(properties.trace_id)"),
                ratio=("A/B", "calls per trace"),
                by=["agent_config_id"],
            ),
        ),
        Tile(
            slug="steps",
            name="Tools and steps side by side",
            description="Calls, failures and time of each tool, within each step.",
            query=table(f"""
                SELECT properties.agent_step_name AS step, properties.tool_name AS tool, {COUNT} AS calls,
                    uniqIf(uuid, properties.step_status = 'error') AS failed,
                    round(100 * failed / nullIf(calls, 0), 1) AS failed_percent,
                    sum({number("retry_count")}) AS retries,
                    round(quantile(0.95)({number("duration_ms")})) AS p95_ms
                FROM events WHERE event = '{AGENT_STEP}' AND {{filters}}
                GROUP BY step, tool ORDER BY failed DESC, calls DESC LIMIT 100
            """),
            width=12,
        ),
        Tile(
            slug="failing-traces",
            name="Traces with failed tool calls to open",
            description="`trace_url` opens the trace.",
            query=table(f"""
                SELECT properties.trace_id AS trace, {COUNT} AS failed_steps,
                    groupUniqArray(5)(properties.tool_name) AS tools, any(properties.agent_config_id) AS agent,
                    max(timestamp) AS last, any(properties.trace_url) AS trace_url
                FROM events WHERE event = '{AGENT_STEP}' AND properties.step_status = 'error' AND {{filters}}
                GROUP BY trace ORDER BY failed_steps DESC LIMIT 50
            """),
            height=6,
        ),
        Tile(
            slug="longest-traces",
            name="Longest agent traces to open",
            description="By calls. `trace_url` opens the trace.",
            query=table(f"""
                SELECT properties.trace_id AS trace, {COUNT} AS calls, any(properties.agent_config_id) AS agent,
                    round(sum({number("estimated_cost_usd")}), 4) AS usd, any(properties.trace_url) AS trace_url
                FROM events WHERE {_CALLS_OF_AGENTS} AND {{filters}}
                GROUP BY trace ORDER BY calls DESC LIMIT 50
            """),
            height=6,
        ),
    ),
)
