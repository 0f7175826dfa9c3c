"""The second table of properties: events that are not of one model call, but of what came of calls.

An outcome, an agent's step, an evaluation, an exposure, a changed rollout: each says what it is about by the same names
as the calls do (`event_properties`), and what is its own by the rows here. Like that table it is an allow-list, and
its names too are reserved.
"""

from proxy.domain import alerts, event_properties
from proxy.domain.overrides import ChangedBy
from proxy.domain.pricing import CostStatus
from proxy.domain.property_rows import AllowList, Kind, Property, boolean, group, integer, many, number, one_of, text
from proxy.domain.tool_results import StatusSource, StepStatus

OUTPUT_RATED = "llm_output_rated"
OUTPUT_EVALUATED = "llm_output_evaluated"
TASK_COMPLETED = "llm_task_completed"
AGENT_STEP = "llm_agent_step"
PROMPT_DRIFTED = "llm_prompt_drifted"
ROLLOUT_CHANGED = "llm_rollout_changed"
ALERT_FIRED = "llm_alert_fired"
ALERT_RESOLVED = "llm_alert_resolved"
FLAG_CALLED = "$feature_flag_called"
AI_SPAN = "$ai_span"
AI_FEEDBACK = "$ai_feedback"
AI_METRIC = "$ai_metric"
AI_EVALUATION = "$ai_evaluation"
PRODUCT_EVENT = "your own events"
"""Stands for every name that an app chooses for a product event."""

EVENTS: dict[str, str] = {
    OUTPUT_RATED: "A user rated an answer.",
    OUTPUT_EVALUATED: "An evaluation of an answer has a result.",
    TASK_COMPLETED: "A task that calls worked on has ended, well or not.",
    AGENT_STEP: "A tool call's result came back, or an app reported a step.",
    PROMPT_DRIFTED: "One prompt version ran with another text than before.",
    ROLLOUT_CHANGED: "A guardrail or an operator changed who gets which version.",
    ALERT_FIRED: "The number of one of your alert rules went above its limit.",
    ALERT_RESOLVED: "An alert that fired is over.",
    PRODUCT_EVENT: "Something else happened in the product, by any name.",
    FLAG_CALLED: "PostHog's own: a user got a flag's variant for the first time.",
    AI_SPAN: "PostHog's own: a step of an agent.",
    AI_FEEDBACK: "PostHog's own: a user rated an answer.",
    AI_METRIC: "PostHog's own: a measure of an answer.",
    AI_EVALUATION: "PostHog's own: an evaluation's result.",
}
"""Every event that is not of one call, and when it is made."""
OUTCOMES = (OUTPUT_RATED, OUTPUT_EVALUATED, TASK_COMPLETED, AGENT_STEP, PRODUCT_EVENT)

_SHARED_GROUPS = frozenset({"identity", "prompt", "PostHog", "health"})
_SHARED_NAMES = frozenset({"provider", "model", "requested_model", "target", "endpoint"})

