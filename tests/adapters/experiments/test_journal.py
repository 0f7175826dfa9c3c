import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pytest

from proxy.adapters.analysis.columns import CALLS, OUTCOMES
from proxy.adapters.experiments.journal import JournalRecords
from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.source import Question
from proxy.domain.experiments import Guardrail, Metric, Primary, measured_by

QUESTION = Question(prompt="support", flag="test", variants=("control", "treatment"), until_unix_us=1_000_000_000)
LATENCY = measured_by(Guardrail(metric="latency_ms"))


class Records:
    """The tables as the analysis makes them, with rows of our own. Times are seconds."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:")
        for table in (CALLS, OUTCOMES):
            self._connection.execute(table.create.replace(table.memory, table.name))
        self._count = 0

    def close(self) -> None:
        self._connection.close()

    def query(self, sql: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        found = self._connection.execute(sql, params)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def call(self, person: str, at_s: float, variant: str = "control", **values: object) -> None:
        given = {
            "exchange_id": self._next(),
            "trace_id": f"trace_{person}",
            "distinct_id": person,
            "prompt_name": "support",
            "posthog_flag": "test",
            "posthog_flag_variant": variant,
            "posthog_flag_source": "assigned",
            "status": "success",
        } | values
        self._insert("calls", "started_at", at_s, given)

    def outcome(
        self, person: str, at_s: float, name: str = "ticket", *, trace: str | None = None, **properties: object
    ) -> None:
        given = {
            "uuid": self._next(),
            "name": name,
            "distinct_id": person,
            "trace_id": trace,
            "properties": json.dumps(properties),
        }
        self._insert("outcomes", "at", at_s, given)

    def _next(self) -> str:
        self._count += 1
        return str(self._count)

    def _insert(self, table: str, time: str, at_s: float, given: Mapping[str, object]) -> None:
        names = ", ".join(f'"{name}"' for name in [time, *given])
        marks = ", ".join(["make_timestamp(?)", *["?"] * len(given)])
        self._connection.execute(f"INSERT INTO {table}({names}) VALUES ({marks})", [int(at_s * 1e6), *given.values()])


@pytest.fixture
def tables() -> Iterator[Records]:
    records = Records()
    yield records
    records.close()


def measured(tables: Records, metric: Metric, question: Question = QUESTION) -> dict[str, Moments]:
    return dict(JournalRecords(tables, question).measured(metric).moments)


def test_a_person_is_exposed_by_the_first_call_whose_variant_the_proxy_decided(tables: Records) -> None:
    tables.call("ada", 10, "control")
    tables.call("ada", 20, "treatment")
    tables.call("bob", 10, "treatment", posthog_flag_source="asserted")
    tables.call("bob", 20, "treatment")
    tables.call("cyd", 10, "treatment", prompt_name="another")
    tables.call("dan", 10, "elsewhere")
    tables.call("eve", 10, "treatment", posthog_flag_source="default")
    tables.call("fay", 10, "treatment", posthog_flag="of an alias")

    exposed = JournalRecords(tables, QUESTION).exposed()

    assert dict(exposed.people) == {"control": 1, "treatment": 1}
    assert exposed.switched == 1
    assert exposed.first_unix_us == 10_000_000


def test_exposures_lie_within_the_time_that_is_asked_for(tables: Records) -> None:
    for person, at_s in (("early", 9), ("first", 10), ("last", 19), ("late", 20)):
        tables.call(person, at_s)
    question = Question(
        prompt="support", flag="test", variants=("control",), since_unix_us=10_000_000, until_unix_us=20_000_000
    )

    assert JournalRecords(tables, question).exposed().people == {"control": 2}


def test_outcomes_count_from_the_exposure_on_and_by_person(tables: Records) -> None:
    tables.call("ada", 10)
    tables.call("ada", 30)
    tables.outcome("ada", 5, resolved=True)
    tables.outcome("ada", 11, resolved=True)
    tables.outcome("ada", 40, resolved=False)
    tables.outcome("ada", 41, "another", resolved=False)
    tables.outcome("ada", 42, note="nothing")
    tables.outcome("stranger", 11, resolved=True)

    found = measured(tables, measured_by(Primary(event="ticket", property="resolved")))

    (moments,) = found.values()
    assert (moments.people, moments.numerator, moments.denominator) == (1, 1, 2)
    assert (moments.numerator_squared, moments.denominator_squared, moments.product) == (1, 4, 2)


def test_an_outcome_under_another_name_belongs_to_the_person_of_its_trace(tables: Records) -> None:
    tables.call("ada", 10)
    tables.call("bob", 10, "treatment")
    tables.outcome("agent_7", 11, trace="trace_ada", resolved=True)
    tables.outcome("bob", 11, trace="trace_ada", resolved=True)
    tables.outcome("agent_7", 11, trace="trace of nobody", resolved=True)

    found = measured(tables, measured_by(Primary(event="ticket", property="resolved")))

    assert {variant: moments.denominator for variant, moments in found.items()} == {"control": 1, "treatment": 1}


def test_without_a_property_people_who_had_the_event_are_counted_among_all(tables: Records) -> None:
    for person in ("ada", "bob", "cyd"):
        tables.call(person, 10)
    tables.outcome("ada", 11)
    tables.outcome("ada", 12)
    tables.outcome("bob", 9)

    (moments,) = measured(tables, measured_by(Primary(event="ticket"))).values()

    assert (moments.people, moments.numerator) == (3, 1)


@pytest.mark.parametrize(
    ("values", "numerator", "denominator", "is_share"),
    [
        ([True, False, True], 2, 3, True),
        ([0.25, 1, None], 1.25, 2, False),
        (["positive", "negative", "neutral"], 1, 2, True),
    ],
)
def test_truth_numbers_and_ratings_are_values(
    tables: Records, values: list[object], numerator: float, denominator: float, is_share: bool
) -> None:
    tables.call("ada", 10)
    for value in values:
        tables.outcome("ada", 11, score=value)

    found = JournalRecords(tables, QUESTION).measured(measured_by(Guardrail(metric="score")))

    moments = found.moments["control"]
    assert (moments.numerator, moments.denominator, found.is_share) == (numerator, denominator, is_share)


def test_a_task_is_known_by_its_id_or_its_trace_and_has_the_cost_of_all_its_calls(tables: Records) -> None:
    tables.call("ada", 10, task_id="t1", estimated_cost_usd=0.01)
    tables.call("ada", 11, task_id="t1", estimated_cost_usd=0.02, prompt_name="a tool's")
    tables.call("ada", 12, trace_id="x", estimated_cost_usd=0.05)
    tables.call("ada", 13, trace_id="unpriced", estimated_cost_usd=0.05)
    tables.call("ada", 14, trace_id="unpriced")
    tables.call("ada", 15, trace_id="of another prompt", estimated_cost_usd=0.5, prompt_name="another")

    (moments,) = measured(tables, measured_by(Guardrail(metric="cost_per_task_usd", max=1))).values()

    assert moments.numerator == pytest.approx(0.08)
    assert moments.denominator == 2


def test_who_leaves_is_no_error(tables: Records) -> None:
    for status in ("success", "error", "timeout", "cancelled"):
        tables.call("ada", 10, status=status)

    (moments,) = measured(tables, measured_by(Guardrail(metric="error_rate", max=1))).values()

    assert (moments.numerator, moments.denominator) == (2, 3)


def test_quantiles_and_shares_beyond_a_value(tables: Records) -> None:
    for number in range(5):
        tables.call("ada", 10, latency_ms=100.0 * number)
        tables.call("bob", 10, "treatment", latency_ms=1_000.0)
    records = JournalRecords(tables, QUESTION)

    assert records.quantiles(LATENCY, {"control": [0.5, 1.0], "treatment": [0.5], "nobody": [0.5]}) == {
        "control": [200, 400],
        "treatment": [1_000],
    }
    beyond = records.measured(LATENCY, {"control": 250, "treatment": 1_000})
    assert {variant: it.numerator for variant, it in beyond.moments.items()} == {"control": 2, "treatment": 0}
    assert beyond.is_share


def test_where_there_is_nothing_nothing_is_measured(tables: Records) -> None:
    records = JournalRecords(tables, QUESTION)

    assert records.exposed().people == {}
    assert records.exposed().first_unix_us is None
    assert records.measured(LATENCY).moments == {}
    assert records.quantiles(LATENCY, {"control": [0.5]}) == {}
