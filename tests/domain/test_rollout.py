import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from posthog.feature_flags import _hash, get_matching_variant

from proxy.domain.overrides import ChangedBy, Override
from proxy.domain.rollout import (
    Decision,
    Reason,
    Rollout,
    Split,
    bucket,
    by_default,
    by_override,
    by_split,
)

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/flag_buckets.json").read_text())
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "posthog" / "flag_hash_vectors.json"

keys = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def splits(draw, max_variants=6):
    """Shares in hundredths of a percent that make a whole."""
    marks = sorted(draw(st.lists(st.integers(0, 10_000), max_size=max_variants - 1)))
    ends = [*marks, 10_000]
    shares = [end - start for start, end in zip([0, *marks], ends, strict=True)]
    return {f"pv_{number}": Decimal(share) / 100 for number, share in enumerate(shares)}


def as_flag(key, percentages):
    """What PostHog would hold for the same split."""
    variants = [{"key": variant, "rollout_percentage": float(share)} for variant, share in percentages.items()]
    return {"key": key, "filters": {"multivariate": {"variants": variants}}}


def share_of(split, variant, key="answers", people=20_000):
    return sum(split.variant_of(key, f"user_{number}") == variant for number in range(people)) / people


@pytest.mark.parametrize("vector", GOLDEN["vectors"], ids=lambda vector: vector["id"][:20])
def test_buckets_are_those_of_posthog(vector):
    assert bucket(GOLDEN["key"], vector["id"]) == vector["rollout"]
    assert bucket(GOLDEN["key"], vector["id"], "variant") == vector["variant_place"]
    split = Split.of({variant: Decimal(str(share)) for variant, share in GOLDEN["shares"].items()})
    assert split.variant_of(GOLDEN["key"], vector["id"]) == vector["variant"]


def test_posthogs_own_vectors():
    if not REFERENCE.exists():
        pytest.skip("PostHog's vectors are not beside this checkout")
    vectors = json.loads(REFERENCE.read_text())["vectors"]
    assert len(vectors) > 200
    for vector in vectors:
        key, value = vector["flag_key"], vector["bucketing_value"]
        assert bucket(key, value) == vector["rollout_hash"]
        assert bucket(key, value, "variant") == vector["variant_hash"]


@given(keys, ids)
def test_the_hash_is_the_sdks(key, value):
    assert bucket(key, value) == _hash(key, value)
    assert bucket(key, value, "variant") == _hash(key, value, salt="variant")


def test_thousands_of_ids_fall_where_the_sdk_puts_them():
    percentages = {"control": Decimal("33.33"), "pv_2": Decimal("33.33"), "pv_3": Decimal("33.34")}
    split, flag = Split.of(percentages), as_flag("answers", percentages)
    for number in range(5_000):
        assert split.variant_of("answers", f"user_{number}") == get_matching_variant(flag, f"user_{number}")


@given(splits(), keys, ids)
def test_a_split_is_the_flag_that_posthog_would_make_of_it(percentages, key, value):
    expected = get_matching_variant(as_flag(key, percentages), value)
    assume(expected is not None)  # PostHog's sums of floats may end just below 1
    assert Split.of(percentages).variant_of(key, value) == expected


@given(splits(), keys, ids)
def test_a_variant_without_a_share_has_nobody(percentages, key, value):
    assert percentages[Split.of(percentages).variant_of(key, value)] > 0


@given(st.integers(0, 100), st.integers(0, 100), keys, ids)
def test_who_was_in_stays_in_when_a_rollout_grows(one, other, key, value):
    small, large = sorted([one, other])
    before = Split.of({"pv_1": Decimal(100 - small), "pv_2": Decimal(small)})
    after = Split.of({"pv_1": Decimal(100 - large), "pv_2": Decimal(large)})
    if before.variant_of(key, value) == "pv_2":
        assert after.variant_of(key, value) == "pv_2"


@pytest.mark.parametrize("percent", [0, 0.5, 5, 50, 95, 100])
def test_five_percent_are_five_percent_within_chance(percent):
    share = Decimal(str(percent))
    split = Split.of({"pv_1": 100 - share, "pv_2": share})
    expected = percent / 100
    four_sigma = 4 * (expected * (1 - expected) / 20_000) ** 0.5
    assert abs(share_of(split, "pv_2") - expected) <= four_sigma


def test_two_rollouts_draw_independently():
    half = Split.of({"a": Decimal(50), "b": Decimal(50)})
    both = sum(half.variant_of("one", f"u{n}") == half.variant_of("two", f"u{n}") == "a" for n in range(20_000))
    assert abs(both / 20_000 - 0.25) < 4 * (0.25 * 0.75 / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("percentages", "said"),
    [
        ({}, "name 1 to 50 variants"),
        ({f"v{n}": Decimal(1) for n in range(100)}, "name 1 to 50 variants"),
        ({"a": Decimal(95), "b": Decimal(4)}, "the shares must add up to 100, and these make 99"),
        ({"a": Decimal("33.3"), "b": Decimal("66.8")}, "the shares must add up to 100, and these make 100.1"),
        ({"a": Decimal(-5), "b": Decimal(105)}, "the share of a must be from 0 to 100"),
        ({"a b": Decimal(100)}, "a variant has no spaces, quotes, commas, semicolons or equals signs"),
        ({"": Decimal(100)}, "a variant has 1 to 200 characters"),
        ({"x" * 201: Decimal(100)}, "a variant has 1 to 200 characters"),
    ],
)
def test_what_is_no_split_is_told(percentages, said):
    with pytest.raises(ValueError, match=said):
        Split.of(percentages)


def test_the_last_of_several_thirds_has_the_rest():
    split = Split.of({"a": Decimal("33.3"), "b": Decimal("33.3"), "c": Decimal("33.4"), "none": Decimal(0)})
    assert {split.variant_of("k", f"u{n}") for n in range(1_000)} == {"a", "b", "c"}


def test_a_decision_says_who_decided():
    decided = by_split("answers", Split.of({"a": Decimal(50), "b": Decimal(50)}), "user_1")
    assert (decided.flag, decided.reason, decided.source, decided.is_assigned) == ("answers", "split", "assigned", True)
    fallen = by_default(Rollout(flag="answers", default="a"), Reason.UNKNOWN_FLAG)
    assert (fallen.variant, fallen.source, fallen.is_assigned) == ("a", "default", False)


def override(shares):
    return Override(shares=shares, changed_by=ChangedBy.OPERATOR, changed_at_unix_us=0)


def test_shares_that_were_set_by_hand_deal_people_out_as_a_split_does():
    decided = by_override("answers", override({"a": 90.0, "b": 10.0}), "user_1")
    split = Split.of({"a": Decimal(90), "b": Decimal(10)})
    assert (decided.variant, decided.reason) == (split.variant_of("answers", "user_1"), "override")
    assert decided.is_assigned


def test_a_rollout_that_was_stopped_assigns_nobody():
    decided = by_override("answers", override({"a": 100.0, "b": 0.0}), "user_1")
    assert (decided.variant, decided.reason, decided.is_assigned) == ("a", "stopped", False)


def test_boolean_flags_are_booleans_in_events():
    def value(variant):
        return Decision(flag="f", variant=variant, reason=Reason.MATCHED).value

    assert [value("true"), value("false"), value("True"), value("pv_1")] == [True, False, "True", "pv_1"]


def test_the_page_explains_every_reason():
    page = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text().split("## When nothing can be decided")[1]
    assert [reason for reason in Reason if f"`{reason}`" not in page] == []
