from decimal import Decimal
from pathlib import Path

import pytest

from proxy.config import Configuration
from proxy.config.load import load
from proxy.domain.alerts import AlertPolicy, Metric, Rule

HOOK = "https://hooks.example.com/services/hidden?token=hidden"


def loaded(folder: Path, text: str, analytics: str = "version: 1\n", **env: str) -> Configuration:
    (folder / "alerts.yaml").write_text(f"version: 1\n{text}")
    (folder / "analytics.yaml").write_text(analytics)
    return load(folder, folder / "pricing.yaml", env)


def test_without_a_file_nothing_is_watched(tmp_path: Path) -> None:
    assert load(tmp_path, tmp_path / "pricing.yaml", {}).alerts == AlertPolicy()


def test_a_rule_has_its_metric_s_defaults(tmp_path: Path) -> None:
    text = (
        "rules:\n  e: {metric: error_rate, above: 0.05}\n  c: {metric: cost_usd, above: 2}\n  d: {metric: prompt_drift}"
    )
    assert loaded(tmp_path, text).alerts.rules == (
        Rule(name="e", metric=Metric.ERROR_RATE, above=0.05, min_calls=20),
        Rule(name="c", metric=Metric.COST, above=2),
        Rule(name="d", metric=Metric.DRIFT, above=0),
    )


def test_a_rule_is_taken_as_it_is_written(tmp_path: Path) -> None:
    text = (
        "every_s: 5\nwebhook: {url_env: HOOK}\nrules:\n  slow: {metric: ttft_ms, above: 900, quantile: 0.5,"
        " times_usual: 3, window_s: 60, min_calls: 5, where: {prompt: p, key: k}}"
    )
    policy = loaded(tmp_path, text, HOOK=f" {HOOK}\n").alerts
    assert (policy.every_s, policy.webhook_url) == (5, HOOK)
    assert policy.rules == (
        Rule(
            name="slow",
            metric=Metric.TTFT,
            above=900,
            quantile=0.5,
            times_usual=3,
            window_s=60,
            min_calls=5,
            where={"prompt": "p", "key": "k"},
        ),
    )
    assert "hidden" not in repr(policy)


@pytest.mark.parametrize(
    ("trace_url", "pages"),
    [
        ("https://llm.example.com/ui/traces/{trace_id}", "https://llm.example.com"),
        ("https://traces.example.com/t/{trace_id}", None),
    ],
)
def test_the_pages_are_where_traces_are(tmp_path: Path, trace_url: str, pages: str | None) -> None:
    analytics = f'version: 1\ntrace_url: "{trace_url}"\n'
    assert loaded(tmp_path, "rules: {}", analytics).alerts.pages_url == pages


def test_a_webhook_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:9/"):
        assert loaded(tmp_path, "webhook: {url_env: HOOK}", HOOK=url).alerts.webhook_url == url


def test_another_file_is_another_configuration(tmp_path: Path) -> None:
    one = loaded(tmp_path, "rules: {e: {metric: error_rate, above: 0.05}}")
    other = loaded(tmp_path, "rules: {e: {metric: error_rate, above: 0.06}}")
    assert one.digest != other.digest
    assert other.alerts.rules[0].above == float(Decimal("0.06"))
