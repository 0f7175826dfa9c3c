from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest

from proxy.adapters.experiments.moments import Moments
from proxy.adapters.experiments.posthog import LONGEST_S, PostHogRecords, quoted
from proxy.adapters.experiments.source import Question
from proxy.domain.experiments import Guardrail, Metric, Primary, measured_by
from tests.harness.hogql import hogql_parser

DAY_US = 86_400_000_000
QUESTION = Question(
    prompt="support", flag="test", variants=("control", "treatment"), since_unix_us=DAY_US, until_unix_us=2 * DAY_US
)
LATENCY = measured_by(Guardrail(metric="latency_ms"))
METRICS = [
    LATENCY,
    measured_by(Guardrail(metric="error_rate")),
    measured_by(Guardrail(metric="cost_per_task_usd")),
    measured_by(Guardrail(metric="escalated_to_human")),
    measured_by(Primary(event="ticket", property="resolved")),
    measured_by(Primary(event="ticket")),
]


class Recorder:
    """A PostHog that keeps what it is asked, and answers the same rows each time."""

    def __init__(self, *rows: Sequence[Any]) -> None:
        self.rows = rows
        self.asked: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        self.asked.append((text, values))
        return self.rows


@pytest.fixture(scope="module")
def parser() -> Iterator[ModuleType]:
    with hogql_parser() as parser:
        yield parser


def everything_asked(question: Question = QUESTION) -> list[tuple[str, Mapping[str, object]]]:
    recorder = Recorder((0, 0, 0, 0, 0, 0, 0, 0))
    records = PostHogRecords(recorder, question)
    for metric in METRICS:
        records.measured(metric)
    records.measured(LATENCY, dict.fromkeys(question.variants, 1.0))
    records.quantiles(LATENCY, {question.variants[0]: [0.5, 0.9]})
    recorder.rows = ()
    records.exposed()
    return recorder.asked


def test_every_query_is_hogql_by_posthogs_own_parser_and_has_its_values(parser: ModuleType) -> None:
    asked = everything_asked()

    assert len(asked) == len(METRICS) + 3
    for text, values in asked:
        assert '"error":true' not in parser.parse_select_json(text), text
        assert "<" not in text.replace("< fromUnixTimestamp", "")
        assert {f"{{{name}}}" for name in values} <= {part.split("}")[0] + "}" for part in _placeholders(text)}
        assert len(set(_placeholders(text))) == len(values)


def _placeholders(text: str) -> list[str]:
    return ["{" + part.split("}")[0] + "}" for part in text.split("{")[1:]]


def test_what_configuration_says_goes_beside_the_text() -> None:
    nasty = "x' OR '1'='1"
    question = Question(prompt=nasty, flag="test", variants=(nasty,), until_unix_us=DAY_US)

    for text, values in everything_asked(question):
        assert nasty not in text
        assert values["prompt"] == nasty


def test_names_of_properties_are_identifiers() -> None:
    assert quoted("a-b`c") == "`a-b``c`"
    assert quoted("a\\b") == r"`a\\b`"


def test_the_time_is_bounded_where_no_beginning_is_given() -> None:
    until_s = 1_000 * 86_400
    question = Question(prompt="p", flag="f", variants=("v",), until_unix_us=until_s * 1_000_000)

    _, values = everything_asked(question)[0]

    assert (values["since"], values["until"]) == (until_s - LONGEST_S, until_s)


def test_rows_become_people_and_moments() -> None:
    exposed = PostHogRecords(Recorder(["control", 5, 1, 100], ["treatment", 6, 0, 90]), QUESTION).exposed()
    measured = PostHogRecords(Recorder(["control", 3, 2.0, 4, 2, 6, 3, 1]), QUESTION).measured(METRICS[4])

    assert (dict(exposed.people), exposed.switched) == ({"control": 5, "treatment": 6}, 1)
    assert exposed.first_unix_us == 90_000_000
    assert measured.is_share
    assert measured.moments == {
        "control": Moments(people=3, numerator=2, denominator=4, numerator_squared=2, denominator_squared=6, product=3)
    }


def test_a_variant_without_a_value_has_no_quantile() -> None:
    assert PostHogRecords(Recorder([0, None]), QUESTION).quantiles(LATENCY, {"control": [0.5]}) == {}
    assert PostHogRecords(Recorder([2, 7]), QUESTION).quantiles(LATENCY, {"control": [0.5]}) == {"control": [7.0]}


def test_nobody_is_nobody() -> None:
    exposed = PostHogRecords(Recorder(), QUESTION).exposed()

    assert (dict(exposed.people), exposed.first_unix_us) == ({}, None)


def test_the_measured_metric_may_be_any(parser: ModuleType) -> None:
    metric = Metric(label="x", source=METRICS[3].source, property="a b`c")
    recorder = Recorder()
    PostHogRecords(recorder, QUESTION).measured(metric)

    assert '"error":true' not in parser.parse_select_json(recorder.asked[0][0])
