"""The environment variables that the proxy reads, beside those that the files name."""

from dataclasses import dataclass

from proxy.config.presets import PRESETS

OURS = "PROMPTLANE_"
"""What the names begin with that nobody else reads."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`default` is a value, or empty where there is none; `meaning` may say more."""

    name: str
    default: str
    meaning: str


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PROMPTLANE_CONFIG", "config", "Folder of routing, analytics, prompts and alerts.yaml; so does `--config`."
    ),
    Variable("PROMPTLANE_PRICING", "pricing.yaml", "Your prices; so does `--pricing`."),
    Variable(
        "PROMPTLANE_DATA", "data", "Folder of journal, outbox and secret; keep it over restarts. So does `--data`."
    ),
    Variable("PROMPTLANE_HOST", "127.0.0.1", "Address to listen on; so does `--host`."),
    Variable("PROMPTLANE_PORT", "4000", "Port to listen on, 0 for a free one; so does `--port`."),
    Variable("PROMPTLANE_WORKERS", "1", "Processes that share the port, 1 to 64; so does `--workers`."),
    Variable(
        "PROMPTLANE_SECRET",
        "",
        "Keys all hashes; at least 16 bytes. Without it, one is made in the data folder. Set it where there is more "
        "than one replica, or where the folder does not last.",
    ),
    Variable("PROMPTLANE_LOG_LEVEL", "info", "debug, info, warning or error."),
    Variable(
        "PROMPTLANE_ADMIN_TOKEN", "", "Opens the pages at `/ui`, and `/metrics` off loopback without a proxy key."
    ),
    Variable("PROMPTLANE_VIEWER_TOKEN", "", "Opens the pages at `/ui` to who may only look."),
    Variable(
        "PROMPTLANE_CONTENT_KEY",
        "",
        "Encrypts kept content, where `capture:` asks for it: 32 bytes in base64. A new key goes before the old one, "
        "with a comma between.",
    ),
    Variable("POSTHOG_API_KEY", "", "The project's key, `phc_…`. Without it, events stay in the outbox."),
    Variable("POSTHOG_HOST", "https://us.i.posthog.com", "Where events go; the app's own address is understood too."),
    Variable(
        "POSTHOG_PERSONAL_API_KEY",
        "",
        "A personal key, `phx_…`, for dashboards, reports of experiments, flags that follow a stopped rollout, "
        "`promptlane prompts pull` and `promptlane doctor --online`.",
    ),
    Variable("POSTHOG_PROJECT_ID", "", "The project's number, wherever the personal key is used."),
    Variable(
        "POSTHOG_SECRET_KEY",
        "",
        "The project's secret key, `phs_…`, or a personal one that reads flags: opens the flags' definitions.",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://localhost:4318",
        "The collector, where `otel:` of analytics.yaml asks for one; the SDK's other variables hold too.",
    ),
    *(
        Variable(preset.address_variable, preset.base_url or "", f"Replaces the address of the preset `{name}`.")
        for name, preset in PRESETS.items()
        if preset.address_variable
    ),
)
