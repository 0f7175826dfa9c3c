import math
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.event_properties import (
    AI_EMBEDDING,
    AI_GENERATION,
    ALLOWED,
    COMPLETED,
    EVENTS,
    FAILED,
    RESERVED_NAMES,
    STARTED,
    TABLE,
    length_bucket,
)
from proxy.domain.property_rows import Kind

REFERENCE = Path(__file__).parents[3] / "shared"


def test_names_are_unique_within_each_event() -> None:
    for event in EVENTS:
        names = [row.name for row in TABLE if event in row.events]
        assert len(names) == len(set(names))


def test_every_row_says_what_it_means_and_is_bounded() -> None:
    for row in TABLE:
        assert row.meaning
        assert 0 < row.limit < math.inf
        assert row.events
        assert row.group


def test_every_request_property_of_the_contract_is_in_the_table() -> None:
    page = REFERENCE / "contracts" / "events.md"
    if not page.exists():
        pytest.skip("the events contract is not beside this checkout")
    section = page.read_text().split("## Properties of requests")[1].split("Checks that a route")[0]
    cells = [line.split("|")[2] for line in section.splitlines() if line.startswith("|") and "---" not in line]
    named = set(re.findall(r"`([a-z$_/<>]+)`", " ".join(cells)))
    listed_values = {"mixed", "provider", "estimated", "unknown", "partial", "none"}  # of `usage_source`
    assert {"exchange_id", "$feature/<key>", "cost_status", "analytics_warnings"} <= named
    assert named - {row.name for row in TABLE} - listed_values == set()


def test_ai_properties_are_posthogs() -> None:
    page = REFERENCE / "reference" / "posthog" / "ai_event_properties.json"
    if not page.exists():
        pytest.skip("PostHog's list of properties is not beside this checkout")
    known = {row["name"]: row["events"] for row in orjson.loads(page.read_bytes())["properties"]}
    ours = [row for row in TABLE if row.name.startswith("$ai_")]
    assert [row.name for row in ours if row.name not in known] == []
    assert [row.name for row in ours if AI_GENERATION in row.events and AI_GENERATION not in known[row.name]] == []


def test_good_values_pass_in_order() -> None:
    given_properties = {
        "latency_ms": 12.5,
        "input_tokens": 0,
        "status": "success",
        "stream": False,
        "tools_called": ["f", "g"],
        "$groups": {"company": "acme"},
        "$feature/a": True,
        "$feature/b": "treatment",
    }
    assert list(ALLOWED[COMPLETED].kept(given_properties).items()) == list(given_properties.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unknown", "x"),
        ("$set", {"a": "b"}),
        ("latency_ms", math.nan),
        ("latency_ms", math.inf),
        ("latency_ms", -1),
        ("latency_ms", True),
        ("latency_ms", "12"),
        ("latency_ms", 10**10),
        ("input_tokens", 1.5),
        ("input_tokens", True),
        ("input_tokens", -1),
        ("stream", 1),
        ("status", "great"),
        ("status", ["success"]),
        ("error_code", "CANARY"),
        ("prompt_name", ""),
        ("prompt_name", "x" * 1_001),
        ("prompt_name", "a\x01b"),
        ("prompt_name", "caf\udce9"),
        ("prompt_name", 7),
        ("prompt_name", None),
        ("tools_called", []),
        ("tools_called", "f"),
        ("tools_called", ["f", 1]),
        ("tools_called", ["f"] * 101),
        ("tools_called", {"f": "g"}),
        ("$groups", {}),
        ("$groups", ["a"]),
        ("$groups", {"a": 1}),
        ("$groups", {str(number): "x" for number in range(6)}),
        ("$feature/a", 1),
        ("$feature/a", "x" * 201),
    ],
)
def test_everything_else_is_absent(name: str, value: object) -> None:
    assert ALLOWED[COMPLETED].kept({name: value}) == {}


def test_an_event_takes_only_its_own_properties() -> None:
    end = {"latency_ms": 1, "status": "error", "message_count": 1, "$ai_latency": 1.0}
    assert ALLOWED[STARTED].kept(end) == {"message_count": 1}
    assert ALLOWED[FAILED].kept(end) == {"latency_ms": 1, "status": "error", "message_count": 1}
    assert ALLOWED[AI_EMBEDDING].kept(end) == {"$ai_latency": 1.0}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=2)
NAMES = st.sampled_from([row.name for row in TABLE]) | st.text()


@given(event=st.sampled_from(list(EVENTS)), properties=st.dictionaries(NAMES, VALUES))
def test_what_passes_can_always_be_written_and_read_back(event: str, properties: dict[str, object]) -> None:
    kept = ALLOWED[event].kept(properties)
    assert orjson.loads(orjson.dumps(kept)) == kept
    assert set(kept) <= set(properties)


@pytest.mark.parametrize(
    ("tokens", "bucket"),
    [
        (None, None),
        (0, "0_250_tokens"),
        (249, "0_250_tokens"),
        (250, "250_500_tokens"),
        (999, "500_1k_tokens"),
        (1_284, "1k_2k_tokens"),
        (2_000, "2k_4k_tokens"),
        (127_999, "64k_128k_tokens"),
        (128_000, "128k_plus_tokens"),
        (10**9, "128k_plus_tokens"),
    ],
)
def test_length_buckets(tokens: int | None, bucket: str | None) -> None:
    assert length_bucket(tokens) == bucket


def test_no_client_may_name_a_property_of_ours() -> None:
    assert {"estimated_cost_usd", "distinct_id", "token", "uuid", "timestamp"} <= RESERVED_NAMES
    assert {row.kind for row in TABLE} == set(Kind)
