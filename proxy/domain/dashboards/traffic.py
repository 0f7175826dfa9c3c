"""Traffic and reliability: incidents at providers, spikes of time-outs, traffic that a release changed."""

from proxy.domain.dashboards.tiles import COUNT, Dashboard, Series, Tile, share, table, trend
from proxy.domain.event_properties import ATTEMPT_FAILED, COMPLETED, FAILED

_DONE, _FAILED = Series(event=COMPLETED, name="completed"), Series(event=FAILED, name="failed")

TRAFFIC = Dashboard(
    slug="traffic",
    name="LLM traffic and reliability",
    description="How many calls there are, who answers them, and which fail. The tables lead to the calls themselves.",
    tiles=(
        Tile(
            slug="calls-by-model",
            name="Completed calls by model",
            description="Calls whose last byte was handed to the client, by the model that answered.",
            query=trend(_DONE, by=["model"], display="ActionsBar"),
        ),
        Tile(
            slug="error-rate",
            name="Error rate",
            description="Failed calls as a share of all that ended. A client that left counts as failed too.",
            query=share(_FAILED, _DONE, "error rate", of_both=True),
        ),
        Tile(
            slug="calls-by-prompt",
            name="Completed calls by prompt",
            description="A jump after a release is often a loop, or a caller that lost its cache.",
            query=trend(_DONE, by=["prompt_name"], display="ActionsBar"),
        ),
        Tile(
            slug="calls-by-provider",
            name="Completed calls by provider",
            description="Fallbacks show as traffic that moves from one to another.",
            query=trend(_DONE, by=["provider"], display="ActionsBar"),
        ),
        Tile(
            slug="failures-by-type",
            name="Failed calls by type of error",
            description="Whether it is the provider, a limit, a filter, the request, or a client that left.",
            query=trend(_FAILED, by=["error_type"], display="ActionsBar"),
        ),
        Tile(
            slug="error-rate-by-provider",
            name="Error rate by provider",
            description="An incident at one provider, and whether it is one of theirs or one of ours.",
            query=share(_FAILED, _DONE, "error rate", by=["provider"], of_both=True),
        ),
        Tile(
            slug="error-rate-by-environment",
            name="Error rate by environment",
            description="Staging may fail; production may not.",
            query=share(_FAILED, _DONE, "error rate", by=["environment"], of_both=True),
        ),
        Tile(
            slug="attempts-saved",
            name="Failed attempts that another attempt made good",
            description="Retries and fallbacks, by the provider that failed. Users did not notice, but they waited.",
            query=trend(Series(event=ATTEMPT_FAILED, name="attempts"), by=["provider"], display="ActionsBar"),
        ),
        Tile(
            slug="error-rate-by-size",
            name="Failures by model and size of the input",
            description="Whether long inputs are what fails.",
            query=table(f"""
                SELECT properties.model AS model, properties.input_length_bucket AS input_size,
                    uniqIf(uuid, event = '{FAILED}') AS failed, {COUNT} AS calls,
                    round(100 * failed / nullIf(calls, 0), 2) AS failed_percent
                FROM events WHERE event IN ('{COMPLETED}', '{FAILED}') AND {{filters}}
                GROUP BY model, input_size ORDER BY failed DESC LIMIT 100
            """),
            width=12,
        ),
        Tile(
            slug="recent-failures",
            name="Failed calls to open",
            description="The newest hundred. `trace_url` opens the trace.",
            query=table(f"""
                SELECT timestamp, properties.error_type AS error_type, properties.error_code AS error_code,
                    properties.failed_phase AS phase, properties.provider AS provider, properties.model AS model,
                    properties.prompt_name AS prompt, properties.prompt_version_id AS version,
                    properties.trace_url AS trace_url
                FROM events WHERE event = '{FAILED}' AND {{filters}} ORDER BY timestamp DESC LIMIT 100
            """),
            width=12,
            height=6,
        ),
    ),
)
