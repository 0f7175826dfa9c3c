import io
import json
import time
from typing import Any

import pytest

from proxy.adapters import check_process
from proxy.adapters.body_reader import framed, read_frame
from proxy.adapters.check_process import answer, finding, findings
from proxy.domain.checks import PASSED, CheckReason, Finding, InLanguage, Matches, MatchesSchema

TICKET = {
    "type": "object",
    "properties": {"kind": {"enum": ["refund", "other"]}, "id": {"type": "string", "pattern": "^T-[0-9]+$"}},
    "required": ["kind"],
    "additionalProperties": False,
}


def schema(value: Any) -> MatchesSchema:
    return MatchesSchema(json.dumps(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"kind": "refund", "id": "T-1"}', None),
        (' {"kind": "other"}\n', None),
        ('{"kind": "refunds"}', CheckReason.SCHEMA_MISMATCH),
        ('{"kind": "other", "id": "X"}', CheckReason.SCHEMA_MISMATCH),
        ('{"kind": "other", "more": 1}', CheckReason.SCHEMA_MISMATCH),
        ('```json\n{"kind": "other"}\n```', CheckReason.NOT_JSON),
        ('{"kind": "oth', CheckReason.NOT_JSON),
        ("", CheckReason.NOT_JSON),
    ],
)
def test_json_by_its_schema(text: str, reason: CheckReason | None) -> None:
    assert finding(schema(TICKET), text) == (PASSED if reason is None else Finding(False, reason))


def test_properties_by_pattern_are_held_to_their_schema() -> None:
    rule = schema({"patternProperties": {"^n_": {"type": "integer"}}})
    assert finding(rule, '{"n_a": 1, "b": "x"}') == PASSED
    assert finding(rule, '{"n_a": "1"}').reason is CheckReason.SCHEMA_MISMATCH


def test_nothing_outside_of_a_schema_is_fetched() -> None:
    assert findings([schema({"$ref": "http://127.0.0.1:9/schema.json"}), Matches("a")], "{}") == [
        None,
        Finding(False, CheckReason.NO_MATCH),
    ]


@pytest.mark.parametrize("rule", [Matches("^(a+)+$"), schema({"type": "string", "pattern": "^(a+)+$"})])
def test_patterns_that_would_take_for_ever_do_not(rule: Matches | MatchesSchema) -> None:
    began = time.perf_counter()
    assert finding(rule, json.dumps("a" * 30_000 + "!")).passed is False
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("pattern", "wanted", "found"),
    [
        ("order T-[0-9]+", True, PASSED),
        ("^order", True, Finding(False, CheckReason.NO_MATCH)),
        ("(?i)YOUR", True, PASSED),
        ("T-[0-9]+", False, Finding(False, CheckReason.FORBIDDEN_MATCH)),
        ("refund", False, PASSED),
    ],
)
def test_patterns(pattern: str, wanted: bool, found: Finding) -> None:
    assert finding(Matches(pattern, wanted), "Your order T-42 is on its way.") == found


@pytest.mark.parametrize(
    ("languages", "text", "passed"),
    [
        ({"de"}, "Ihre Bestellung wird morgen versandt, und Sie bekommen eine Nachricht.", True),
        ({"en"}, "Ihre Bestellung wird morgen versandt, und Sie bekommen eine Nachricht.", False),
        ({"en", "de"}, "Your order will be shipped tomorrow and you will get a message.", True),
        ({"hr", "bs"}, "Vaša narudžba stiže sutra, hvala na strpljenju.", True),
        ({"en"}, "Vaša narudžba stiže sutra, hvala na strpljenju.", None),
        ({"en"}, "ご注文は明日の朝に発送される予定です。", False),
        ({"de"}, "OK.", None),
        ({"de"}, "```python\ndef send(order, when):\n    return order.ship(when)\n```", None),
        ({"en"}, '{"label": "refund"}', None),
    ],
)
def test_languages_are_told_where_they_are_sure(languages: set[str], text: str, passed: bool | None) -> None:
    assert finding(InLanguage(frozenset(languages)), text).passed is passed


def test_who_asks_about_nothing_has_all_loaded_that_an_answer_needs() -> None:
    for loaded in (check_process._validator, check_process._pattern, check_process._identifier):
        loaded.cache_clear()
    findings([schema(TICKET), Matches("a+", wanted=True), InLanguage(frozenset({"en"}))], "")
    for loaded in (check_process._validator, check_process._pattern, check_process._identifier):
        assert loaded.cache_info().currsize >= 1


def test_the_program_answers_each_question_in_order() -> None:
    asked = io.BytesIO(framed(((Matches("a"),), "a")) + framed(((Matches("b"), Matches("c")), "c")))
    answers = io.BytesIO()
    answer(asked, answers)
    answers.seek(0)
    assert [read_frame(answers), read_frame(answers), read_frame(answers)] == [
        [PASSED],
        [Finding(False, CheckReason.NO_MATCH), PASSED],
        None,
    ]
