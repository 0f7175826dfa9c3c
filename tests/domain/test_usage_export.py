from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.usage_export import Difference, NotUnderstood, Used, differences, read_export, undated, without_models

DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)


def rows(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.strip().splitlines()]


def test_openais_usage_export() -> None:
    text = """
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens
1763596800,1763683200,2025-11-20T00:00:00+00:00,2025-11-21T00:00:00+00:00,proj_1,7,gpt-4.1-mini-2025-04-14,1000,200,400
1763596800,1763683200,2025-11-20T00:00:00+00:00,2025-11-21T00:00:00+00:00,proj_2,1,gpt-4.1-mini-2025-04-14,10,2,0
1763683200,1763769600,2025-11-21T00:00:00+00:00,2025-11-22T00:00:00+00:00,,,,,,
"""
    assert read_export(rows(text)) == {
        (date(2025, 11, 20), "gpt-4.1-mini"): Used(calls=8, input_tokens=1010, output_tokens=202)
    }


def test_openais_cost_export_names_no_model() -> None:
    text = """
start_time,start_time_iso,amount_value,amount_currency,line_item
1763596800,2025-11-20T00:00:00+00:00,0.8958740000000000,usd,
"""
    assert read_export(rows(text)) == {(date(2025, 11, 20), ""): Used(cost_usd=0.895874)}


def test_anthropics_usage_export() -> None:
    text = """
usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens
2026-11-20,claude-sonnet-4-20250514,a,100,20,3,4000,50
"""
    assert read_export(rows(text)) == {(DAY, "claude-sonnet-4"): Used(input_tokens=4123, output_tokens=50)}


def test_a_plain_table() -> None:
    text = """
\ufeffDate , Model,Requests,cost_usd
2026-11-20 23:59:59,GPT-x,"3",$1.50
1795219200,GPT-x,4,
"""
    assert read_export([[cell.strip('"') for cell in row] for row in rows(text)]) == {
        (DAY, "gpt-x"): Used(calls=3, cost_usd=1.5),
        (NEXT, "gpt-x"): Used(calls=4),
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "line 1: there is no column of days"),
        ("a,b\n1,2", "line 1: there is no column of days"),
        ("date,model\n2026-11-20,m", "line 1: there is no column of tokens or cost"),
        ("date,cost\n20.11.2026,1", "line 2: the day is none"),
        ("date,cost\n2026-11-20,one", "line 2: a count or an amount is no number"),
        ("date,cost\n2026-11-20,nan", "line 2: a count or an amount is no number"),
    ],
)
def test_what_is_missing_is_named(text: str, what: str) -> None:
    with pytest.raises(NotUnderstood, match=what):
        read_export(rows(text))


@given(st.lists(st.lists(st.text(max_size=12), max_size=4), max_size=5))
def test_any_table_is_read_or_refused(table: list[list[str]]) -> None:
    with suppress(NotUnderstood):
        read_export([["date", "model", "input_tokens", "cost"], *table])


def test_a_day_that_one_side_lacks_differs_and_what_nobody_counts_does_not() -> None:
    ours = {(DAY, "m"): Used(calls=100, input_tokens=995, cost_usd=1.0)}
    theirs = {(DAY, "m"): Used(input_tokens=1000), (NEXT, "m"): Used(input_tokens=5)}
    assert list(differences(ours, theirs, 0.01)) == [
        Difference(day=NEXT, model="m", quantity="input_tokens", ours=0, theirs=5)
    ]
    assert len(list(differences(ours, theirs, 0.001))) == 2


def test_models_are_summed_where_one_side_has_none() -> None:
    side = {(DAY, "a"): Used(cost_usd=1.0), (DAY, "b"): Used(cost_usd=2.0, calls=1)}
    assert without_models(side) == {(DAY, ""): Used(cost_usd=3.0, calls=1)}


@pytest.mark.parametrize(
    ("model", "known"),
    [("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"), ("claude-x-20250514", "claude-x"), ("gpt-4", "gpt-4"), (" M ", "m")],
)
def test_a_dated_model_is_the_model(model: str, known: str) -> None:
    assert undated(model) == known
