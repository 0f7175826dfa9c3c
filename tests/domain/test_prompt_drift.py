from dataclasses import replace

import orjson
import pytest

from proxy.domain.events import EventPolicy
from proxy.domain.fingerprints import PromptHashMode
from proxy.domain.identity import Caller, IdentityPolicy
from proxy.domain.prompt_drift import TELLINGS_A_DAY, drifted, may_drift, telling_key, text_key, version_key
from tests.harness.exchanges import finished

IDENTITY = IdentityPolicy(secret=b"0123456789abcdef")
CALLER = Caller(
    distinct_id="ada",
    trace_id="t",
    request_id="r",
    prompt_name="support",
    prompt_version_id="pv_1",
    prompt_version_source="header",
    prompt_hash="sha256:aa",
)
DAY_US = 86_400_000_000


@pytest.mark.parametrize(("source", "may"), [
    ("header", True), ("body", True), ("rollout", True), ("inferred", False), ("missing", False),
])  # fmt: skip
def test_a_version_drifts_where_somebody_named_it(source: str, may: bool) -> None:
    assert may_drift(replace(CALLER, prompt_version_source=source)) is may
    assert not may_drift(replace(CALLER, prompt_version_source=source, prompt_hash=None))


def test_a_version_is_known_by_its_name_its_id_and_how_texts_are_hashed() -> None:
    mode: PromptHashMode = "sha256"
    keys = {
        version_key(CALLER, IDENTITY),
        version_key(replace(CALLER, prompt_name=None), IDENTITY),
        version_key(replace(CALLER, prompt_name="supportp", prompt_version_id="v_1"), IDENTITY),
        version_key(CALLER, replace(IDENTITY, secret=b"another")),
        version_key(CALLER, replace(IDENTITY, prompt_hash_mode=mode)),
        version_key(CALLER, replace(IDENTITY, prompt_hash_ignores_numbers=True)),
    }
    assert len(keys) == 6
    assert {len(key) for key in keys} == {16}
    assert version_key(replace(CALLER, prompt_hash="sha256:bb", distinct_id="bob"), IDENTITY) in keys


def test_tellings_are_counted_by_day() -> None:
    version = version_key(CALLER, IDENTITY)
    keys = {telling_key(version, day * DAY_US + 7, n) for day in (0, 1) for n in range(1, TELLINGS_A_DAY + 1)}
    assert len(keys) == 2 * TELLINGS_A_DAY
    assert telling_key(version, 7, 1) == telling_key(version, DAY_US - 1, 1)


def test_the_event_says_what_ran_and_what_ran_first_and_is_the_same_when_made_again() -> None:
    call = finished(caller=CALLER)
    text = text_key(version_key(CALLER, IDENTITY), "sha256:aa")
    (event,) = drifted(call, EventPolicy(), "sha256:aa", text=text, first_hash="sha256:00", ordinal=1).events
    said = orjson.loads(event.body)["properties"]
    assert (said["prompt_version_id"], said["prompt_hash"], said["first_prompt_hash"]) == (
        "pv_1", "sha256:aa", "sha256:00",
    )  # fmt: skip
    assert "prompt_is_volatile" not in said
    (last,) = drifted(
        call, EventPolicy(), "sha256:aa", text=text, first_hash="sha256:00", ordinal=TELLINGS_A_DAY
    ).events
    assert orjson.loads(last.body)["properties"]["prompt_is_volatile"] is True
    assert last.uuid == event.uuid
