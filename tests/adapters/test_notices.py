import datetime
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from proxy.adapters import notices
from proxy.adapters.notices import UnpricedModels, WrappedCalls
from proxy.config.document import parse_document
from proxy.config.prices import PricingFile
from proxy.config.schema import check_document
from proxy.domain.double_capture import WARNING
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.exchange import Exchange
from proxy.domain.pricing import Cost, CostStatus
from tests.harness.exchanges import OPENAI, PRICED, READING, RECEIVED_UNIX_US, attempt, caller, finished, running

UNPRICED = Cost(status=CostStatus.UNPRICED)
DAY_US = 86_400 * 10**6


def call_to(model: str | None, **changes: Any) -> Exchange:
    return finished(attempt(cost=UNPRICED, reading=replace(READING, model=model)), **changes)


Said = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """The fields of every warning so far."""
    caplog.set_level(logging.WARNING, logger="proxy.adapters.notices")
    return lambda: [vars(record) for record in caplog.records]


def test_the_yaml_to_paste_is_a_price_of_the_operator_s_file(said: Said) -> None:
    UnpricedModels().observe(call_to("meta-llama/Llama-3.1-8B:free"))
    pasted = "version: 1\nmodels:\n" + said()[0]["yaml"]
    document = parse_document("pricing.yaml", pasted.encode(), {})
    assert check_document(document, PricingFile) is not None, document.problems
    (entry,) = yaml.safe_load(pasted)["models"]
    assert entry["match"] == {"provider": "openai", "model": "meta-llama/Llama-3.1-8B:free"}
    assert entry["prices"][0]["from"] == datetime.date(2026, 5, 28)


def test_each_model_is_named_once_a_day(said: Said) -> None:
    unpriced = UnpricedModels()
    for exchange in (
        call_to("a"),
        call_to("a"),
        call_to("b"),
        call_to("a", received_unix_us=RECEIVED_UNIX_US + DAY_US),
    ):
        unpriced.observe(exchange)
    assert [record["model"] for record in said()] == ["a", "b", "a"]


def test_the_model_is_what_answered_else_what_was_routed_but_never_what_was_asked(said: Said) -> None:
    unpriced = UnpricedModels()
    unpriced.observe(call_to("answered"))
    unpriced.observe(finished(attempt(cost=UNPRICED, reading=None, target=replace(OPENAI, model="routed"))))
    unpriced.observe(finished(attempt(cost=UNPRICED, reading=None)))
    assert [record.get("model") for record in said()] == ["answered", "routed", None]
    assert "withheld" in said()[2]["msg"]


@pytest.mark.parametrize(
    "model",
    [
        "my secret prompt",
        "a\nb",
        'x"}], prices: []',
        "",
        "m" * 101,
        "*",
        "é",
        "sk-proj-4f9a8b7c6d5e4f3a2b1c",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "xai-grok-4-1-fast-reasoning",
    ],
)
def test_a_name_that_may_be_anything_is_withheld(said: Said, model: str) -> None:
    unpriced = UnpricedModels()
    for _ in range(2):
        unpriced.observe(call_to(model))
    (record,) = said()
    assert record["provider"] == "openai"
    assert "withheld" in record["msg"]
    assert not {"model", "yaml"} & set(record)
    assert not model or model not in {text for text in record.values() if isinstance(text, str)}


@pytest.mark.parametrize(
    "exchange",
    [
        running(),
        finished(attempt(cost=None)),
        finished(attempt(cost=PRICED)),
        finished(attempt(cost=Cost(status=CostStatus.UNKNOWN))),
    ],
    ids=["no-attempt", "no-cost", "priced", "unknown"],
)
def test_nothing_is_said_of_other_calls(said: Said, exchange: Exchange) -> None:
    UnpricedModels().observe(exchange)
    assert said() == []


def test_what_was_said_is_remembered_within_bounds(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_REMEMBERED", 2)
    unpriced = UnpricedModels()
    for model in ("a", "b", "c", "a"):
        unpriced.observe(call_to(model))
    assert len(said()) == 4
    assert len(unpriced._said._said) == 2


def test_an_app_that_captures_too_is_told_once_a_day_and_key(said: Said) -> None:
    wrapped = WrappedCalls()
    web, jobs = (caller(warnings=("x-trace-id:secret", WARNING), key_alias=alias) for alias in ("web", "jobs"))
    for exchange in (
        finished(caller=web),
        finished(caller=web),
        finished(caller=jobs),
        finished(caller=web, received_unix_us=RECEIVED_UNIX_US + DAY_US),
        finished(caller=caller(warnings=("x-trace-id:secret",))),
        finished(caller=caller(warnings=(WARNING,)), endpoint=classify("GET", "/v1/models", Dialect.OPENAI)),
        running(caller=None),
    ):
        wrapped.observe(exchange)
    assert [record["key_alias"] for record in said()] == ["web", "jobs", "web"]
    assert "families" in said()[0]["msg"]
