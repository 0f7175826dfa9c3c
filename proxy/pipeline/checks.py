"""Checks of the answer, after the last byte and before the end is written."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.domain.answers import answer_of
from proxy.domain.checks import Evaluation, Finding, HeavyRule, evaluated, heavy_rules
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Exchange
from proxy.pipeline.services import Services


def check_answer(exchange: Exchange, services: Services, then: Callable[[], None]) -> bool:
    """Fill `exchange.evaluation` where there is an answer; True where that takes time and `then` will be called."""
    answer = answer_of(exchange)
    if answer is None:
        return False

    def conclude(found: Mapping[HeavyRule, Finding]) -> None:
        try:
            _seal(exchange, evaluated(exchange.checks, answer, found))
        finally:
            then()

    rules = heavy_rules(exchange.checks)
    if rules and answer.text is not None and services.checker.submit(rules, answer.text, conclude):
        return True
    _seal(exchange, evaluated(exchange.checks, answer, {}))
    return False


def _seal(exchange: Exchange, evaluation: Evaluation) -> None:
    exchange.evaluation = evaluation
    if evaluation.is_failure and exchange.fate is not None:
        exchange.fate = replace(exchange.fate, status=Status.VALIDATION_FAILED, error_type=ErrorType.CHECK_FAILED)
