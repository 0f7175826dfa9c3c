import pytest

from proxy.domain.experiments import Guardrail, Primary, Source, guardrail_flaw, measured_by, source_of


@pytest.mark.parametrize(
    ("metric", "source"),
    [
        ("latency_ms", Source.CALLS),
        ("cost_per_task_usd", Source.TASKS),
        ("error_rate", Source.CALL_SHARE),
        ("escalated_to_human", Source.OUTCOMES),
    ],
)
def test_a_metric_is_known_by_its_name(metric: str, source: Source) -> None:
    assert source_of(metric) is source


@pytest.mark.parametrize(
    ("guardrail", "flaw"),
    [
        (Guardrail(metric="escalated_to_human", max_increase=0.02), None),
        (Guardrail(metric="latency_ms", quantile=0.95, max=4000), None),
        (Guardrail(metric="latency_ms"), "write either `max` or `max_increase`"),
        (Guardrail(metric="latency_ms", max=1, max_increase=1), "write either `max` or `max_increase`"),
        (Guardrail(metric="latency_ms", quantile=95, max=1), "`quantile` lies between 0 and 1, such as 0.95"),
        (Guardrail(metric="cost_per_task_usd", quantile=0.5, max=1), "`quantile` is for a number of single calls: "),
    ],
)
def test_a_guardrail_is_one_limit_of_something_that_has_one(guardrail: Guardrail, flaw: str | None) -> None:
    found = guardrail_flaw(guardrail)

    assert (found is None) == (flaw is None)
    assert (found or "").startswith(flaw or "")


def test_the_label_tells_the_quantile() -> None:
    assert measured_by(Guardrail(metric="latency_ms", quantile=0.95, max=1)).label == "p95 latency_ms"
    assert measured_by(Guardrail(metric="latency_ms", quantile=0.999, max=1)).label == "p99.9 latency_ms"
    assert measured_by(Guardrail(metric="error_rate", max=1)).label == "error_rate"


def test_a_primary_metric_without_a_property_counts_the_people_who_had_the_event() -> None:
    assert measured_by(Primary(event="resolved")).source is Source.PEOPLE
    assert measured_by(Primary(event="ticket", property="resolved")).label == "ticket.resolved"
