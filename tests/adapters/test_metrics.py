from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from proxy import __version__
from proxy.adapters.metrics import CallMetrics, Vitals
from proxy.domain.checks import PASSED, Check, CheckReason, Evaluation, Finding, Length, Matches
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.pricing import Cost, CostStatus
from proxy.domain.rollout import Decision, Reason
from proxy.domain.usage import Usage
from tests.harness.exchanges import MS, READING, SPARE, START_NS, attempt, caller, finished, running

CANARY = "CANARY-e19d"


def metrics_of(*exchanges: Exchange) -> CallMetrics:
    metrics = CallMetrics(CollectorRegistry())
    for exchange in exchanges:
        metrics.observe(exchange)
    return metrics


def samples(metrics: CallMetrics, name: str) -> dict[tuple[str, ...], float]:
    """Values by label values, in the labels' alphabetical order."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_a_good_call_is_counted_timed_and_priced() -> None:
    metrics = metrics_of(finished(admitted_ns=START_NS + 2 * MS))
    assert samples(metrics, "promptlane_calls_total") == {("chat", "none", "success", "openai"): 1}
    assert samples(metrics, "promptlane_call_seconds_sum") == {("openai",): pytest.approx(1.84)}
    assert samples(metrics, "promptlane_first_token_seconds_sum") == {("openai",): pytest.approx(0.3)}
    assert samples(metrics, "promptlane_overhead_seconds_sum") == {(): pytest.approx(0.01)}
    assert samples(metrics, "promptlane_tokens_total") == {
        ("input", "provider", "openai"): 1284,
        ("output", "provider", "openai"): 312,
    }
    assert samples(metrics, "promptlane_cost_usd_total") == {("openai",): pytest.approx(0.0048)}
    assert samples(metrics, "promptlane_cost_status_total") == {("priced", "openai"): 1}


def test_calls_that_come_together_are_told_together_and_none_twice() -> None:
    told: list[Callable[[], None]] = []
    metrics = CallMetrics(CollectorRegistry(), later=told.append)
    for _ in range(3):
        metrics.observe(finished(admitted_ns=START_NS + 2 * MS))
    metrics.observe(finished(attempt(target=SPARE)))
    assert len(told) == 1
    told.pop()()
    metrics.observe(finished())
    told.pop()()
    assert samples(metrics, "promptlane_calls_total") == {
        ("chat", "none", "success", "openai"): 4,
        ("chat", "none", "success", "spare/qwen3"): 1,
    }
    assert samples(metrics, "promptlane_call_seconds_count") == {("openai",): 4, ("spare/qwen3",): 1}
    assert samples(metrics, "promptlane_overhead_seconds_count") == {(): 3}
    assert samples(metrics, "promptlane_tokens_total")["output", "provider", "openai"] == 4 * 312
    assert samples(metrics, "promptlane_cost_status_total") == {("priced", "openai"): 4, ("priced", "spare/qwen3"): 1}


def test_a_failed_call_is_counted_by_its_error_and_target() -> None:
    fate = Fate(status=Status.TIMEOUT, error_type=ErrorType.TIMEOUT_IDLE)
    failed = finished(attempt(), attempt(ordinal=1, target=SPARE, reading=None, cost=None))
    failed.fate = fate
    metrics = metrics_of(failed)
    assert samples(metrics, "promptlane_calls_total") == {("chat", "timeout_idle", "timeout", "spare/qwen3"): 1}
    assert samples(metrics, "promptlane_tokens_total") == {}


def test_what_rollouts_decided_is_counted() -> None:
    decided = finished()
    decided.decisions = (Decision(flag="answers", variant="control", reason=Reason.SPLIT),)
    assert samples(metrics_of(decided), "promptlane_flag_decisions_total") == {("answers", "split", "control"): 1}


def test_the_overhead_is_up_to_the_first_attempt() -> None:
    """The time of an attempt that failed is the provider's."""
    first = attempt(sent_ns=START_NS + 5 * MS)
    second = attempt(ordinal=1, sent_ns=START_NS + 905 * MS)
    metrics = metrics_of(finished(first, second, admitted_ns=START_NS + 2 * MS))
    assert samples(metrics, "promptlane_overhead_seconds_sum") == {(): pytest.approx(0.003)}


def test_what_is_not_known_is_not_counted_as_zero() -> None:
    reading = replace(READING, usage=Usage(output_tokens=3), first_token_ns=None)
    metrics = metrics_of(finished(attempt(reading=reading, cost=Cost(status=CostStatus.UNKNOWN))))
    assert samples(metrics, "promptlane_tokens_total") == {("output", "provider", "openai"): 3}
    assert samples(metrics, "promptlane_first_token_seconds_count") == {}
    assert samples(metrics, "promptlane_cost_usd_total") == {}
    assert samples(metrics, "promptlane_cost_status_total") == {("unknown", "openai"): 1}


def test_a_partial_cost_counts() -> None:
    cost = Cost(status=CostStatus.PARTIAL, total_usd=Decimal("0.5"))
    assert samples(metrics_of(finished(attempt(cost=cost))), "promptlane_cost_usd_total") == {("openai",): 0.5}


def test_a_call_that_reached_no_target_has_a_latency_all_the_same() -> None:
    refused = finished(attempts=[])
    metrics = metrics_of(refused)
    assert samples(metrics, "promptlane_calls_total") == {("chat", "none", "success", "none"): 1}
    assert samples(metrics, "promptlane_call_seconds_count") == {("none",): 1}


