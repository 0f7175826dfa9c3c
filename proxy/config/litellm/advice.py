"""What to say of LiteLLM's settings that no line of ours stands for, by section and key."""

from collections.abc import Mapping

from proxy.config.litellm.parts import Part
from proxy.config.litellm.remarks import Ledger, Verdict

Advice = tuple[Verdict, str]

_LOST, _STEP, _MOOT = Verdict.LOST, Verdict.STEP, Verdict.MOOT

RATES = "no rate limit is enforced here: leave it to the provider, or to what stands in front of the proxy"
_BUDGETS = (
    "there are no budgets, users or teams here; proxy keys name their owner, and spend is a property of each event"
)
_BODIES = "bodies pass unchanged: what LiteLLM adds to a call or takes out of it, the app has to"
_CACHE = "replies are not cached here; the providers' own prompt caches work, and are metered"
_DATABASE = "there is no database: keys, teams and models that LiteLLM keeps in one are not in this file"
_GUARDRAILS = "no prompt or output is inspected here: keep guardrails in the app, or call them from it"
_COOL_DOWN = "no cool-down is set here: each call tries its target, then the fallbacks"
_CALLBACK = "events go to PostHog alone; what takes OpenTelemetry is told by `otel: {traces: true}` in analytics.yaml"
_STATE = "nothing is shared between proxies: each draws targets for itself"
_LOGS = "logs are JSON lines; PROMPTLANE_LOG_LEVEL sets how much they say"
_PRIVATE = "no prompt or output is ever in an event or a log line"
_HEALTH = "/healthz and /readyz cost no call to a provider"
_HEADERS = "the proxy adds no headers to a call; those that an app sends reach the provider"
OFF: Advice = (Verdict.MOOT, "off or empty")
ANCHORS: Advice = (Verdict.MOOT, "a place for anchors; what they hold counts where they are named")
NO_COUNTERPART: Advice = (Verdict.LOST, "has no counterpart here")
VARIABLE: Advice = (
    Verdict.STEP,
    "variables are not read from a file: set it in the proxy's environment, if it is needed",
)
ADDED_TO_CALLS: Advice = (Verdict.LOST, _BODIES)
DESCRIPTION: Advice = (Verdict.MOOT, "describes the model; nothing here has to be told")


def _table(*rows: tuple[Verdict, str, str]) -> dict[str, Advice]:
    return {key: (verdict, message) for verdict, message, keys in rows for key in keys.split()}


LITELLM_PARAMS = _table(
    (_LOST, RATES, "rpm tpm max_parallel_requests"),
    (_LOST, _BUDGETS, "max_budget budget_duration"),
    (_LOST, _HEADERS, "extra_headers headers forward_headers"),
    (_LOST, "the proxy adds no headers: apps send OpenAI-Organization themselves, and it passes", "organization"),
    (_LOST, "no tokens of Entra ID are fetched here: use a key of the resource",
     "azure_ad_token tenant_id client_id client_secret"),
    (_LOST, "targets are drawn by weight; tags have no say", "tags"),
    (_LOST, _GUARDRAILS, "guardrails"),
    (_LOST, "answers are never made up here; for tests, `promptlane demo` has a fake provider", "mock_response"),
    (_MOOT, "every path below /v1/ passes through", "use_in_pass_through"),
)  # fmt: skip
"""Beyond these, a parameter is one that LiteLLM puts into each call."""

MODEL_INFO = _table(
    (_LOST, "which models a key may use is said at the key: `allow: […]`",
     "access_groups team_id"),
    (_LOST, "each environment has files of its own: leave the entry out where it does not belong",
     "supported_environments"),
)  # fmt: skip
"""Beyond these, an entry describes the model."""

LITELLM_SETTINGS = _table(
    (_LOST, _BODIES, "drop_params modify_params default_litellm_params"),
    (_LOST, _CACHE, "cache cache_params"),
    (_LOST, _GUARDRAILS, "guardrails content_moderation"),
    (_LOST, _BUDGETS,
     "max_budget budget_duration max_internal_user_budget max_end_user_budget default_team_settings "
     "default_internal_user_params upperbound_key_generate_params default_key_generate_params"),
    (_LOST, _COOL_DOWN, "allowed_fails cooldown_time"),
    (_LOST, "a call that is too long, or refused for its content, is answered as the provider answers it: "
            "name the other model in the app",
     "context_window_fallbacks content_policy_fallbacks"),
    (_MOOT, _LOGS, "set_verbose json_logs"),
    (_MOOT, _PRIVATE, "turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions"),
    (_MOOT, "the proxy sends nothing to anybody but your providers and PostHog", "telemetry"),
)  # fmt: skip

