"""`otel:` of analytics.yaml, and the standard OTEL_* variables that say where telemetry goes and how.

The SDK reads the variables itself, and of a wrong one it at most logs a warning: so they are checked here, where
telemetry was asked for.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from proxy.config.document import Document
from proxy.config.fields import Section
from proxy.domain.policy import Telemetry

PACKAGE = "opentelemetry.exporter.otlp.proto.http"
DISTRIBUTIONS = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
"""Those of the extra `otel`."""
DELAY, BATCH = "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
SAMPLERS = ("always_on", "always_off", "traceidratio")
EXEMPLARS = ("always_on", "always_off", "trace_based")
LIMITS = (
    *("ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_VALUE_LENGTH"),
    *("SPAN_EVENT_COUNT", "SPAN_LINK_COUNT", "EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT"),
)


class OtelSection(Section):
    """What goes to an OpenTelemetry collector too. Where that is, and how to speak to it, the standard OTEL_* variables
    say."""

    traces: bool = False
    """A span for each call, and below it one for each attempt and each step; from the journal, as it was."""
    content: bool = False
    """The spans of attempts tell what was asked and answered, where `capture` has kept it, as redacted as it was kept.
    Without `traces` there is nothing to tell it."""
    metrics: bool = False
    """Histograms of duration, time to first chunk and tokens by attempt."""


def compile_telemetry(document: Document, section: OtelSection, env: Mapping[str, str]) -> Telemetry:
    """What to export; problems go to the document. `OTEL_SDK_DISABLED=true` turns all of it off."""
    if section.content and not section.traces:
        document.report(("otel", "content"), "content goes with spans; write `traces: true` too")
    is_disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_disabled or not (section.traces or section.metrics):
        return Telemetry()
    if not _is_installed():
        document.report(("otel",), f"the packages for it are not installed; run: pip install {' '.join(DISTRIBUTIONS)}")
    given = [(name, is_good, need) for names, is_good, need in _CHECKS for name in names if env.get(name)]
    wrong = [(name, need) for name, is_good, need in given if not is_good(env[name])]
    for name, need in wrong:
        document.report(("otel",), f"the environment variable {name} must be {need}")
    if wrong:
        return Telemetry()
    usual = Telemetry()
    return Telemetry(
        traces=section.traces,
        content=section.content,
        metrics=section.metrics,
        spans_every_s=int(env[DELAY]) / 1_000 if env.get(DELAY) else usual.spans_every_s,
        batch_spans=int(env.get(BATCH) or usual.batch_spans),
    )


def _is_installed() -> bool:
    try:
        return find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        return False


def _each(name: str) -> tuple[str, ...]:
    """The variable for all signals, and those for one."""
    return tuple(f"OTEL_EXPORTER_OTLP_{signal}{name}" for signal in ("", "TRACES_", "METRICS_"))


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_list_of_pairs(value: str) -> bool:
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    return all(name.strip() and equals for name, equals, _ in pairs)


def _is_sampler(value: str) -> bool:
    return value.lower().removeprefix("parentbased_") in SAMPLERS


def _is_share(value: str) -> bool:
    return _is_number(value) and float(value) <= 1


def _is_number(value: str) -> bool:
    return value.isascii() and value.replace(".", "", 1).isdecimal()


def _is_count(value: str) -> bool:
    return _is_whole(value) and int(value) > 0


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 10


def _is_file(value: str) -> bool:
    return Path(value).is_file()


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[str], bool], str], ...] = (
    (_each("ENDPOINT"), _is_address, "an address that starts with http:// or https:// and names a host"),
    (_each("PROTOCOL"), "http/protobuf".__eq__, "http/protobuf, the one protocol that is spoken here"),
    (_each("HEADERS"), _is_list_of_pairs, "name=value pairs with commas between them"),
    (_each("COMPRESSION"), ("none", "gzip", "deflate").__contains__, "none, gzip or deflate"),
    (_each("TIMEOUT"), _is_number, "a number of seconds"),
    (_each("CERTIFICATE") + _each("CLIENT_CERTIFICATE") + _each("CLIENT_KEY"), _is_file, "the path of a file"),
    (("OTEL_TRACES_SAMPLER",), _is_sampler, f"one of {', '.join(SAMPLERS)}, or parentbased_ and one of them"),
    (("OTEL_TRACES_SAMPLER_ARG",), _is_share, "a number from 0 to 1"),
    (
        (DELAY, BATCH, "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"),
        _is_count,
        "a whole number above 0",
    ),
    (tuple(f"OTEL_{name}_LIMIT" for name in LIMITS), _is_whole, "a whole number"),
    (("OTEL_METRICS_EXEMPLAR_FILTER",), EXEMPLARS.__contains__, f"one of {', '.join(EXEMPLARS)}"),
)
"""Variables, what makes a value of them good, and how to say so. An empty one counts as not set."""