def test_other_calls_are_counted_and_not_timed() -> None:
    models = classify("GET", "/v1/models", Dialect.OPENAI)
    metrics = metrics_of(finished(endpoint=models), running(models, caller=None))
    assert samples(metrics, "promptlane_calls_total") == {
        ("other", "none", "success", "openai"): 1,
        ("other", "none", "error", "none"): 1,
    }
    assert samples(metrics, "promptlane_call_seconds_count") == {}


@pytest.mark.parametrize(
    ("warnings", "counted"),
    [
        (("x-prompt-version:too_long", "metadata.user_id:control"), [("too_long", "x-prompt-version"),
                                                                      ("control", "metadata.user_id")]),
        ((), []),
    ],
)  # fmt: skip
def test_dropped_analytics_values_are_counted_by_place_and_reason(
    warnings: Sequence[str], counted: Sequence[tuple[str, str]]
) -> None:
    metrics = metrics_of(finished(caller=caller(warnings=tuple(warnings))))
    assert samples(metrics, "promptlane_analytics_warnings_total") == dict.fromkeys(counted, 1)


def test_checks_are_counted_by_what_they_came_to() -> None:
    short, form = Check(name="short", rule=Length(max_chars=3)), Check(name="form", rule=Matches("x"))
    lost = Finding(None, CheckReason.NOT_RUN)
    metrics = metrics_of(finished(evaluation=Evaluation(((short, PASSED), (form, lost)))), finished())
    assert samples(metrics, "promptlane_checks_total") == {("short", "passed"): 1, ("form", "lost"): 1}


def test_nothing_that_a_client_or_provider_said_is_a_label() -> None:
    exchange = finished(attempt(reading=replace(READING, model=CANARY, error_code=CANARY, finish_reason=CANARY)))
    assert exchange.call is not None
    exchange.call = replace(exchange.call, requested_model=CANARY)
    exchange.caller = caller(distinct_id=CANARY, trace_id=CANARY, request_id=CANARY, prompt_version_id=CANARY)
    assert CANARY not in metrics_of(exchange).render().decode()


def test_the_journal_is_shown_as_it_is_at_the_scrape() -> None:
    journal = CollectorRegistry()
    Gauge("promptlane_store_calls", "", registry=journal).set(3)
    assert samples(CallMetrics(journal), "promptlane_store_calls") == {(): 3}


def test_vital_signs_are_those_of_the_last_time_and_resends_add_up() -> None:
    metrics = metrics_of()
    metrics.publish(Vitals(calls_running=3, queued_rows=2, queued_bytes=100, retried_events=5, degraded=("memory",)))
    last = Vitals(
        calls_running=1,
        retried_events=7,
        lost_spans=4,
        lost_content=2,
        telemetry_lag_s=8.5,
        alerts_firing=1,
        degraded=("delivery",),
    )
    metrics.publish(last)
    assert samples(metrics, "promptlane_calls_running") == {(): 1}
    assert samples(metrics, "promptlane_journal_queued_rows") == {(): 0}
    assert samples(metrics, "promptlane_journal_queued_bytes") == {(): 0}
    assert samples(metrics, "promptlane_outbox_retried_total") == {(): 7}
    assert samples(metrics, "promptlane_telemetry_lost_spans_total") == {(): 4}
    assert samples(metrics, "promptlane_content_lost_total") == {(): 2}
    assert samples(metrics, "promptlane_alerts_firing") == {(): 1}
    assert samples(metrics, "promptlane_telemetry_lag_seconds") == {(): 8.5}
    assert samples(metrics, "promptlane_degraded") == {
        ("memory",): 0,
        ("disk_full",): 0,
        ("delivery",): 1,
        ("flags",): 0,
        ("telemetry",): 0,
    }
    assert samples(metrics, "promptlane_workers") == {(): 1}


def test_outcomes_are_counted_by_verb_and_result() -> None:
    metrics = metrics_of()
    for verb, result in (("feedback", "found"), ("feedback", "found"), ("tasks", "refused")):
        metrics.count_outcome(verb, result)
    assert samples(metrics, "promptlane_outcomes_total") == {("found", "feedback"): 2, ("refused", "tasks"): 1}


def test_commits_of_the_journal_are_timed() -> None:
    metrics = metrics_of()
    metrics.observe_commit(0.004)
    assert samples(metrics, "promptlane_journal_commit_seconds_sum") == {(): 0.004}


def test_code_and_configuration_are_named() -> None:
    metrics = metrics_of()
    metrics.configuration.runs("first", is_reload=False)
    assert samples(metrics, "promptlane_build_info") == {(__version__,): 1}
    assert samples(metrics, "promptlane_config_info") == {("first",): 1}
    assert samples(metrics, "promptlane_config_last_reload_successful") == {(): 1}
    assert samples(metrics, "promptlane_config_reloads_total") == {}
    metrics.configuration.refused()
    assert samples(metrics, "promptlane_config_info") == {("first",): 1}
    assert samples(metrics, "promptlane_config_last_reload_successful") == {(): 0}
    metrics.configuration.runs("second", is_reload=True)
    assert samples(metrics, "promptlane_config_info") == {("second",): 1}
    assert samples(metrics, "promptlane_config_last_reload_successful") == {(): 1}
    assert samples(metrics, "promptlane_config_reloads_total") == {("applied",): 1, ("refused",): 1}
    (loaded,) = samples(metrics, "promptlane_config_loaded_timestamp_seconds").values()
    assert loaded > 1.7e9
