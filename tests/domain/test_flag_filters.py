from copy import deepcopy
from typing import Any

import pytest

from proxy.domain.flag_filters import Unfit, shares_of, with_shares

STOP = {"control": 100.0, "treatment": 0.0}
FILTERS: dict[str, Any] = {
    "groups": [
        {"properties": [{"key": "plan", "value": "pro"}], "rollout_percentage": 40, "variant": None},
        {"properties": [], "rollout_percentage": 100, "variant": "treatment", "sort_key": "x"},
    ],
    "multivariate": {
        "variants": [
            {"key": "control", "name": "as before", "rollout_percentage": 50},
            {"key": "treatment", "rollout_percentage": 50},
        ]
    },
    "payloads": {"treatment": '{"a": 1}'},
    "holdout": {"id": 3, "exclusion_percentage": 5},
    "from a later release": [1],
}
SWITCH: dict[str, Any] = {
    "groups": [{"properties": [], "rollout_percentage": 30}],
    "payloads": {},
    "multivariate": None,
}


def test_a_stop_moves_everybody_to_control_and_changes_nothing_else() -> None:
    before = deepcopy(FILTERS)

    changed = with_shares(FILTERS, STOP, "control")

    expected = deepcopy(before)
    expected["multivariate"]["variants"][0]["rollout_percentage"] = 100
    expected["multivariate"]["variants"][1]["rollout_percentage"] = 0
    expected["groups"][1]["variant"] = "control"
    assert changed == expected
    assert before == FILTERS


def test_shares_are_dealt_out_and_pins_stay_where_their_variant_does() -> None:
    changed = with_shares(FILTERS, {"control": 87.5, "treatment": 12.5}, "control")

    assert [variant["rollout_percentage"] for variant in changed["multivariate"]["variants"]] == [87.5, 12.5]
    assert changed["groups"] == FILTERS["groups"]


def test_a_control_that_is_no_variant_is_what_nobody_is_shown() -> None:
    changed = with_shares(FILTERS, {"false": 100.0}, "false")

    assert [condition["rollout_percentage"] for condition in changed["groups"]] == [0, 0]
    assert changed["multivariate"] == FILTERS["multivariate"]


def test_a_switch_has_the_share_of_its_condition() -> None:
    assert with_shares(SWITCH, {"false": 100.0, "true": 0.0}, "false")["groups"][0]["rollout_percentage"] == 0
    assert with_shares(SWITCH, {"false": 80.0, "true": 20.0}, "false")["groups"][0]["rollout_percentage"] == 20


@pytest.mark.parametrize(
    ("filters", "shares", "why"),
    [
        (FILTERS, {"control": 50.0, "other": 50.0}, "it has no variant other; it has control, treatment"),
        ({"groups": SWITCH["groups"] * 2}, {"true": 10.0, "false": 90.0}, "it has 2 conditions"),
        ({"groups": ["?"]}, STOP, "not of a form"),
    ],
)
def test_what_a_flag_cannot_be_given_is_said(filters: dict[str, Any], shares: dict[str, float], why: str) -> None:
    with pytest.raises(Unfit, match=why):
        with_shares(filters, shares, "control")


def test_the_shares_among_people_who_get_a_variant_are_those_of_the_variants() -> None:
    unpinned = {**FILTERS, "groups": FILTERS["groups"][:1]}

    assert shares_of(unpinned) == {"control": 50, "treatment": 50}
    assert shares_of(SWITCH) == {"true": 30, "false": 70}


@pytest.mark.parametrize(
    "filters",
    [
        FILTERS,
        {"groups": SWITCH["groups"] * 2},
        {"groups": [{"properties": [{"key": "plan"}], "rollout_percentage": 10}]},
        {"groups": "?"},
        {"multivariate": {"variants": [{"key": "a"}]}},
    ],
)
def test_where_conditions_have_a_say_the_shares_are_not_fixed(filters: dict[str, Any]) -> None:
    assert shares_of(filters) is None
