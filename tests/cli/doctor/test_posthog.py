from dataclasses import replace
from typing import Any

import pytest

from proxy.cli.doctor.finding import Finding
from proxy.cli.doctor.posthog import EU, US, Project, findings

PROJECT = Project(
    api_key="phc_hidden", personal_key="phx_hidden", secret_key="phs_hidden", project_id="17", given_host=US
)


def found(**changes: Any) -> dict[str, Finding]:
    return {finding.title: finding for finding in findings(replace(PROJECT, **changes))}


def test_a_full_set_of_keys_is_good_and_not_shown() -> None:
    told = found()
    assert {finding.state for finding in told.values()} == {"ok"}
    assert "hidden" not in repr(told) + repr(PROJECT)


@pytest.mark.parametrize(
    ("title", "field", "value", "state", "said"),
    [
        ("POSTHOG_API_KEY", "api_key", None, "warn", "not set: events stay"),
        ("POSTHOG_API_KEY", "api_key", "phx_hidden", "fail", "a personal API key by its form"),
        ("POSTHOG_API_KEY", "api_key", "hidden", "warn", "of no form"),
        ("POSTHOG_PERSONAL_API_KEY", "personal_key", None, "skip", "only for dashboards and queries"),
        ("POSTHOG_PERSONAL_API_KEY", "personal_key", "phc_hidden", "fail", "the project key by its form"),
        ("POSTHOG_PERSONAL_API_KEY", "personal_key", "phs_hidden", "fail", "a project's secret key by its form"),
        ("POSTHOG_SECRET_KEY", "secret_key", None, "skip", "only for flag definitions"),
        ("POSTHOG_SECRET_KEY", "secret_key", "phx_hidden", "ok", "a personal API key by its form"),
        ("POSTHOG_SECRET_KEY", "secret_key", "phc_hidden", "fail", "the project key by its form"),
        ("POSTHOG_PROJECT_ID", "project_id", None, "skip", "not set"),
        ("POSTHOG_PROJECT_ID", "project_id", "my project", "fail", "not a number"),
        ("POSTHOG_PROJECT_ID", "project_id", "١٧", "fail", "not a number"),
        ("POSTHOG_HOST", "host", "https://posthog.com", "fail", "PostHog's website"),
        ("POSTHOG_HOST", "host", "http://posthog.internal", "warn", "unencrypted"),
        ("POSTHOG_HOST", "host", "http://127.0.0.1:8010", "ok", "self-hosted"),
        ("POSTHOG_HOST", "given_host", None, "ok", "US, by default"),
        ("POSTHOG_HOST", "given_host", "https://app.posthog.com/", "ok", "app's address app.posthog.com"),
    ],
)
def test_each_variable(title: str, field: str, value: str | None, state: str, said: str) -> None:
    finding = found(**{field: value})[title]
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"
    assert "hidden" not in repr(finding)


def test_regions_are_named() -> None:
    assert found(host=EU, given_host=EU)["POSTHOG_HOST"].found == "https://eu.i.posthog.com, EU"
    assert [Project(host=host).app_host for host in (US, EU, "https://posthog.acme.test")] == [
        "https://us.posthog.com",
        "https://eu.posthog.com",
        "https://posthog.acme.test",
    ]