TABLE: tuple[Property, ...] = (
    *group(
        "context",
        OUTCOMES,
        boolean("context_found", "The call that this is about is known here."),
        integer("request_count", "Calls of the trace so far."),
        number("estimated_cost_usd", "Cost of the trace's calls so far, in USD.", 1_000_000),
        one_of("cost_status", CostStatus, "Of these calls' costs: `partial` where they differ in it."),
        number("latency_ms", "Sum of the durations of the trace's calls so far."),
        integer("input_tokens", "Sum over the trace's calls so far."),
        integer("output_tokens", "Sum over the trace's calls so far."),
    ),
    *group(
        "outcome",
        OUTCOMES,
        boolean("task_completed", "The task ended as the user wanted."),
        one_of("user_feedback", ("positive", "negative", "neutral"), "What the user thought of it."),
        boolean("escalated_to_human", "A person had to take over."),
        integer("retry_count", "How often it was tried again.", 10_000),
        boolean("accepted_output", "The user took the answer."),
        boolean("edited_output", "The user changed the answer before taking it."),
        number("revenue_usd", "Revenue that came of it, in USD."),
        text("tool_name", "The tool of a step.", 128),
        one_of("step_status", StepStatus, "How the step ended."),
        number("duration_ms", "How long the step or the task took."),
        boolean("eval_passed", "The check was passed."),
        number("eval_score", "The check's score.", 1_000_000),
        text("eval_name", "The check's name.", 200),
        text("eval_reason_code", "Why it was not passed.", 200),
        text("eval_model", "The model that judged it, where one did.", 200),
    ),
    *group(
        "rollout",
        (ROLLOUT_CHANGED,),
        many("rollout_shares", Kind.MAP, "Percent of people by variant, from now on.", limit=200, most=50),
        boolean("rollout_as_configured", "The configuration, or PostHog's flag, counts again."),
        one_of("rollout_changed_by", ChangedBy, "Who changed it."),
        text("rollout_evidence", "The broken guardrail with its numbers, or the operator's reason."),
    ),
    *group(
        "alert",
        (ALERT_FIRED, ALERT_RESOLVED),
        text("alert_id", "The same when it fires and when it resolves.", 128),
        text("alert_name", "The rule, as alerts.yaml calls it.", 64),
        one_of("alert_metric", alerts.Metric, "What the rule watches."),
        number("alert_value", "The number at that moment; absent where there were too few calls."),
        number("alert_limit", "By which it fired."),
        number("alert_usual", "The number of the day before, where the rule compares with it."),
        number("alert_quantile", "Of a rule on times.", 1),
        number("alert_window_s", "Over how long the number was taken.", 86_400),
        integer("alert_calls", "Of how many calls it was made."),
        many("alert_where", Kind.MAP, "To which calls the rule is narrowed.", limit=200, most=len(alerts.DIMENSIONS)),
    ),
    *group(
        "alert",
        (ALERT_RESOLVED,),
        number("alert_lasted_s", "How long it had fired."),
        one_of("alert_resolved_because", alerts.Because, "Why it is over."),
    ),
    *group(
        "exposure",
        (FLAG_CALLED,),
        text("$feature_flag", "The flag's key, or the split's.", 200),
        Property(name="$feature_flag_response", kind=Kind.VARIANT, meaning="The variant.", limit=200),
        boolean("locally_evaluated", "Always true: PostHog's server was not asked."),
        text("$feature_flag_reason", "`Evaluated locally`, or what else decided.", 200),
        integer("$feature_flag_id", "PostHog's number of the flag."),
        integer("$feature_flag_version", "The version of its definition."),
        boolean("$feature_flag_has_experiment", "The flag belongs to an experiment."),
    ),
    *group(
        "drift",
        (PROMPT_DRIFTED,),
        text("first_prompt_hash", "The hash of the text that the version ran with first.", 200),
        boolean("prompt_is_volatile", "True on the day's last event of this version: it may change at every call."),
    ),
    *group(
        "AI family",
        (AI_FEEDBACK, AI_METRIC, AI_EVALUATION, AI_SPAN),
        text("$ai_trace_id", "The trace id with characters outside PostHog's set replaced by `_`."),
        text("$ai_session_id", "The session."),
    ),
    *group("AI family", (AI_FEEDBACK,), text("$ai_feedback_text", "As `user_feedback`: never a user's own words.", 64)),
    *group(
        "AI family",
        (AI_METRIC,),
        text("$ai_metric_name", "`task_completed`, or the `eval_name` of a score.", 200),
        number("$ai_metric_value", "1 or 0 for a task, or the score.", 1_000_000),
    ),
    *group(
        "AI family",
        (AI_EVALUATION,),
        text("$ai_evaluation_name", "As `eval_name`.", 200),
        boolean("$ai_evaluation_result", "As `eval_passed`."),
        one_of("$ai_evaluation_runtime", ("llm_judge",), "Who evaluated, where a model did."),
        text("$ai_evaluation_model", "As `eval_model`.", 200),
        text("$ai_target_event_id", "The uuid of the generation that was evaluated.", 36),
    ),
    *group(
        "step",
        (AGENT_STEP,),
        integer("step_index", "Which round of tool calls in the trace, counted from 1; parallel calls share it."),
        one_of("step_status_source", StatusSource, "Who says so: a flag in the request, or the look of the result."),
    ),
    *group(
        "AI family",
        (AI_SPAN,),
        text("$ai_span_id", "The event's own uuid.", 36),
        text("$ai_parent_id", "The trace, or the span that it is part of."),
        text("$ai_span_name", "The tool, or the agent's step."),
        number("$ai_latency", "Duration of the step, in seconds.", 10_000_000),
        boolean("$ai_is_error", "The step failed."),
    ),
)

RESERVED_NAMES = event_properties.RESERVED_NAMES | {row.name for row in TABLE}
"""Names that no client may use for a property of its own; neither may it use any that begins with `$`."""

_SHARED = tuple(row for row in event_properties.TABLE if row.group in _SHARED_GROUPS or row.name in _SHARED_NAMES)
_ALLOWED = {event: AllowList((*_SHARED, *(row for row in TABLE if event in row.events))) for event in EVENTS}


def allowed(event: str) -> AllowList:
    """What may go out with the event; an own one's name stands for `PRODUCT_EVENT`."""
    return _ALLOWED.get(event) or _ALLOWED[PRODUCT_EVENT]