ROUTER_SETTINGS = LITELLM_SETTINGS | _table(
    (_MOOT, _STATE, "redis_host redis_port redis_password redis_url cache_responses"),
    (_LOST, _COOL_DOWN, "allowed_fails allowed_fails_policy cooldown_time disable_cooldowns"),
    (_LOST, "retries are by cause: `retries: {max: 2, on: [connect, \"429\", \"5xx\"]}` at the model",
     "retry_policy model_group_retry_policy"),
    (_LOST, "retries wait as the provider's Retry-After says", "retry_after"),
    (_LOST, "targets are drawn by weight; tags have no say", "enable_tag_filtering"),
    (_LOST, "a call is not checked before it is sent", "enable_pre_call_checks optional_pre_call_checks"),
    (_LOST, "all fallbacks of the list are tried", "max_fallbacks"),
    (_LOST, RATES, "default_max_parallel_requests"),
    (_LOST, "targets are drawn by weight", "routing_strategy routing_strategy_args"),
    (_LOST, _BUDGETS, "provider_budget_config"),
)  # fmt: skip

GENERAL_SETTINGS = _table(
    (_STEP, "callers show a proxy key, which stands in `keys:` by its hash: `promptlane keys new NAME` makes one for "
            "each app, `promptlane keys hash` takes over one that apps have",
     "master_key"),
    (_STEP, "proxy keys are taken from Authorization, x-api-key, api-key, x-goog-api-key and X-Promptlane-Key: apps "
            "that send another header change it",
     "litellm_key_header_name"),
    (_STEP, "the limits of a body are `limits: {body_bytes: …, streamed_bytes: …}`", "max_request_size_mb"),
    (_LOST, _DATABASE,
     "database_url database_connection_pool_limit store_model_in_db allow_requests_on_db_unavailable"),
    (_LOST, RATES, "max_parallel_requests global_max_parallel_requests"),
    (_LOST, "callers are known by proxy keys alone",
     "custom_auth enable_jwt_auth litellm_jwtauth enable_oauth2_auth custom_sso allowed_ips"),
    (_LOST, "alert on the metrics of /metrics, or on events in PostHog",
     "alerting alerting_threshold alert_types alerting_args alert_to_webhook_url"),
    (_LOST, "a call names its model", "completion_model"),
    (_LOST, "every path below /v1/ and /v1beta/ passes through to a configured provider, other paths do not",
     "pass_through_endpoints"),
    (_LOST, "keys come from environment variables: have your secret manager set them",
     "key_management_system key_management_settings"),
    (_LOST, "prompts and outputs are not kept", "store_prompts_in_spend_logs"),
    (_LOST, "requests need no user; events count those without", "enforce_user_param enforced_params"),
    (_MOOT, _HEALTH, "background_health_checks health_check_interval"),
    (_MOOT, "what an app sends reaches the provider, its headers too", "forward_client_headers_to_llm_api"),
    (_MOOT, "there is no log of spend to keep; the outbox has bounds of its own in analytics.yaml",
     "disable_spend_logs maximum_spend_logs_retention_period proxy_batch_write_at"),
)  # fmt: skip

TOP_LEVEL = _table(
    (_LOST, _GUARDRAILS, "guardrails"),
    (_LOST, "tools and servers of MCP are the app's", "mcp_servers mcp_tools"),
    (_LOST, "prompts are not kept here", "prompts"),
    (_LOST, _CALLBACK, "callback_settings"),
)  # fmt: skip

ENVIRONMENT_VARIABLES = _table(
    (_STEP, "it is POSTHOG_HOST here, and set in the proxy's environment", "POSTHOG_API_URL"),
)

_CALLBACKS = {
    "posthog": (_MOOT, "built in: set POSTHOG_API_KEY, and POSTHOG_HOST for the EU (LiteLLM: POSTHOG_API_URL)"),
    "prometheus": (_MOOT, "built in: /metrics"),
    "otel": (_STEP, "it is `otel: {traces: true}` in analytics.yaml, and OTEL_EXPORTER_OTLP_ENDPOINT"),
}
_CALLBACK_KEYS = ("success_callback", "failure_callback", "callbacks", "service_callbacks")


def advise(ledger: Ledger, section: Part, table: Mapping[str, Advice], beyond: Advice) -> None:
    """Remark upon what is not settled of a section yet; `beyond` is for keys that the table does not have."""
    for key, part in section.members().items():
        if not ledger.is_settled(part):
            ledger.remark(*(OFF if is_off(part) else table.get(key, beyond)), part)


def is_off(part: Part) -> bool:
    """True for a setting that asks for nothing."""
    return part.value is None or part.value is False or part.value in ("", [], {})


def advise_callbacks(ledger: Ledger, section: Part) -> None:
    """Say of each callback what becomes of it."""
    for key in _CALLBACK_KEYS:
        if (part := section.get(key)) is not None:
            for item in part.items() or [part]:
                ledger.remark(*_CALLBACKS.get(item.text or "", (Verdict.LOST, _CALLBACK)), item)
            ledger.settle(part)
