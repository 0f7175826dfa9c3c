from pathlib import Path

import pytest

from proxy.config.alert_advice import advise_alerts
from proxy.config.load import load

ROUTING = """version: 1
providers: {openai: {preset: openai}}
models:
  fast: {targets: [{provider: openai, model: gpt-5}, {provider: openai, model: gpt-5-mini}]}
  gpt-5: {target: openai}
"""
HOOK = {"HOOK": "https://hooks.example.com/x"}


def said(folder: Path, rule: str, analytics: str = "", **env: str) -> list[str]:
    (folder / "routing.yaml").write_text(ROUTING)
    (folder / "analytics.yaml").write_text(f"version: 1\n{analytics}")
    (folder / "alerts.yaml").write_text(
        f"version: 1\nwebhook: {{url_env: HOOK}}\nrules: {{e: {{metric: error_rate, above: 0.1, {rule}}}}}"
    )
    found = advise_alerts(load(folder, folder / "pricing.yaml", HOOK | env))
    return [f"{'.'.join(map(str, path))}: {message}" for path, message in found]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("window_s: 30", "window_s: looks are 60 s apart: what happens between two windows is not seen"),
        ("where: {key: web}", "where.key: unknown proxy key `web`; known: none"),
        ("where: {environment: staging}", "where.environment: unknown environment `staging`; known: production"),
        (
            "where: {model: fast}",
            "where.model: this is an alias, and calls are told by the model that it leads to: gpt-5, gpt-5-mini",
        ),
    ],
)
def test_a_rule_that_looks_at_nothing_is_told(tmp_path: Path, rule: str, message: str) -> None:
    assert said(tmp_path, rule) == [f"rules.e.{message}"]


@pytest.mark.parametrize(
    "rule", ["where: {environment: production, model: gpt-5}", "where: {model: o3}", "window_s: 60"]
)
def test_a_rule_that_makes_sense_is_not(tmp_path: Path, rule: str) -> None:
    assert said(tmp_path, rule) == []


def test_a_caller_may_name_any_environment_where_that_is_believed(tmp_path: Path) -> None:
    assert said(tmp_path, "where: {environment: staging}", "environment_header: true\n") == []


def test_alerts_that_reach_nobody_are_told(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text("version: 1\nrules: {lost: {metric: dropped_events}}")
    for env, count in (({}, 1), ({"POSTHOG_API_KEY": "phc_x"}, 0)):
        assert len(list(advise_alerts(load(tmp_path, tmp_path / "pricing.yaml", env)))) == count
    (tmp_path / "alerts.yaml").write_text("version: 1\n")
    assert list(advise_alerts(load(tmp_path, tmp_path / "pricing.yaml", {}))) == []
