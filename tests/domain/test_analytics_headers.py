import re
from pathlib import Path

import pytest

from proxy.domain.analytics_headers import MAX_WARNINGS, Sent, is_analytics_header, reason_to_refuse
from proxy.domain.fields import NO_FIELDS, fields_of
from proxy.domain.provenance import Provenance

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "headers.md"
PROVIDERS_OWN = {
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "idempotency-key",
    "x-stainless-retry-count",
}
"""Named by the contract, but a provider's: credentials have a rule of their own, the others pass."""


@pytest.mark.parametrize(
    "name",
    ["X-Prompt-Version", "x-posthog-anything", "X-Feature-Flag-my-key", "X-LLM-Timeout-Ms", "Helicone-Property-Plan",
     "X-Promptlane-Key", "TraceParent", "baggage", "cf-aig-metadata", "X-Request-Id"],
)  # fmt: skip
def test_ours_are_told_in_any_case(name: str) -> None:
    assert is_analytics_header(name)


@pytest.mark.parametrize(
    "name",
    [*sorted(PROVIDERS_OWN), "openai-organization", "anthropic-version", "anthropic-beta", "x-client-request-id",
     "user-agent", "x-stainless-lang", "http-referer", "x-title", "helicone-auth", "x-portkey-api-key",
     "x-goog-user-project"],
)  # fmt: skip
def test_a_providers_headers_are_not_ours(name: str) -> None:
    assert not is_analytics_header(name)


def test_every_header_that_the_contract_reads_is_ours() -> None:
    if not CONTRACT.exists():
        pytest.skip("the headers contract is not beside this checkout")
    read = CONTRACT.read_text().split("## Read from the client")[1].split("Priority within a row")[0]
    rows = [line.split("|") for line in read.splitlines() if line.startswith("|")]
    cells = "".join(cell for row in rows for cell in row[2:4])
    named = re.findall(r"`([A-Za-z]+(?:-[A-Za-z<>]+)+)|`(traceparent)", cells)
    names = {(header or other).replace("<", "").replace(">", "").lower() for header, other in named}
    assert {"x-prompt-version", "x-feature-flag-key", "traceparent", "cf-aig-metadata"} <= names
    assert {name for name in names if not is_analytics_header(name)} - PROVIDERS_OWN == set()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x" * 1_000, None),
        ("x" * 1_001, "too_long"),
        ("a\x01b", "control_characters"),
        ("caf\udce9", "control_characters"),
        ("sk-proj-abcdEFGH1234567890", "secret"),
    ],
)
def test_why_a_value_is_refused(value: str, reason: str | None) -> None:
    assert reason_to_refuse(value) == reason


def test_the_first_good_value_wins_and_bad_ones_are_named_once() -> None:
    headers = [("X-Task-Id", "a\x01"), ("x-task-id", "b\x01"), ("X-TASK-ID", "  "), ("x-task-id", " c ")]
    sent = Sent(fields_of(headers), Provenance())
    assert sent.first(("x-missing", "x-task-id")) == "c"
    assert list(sent.warnings) == ["x-task-id:control_characters"]


def test_body_fields_are_sources_too() -> None:
    sent = Sent(NO_FIELDS, Provenance(metadata={"prompt_name": "p"}, user="u"))
    assert list(sent.each(("x-prompt-name", "metadata.prompt_name", "body.user"))) == [
        ("metadata.prompt_name", "p"),
        ("body.user", "u"),
    ]


def test_warnings_are_bounded() -> None:
    sent = Sent(NO_FIELDS, Provenance())
    for number in range(100):
        sent.warn(f"x-{number}", "malformed")
    assert len(sent.warnings) == MAX_WARNINGS
