import pytest

from proxy.domain.checks import (
    PASSED,
    Answer,
    Check,
    CheckReason,
    Cites,
    Finding,
    Length,
    LightRule,
    Matches,
    NoRefusal,
    OneOf,
    evaluated,
    heavy_rules,
    light_finding,
)


def answer(text: str, /, **more: object) -> Answer:
    told: dict[str, object] = {
        "beginning": text[:256], "text": text, "chars": len(text), "is_refused": False, "is_cited": False, "tokens": 7,
    }  # fmt: skip
    return Answer(**(told | more))  # type: ignore[arg-type]


LONG = {"text": None, "chars": 40_000}
"""Of an answer that was not kept whole."""


@pytest.mark.parametrize(
    ("rule", "text", "passed", "reason"),
    [
        (NoRefusal(), "Your order ships tomorrow.", True, None),
        (NoRefusal(), "I'm sorry, but I can't help with that.", False, "refusal_phrase"),
        (NoRefusal(), "I cannot provide medical advice.", False, "refusal_phrase"),
        (NoRefusal(), "As an AI language model, I am unable to discuss this.", False, "refusal_phrase"),
        (NoRefusal(), "I’m not able to assist with this request.", False, "refusal_phrase"),
        (NoRefusal(), "I'm sorry, I can't find an order with that number.", True, None),
        (NoRefusal(), "Sorry to hear that! I can help you return it.", True, None),
        (NoRefusal(), "You can't cancel it any more. I can offer a refund.", True, None),
        (Cites(), "Returns take 14 days [1].", True, None),
        (Cites(), "See https://example.com/returns.", True, None),
        (Cites(), "See [the policy](returns.md).", True, None),
        (Cites(), "Returns take 14 days.", False, "no_citation"),
        (Cites(), "The list is [a, b] and x[i].", False, "no_citation"),
        (Length(max_chars=5), "12345", True, None),
        (Length(max_chars=5), "123456", False, "too_long"),
        (Length(min_chars=3), "12", False, "too_short"),
        (Length(max_tokens=7), "x", True, None),
        (Length(max_tokens=6), "x", False, "too_long"),
        (OneOf(frozenset({"refund", "other"})), " refund\n", True, None),
        (OneOf(frozenset({"refund", "other"})), "Refund", False, "value_not_allowed"),
    ],
)
def test_rules_that_take_no_time(rule: LightRule, text: str, passed: bool, reason: str | None) -> None:
    assert light_finding(rule, answer(text)) == Finding(passed, CheckReason(reason) if reason else None)


def test_the_providers_own_marks_count_first() -> None:
    assert light_finding(NoRefusal(), answer("", is_refused=True)).reason is CheckReason.REFUSAL
    assert light_finding(Cites(), answer("No mark.", is_cited=True)) == PASSED


def test_what_was_not_kept_is_undecided_unless_its_length_says_enough() -> None:
    assert light_finding(Cites(), answer("See", **LONG)) == Finding(None, CheckReason.CUT)
    assert light_finding(OneOf(frozenset({"See"})), answer("See", **LONG)).passed is False
    assert light_finding(Length(max_chars=39_999), answer("See", **LONG)).passed is False
    assert light_finding(Length(max_tokens=9), answer("x", tokens=None)) == Finding(None, CheckReason.UNCOUNTED)
    heavy = Check(name="form", rule=Matches("S"))
    assert evaluated([heavy], answer("See", **LONG), {}).found == ((heavy, Finding(None, CheckReason.CUT)),)


SHORT = Check(name="short", rule=Length(max_chars=3))
POLITE = Check(name="polite", rule=Matches("please"), fails=False)
KIND = Check(name="kind", rule=NoRefusal())


def test_each_rule_of_another_process_is_asked_once() -> None:
    assert heavy_rules([SHORT, POLITE, Check(name="again", rule=Matches("please"))]) == (Matches("please"),)


def test_all_passed() -> None:
    found = evaluated([SHORT, POLITE], answer("yes"), {POLITE.rule: PASSED})  # type: ignore[dict-item]
    assert (found.passed, found.score, found.is_failure, found.failed) == (True, 1.0, False, ())
    assert found.telling == (SHORT, PASSED)


def test_the_first_that_was_not_passed_tells_and_only_some_fail_the_call() -> None:
    missed = Finding(False, CheckReason.NO_MATCH)
    found = evaluated([KIND, POLITE, SHORT], answer("yes"), {POLITE.rule: missed})  # type: ignore[dict-item]
    assert (found.passed, found.score, found.telling) == (False, 0.6667, (POLITE, missed))
    assert not found.is_failure
    assert evaluated([KIND, SHORT], answer("more"), {}).is_failure


def test_what_did_not_run_makes_the_whole_undecided_and_never_a_failure() -> None:
    found = evaluated([SHORT, POLITE], answer("yes"), {})
    assert (found.passed, found.score, found.is_failure) == (None, 1.0, False)
    assert found.telling == (POLITE, Finding(None, CheckReason.NOT_RUN))
    assert evaluated([POLITE], answer("yes"), {}).score is None
