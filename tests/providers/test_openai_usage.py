"""Usage objects: what no recorded reply shows, and that nothing impossible ever comes out."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.usage import Usage
from proxy.providers.openai_usage import provider_cost, read_timings, read_usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, (5, 2, 0)),
        ({"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}, (5, 2, 0)),
        ({"prompt_tokens": 5, "total_tokens": 5}, (5, 0, 0)),
        ({"prompt_tokens": 5, "total_tokens": 9}, (5, 4, 0)),
        ({"prompt_tokens": 5}, (5, None, None)),
        ({"completion_tokens": 5, "total_tokens": 9}, (None, 5, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": "9"}, (5, 2, 0)),
        ({"prompt_tokens": 5, "completion_tokens": -2, "total_tokens": 9}, (5, 4, 0)),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": -1}},
            (5, 2, None),
        ),
        ({}, (None, None, None)),
    ],
)
def test_totals(usage: dict[str, Any], expected: tuple[int | None, int | None, int | None]) -> None:
    read = read_usage(usage)
    assert (read.input_tokens, read.output_tokens, read.reasoning_tokens) == expected


def test_cache_writes_that_do_not_fit_beside_the_reads_are_unknown() -> None:
    details = {"cached_tokens": 80, "cache_write_tokens": 30}
    read = read_usage({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": details})
    assert (read.cached_input_tokens, read.cache_creation_input_tokens) == (80, None)


@pytest.mark.parametrize(
    ("ttls", "for_12h"),
    [
        ({"ttl_30m_tokens": 10, "ttl_12h_tokens": 20}, 20),
        ({"ttl_30m_tokens": 30, "ttl_12h_tokens": 0}, 0),
        ({"ttl_12h_tokens": 31}, None),
        ({"ttl_12h_tokens": "20"}, None),
        (None, None),
    ],
)
def test_cache_writes_for_twelve_hours_are_told_from_those_of_the_default(
    ttls: dict[str, Any] | None, for_12h: int | None
) -> None:
    details = {"cached_tokens": 0, "cache_write_tokens": 30, "cache_write_tokens_details": ttls}
    read = read_usage({"input_tokens": 100, "output_tokens": 1, "input_tokens_details": details})
    assert (read.cache_creation_input_tokens, read.cache_creation_12h_tokens) == (30, for_12h)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0}, Decimal(0)),
        ({"cost": 0.25, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, Decimal("1.25")),
        ({"cost": 0.25, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ({"cost": 0.25, "is_byok": True}, None),
        ({"cost": {"total_cost": "1"}}, None),
        ({"cost": "free", "estimated_cost": 0.5}, Decimal("0.5")),
        ({"cost_in_usd_ticks": 1, "cost": 9}, Decimal("1E-10")),
        ({"cost_in_usd_ticks": -5}, None),
        ({}, None),
    ],
)
def test_costs(usage: dict[str, Any], cost: Decimal | None) -> None:
    assert provider_cost(usage) == cost


@pytest.mark.parametrize("missing", ["prompt_n", "predicted_n"])
def test_timings_count_only_when_they_are_whole(missing: str) -> None:
    timings = {"prompt_n": 3, "predicted_n": 4}
    assert read_timings(timings).input_tokens == 3
    del timings[missing]
    assert read_timings(timings) == Usage()


COUNTS: st.SearchStrategy[Any] = st.sampled_from([0, 1, 5, 100, -3, 2**63, 1e30, 2.5, "4", True, None, [], {}])
KEYS = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "prompt_cache_hit_tokens",
        "cost",
        "cost_in_usd_ticks",
        "seconds",
    ]
)
DETAIL_KEYS = st.sampled_from(
    ["cached_tokens", "cache_write_tokens", "reasoning_tokens", "audio_tokens", "image_tokens"]
)
DETAILS = COUNTS | st.dictionaries(DETAIL_KEYS, COUNTS)


@given(
    st.dictionaries(KEYS, COUNTS),
    st.dictionaries(st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), DETAILS),
)
def test_no_part_is_negative_or_more_than_its_whole(usage: dict[str, Any], details: dict[str, Any]) -> None:
    read = read_usage({**usage, **details})
    numbers = [value for field in fields(Usage) if (value := getattr(read, field.name)) is not None]
    assert all(value >= 0 for value in numbers)
    parts = (read.cached_input_tokens or 0) + (read.cache_creation_input_tokens or 0)
    assert parts <= (read.input_tokens or 0)
    assert (read.reasoning_tokens or 0) <= (read.output_tokens or 0)
