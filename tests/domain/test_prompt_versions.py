import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import PromptVersionRequired
from proxy.domain.fingerprints import inferred_version
from proxy.domain.identity import Caller
from proxy.domain.prompt_versions import WARNING, Demand, VersionPolicy, demand_version, with_version

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
EMBEDDINGS = classify("POST", "/v1/embeddings", Dialect.OPENAI)
HASH = "hmac-sha256:" + "0123456789ab" + "c" * 52
CALLER = Caller(distinct_id="ada", trace_id="t", request_id="r", prompt_hash=HASH)
NAMED = Caller(
    distinct_id="ada", trace_id="t", request_id="r", prompt_version_id="pv_1", prompt_version_source="header"
)


def test_a_call_that_names_no_version_gets_one_of_its_prompts_hash() -> None:
    found = with_version(CALLER, CHAT, VersionPolicy())
    assert (found.prompt_version_id, found.prompt_version_source) == ("fp_0123456789ab", "inferred")
    assert found.warnings == ()


@pytest.mark.parametrize("demand", ["observe", "warn", "enforce"])
def test_a_named_version_meets_every_demand(demand: Demand) -> None:
    demand_version(NAMED, CHAT)
    assert with_version(NAMED, CHAT, VersionPolicy(demand=demand)) is NAMED


@pytest.mark.parametrize(
    ("policy", "prompt_hash"), [(VersionPolicy(infers=False), HASH), (VersionPolicy(), None)], ids=["off", "no prompt"]
)
def test_nothing_is_inferred_where_it_is_off_or_there_is_no_prompt(
    policy: VersionPolicy, prompt_hash: str | None
) -> None:
    caller = Caller(distinct_id="ada", trace_id="t", request_id="r", prompt_hash=prompt_hash)
    assert with_version(caller, CHAT, policy) is caller
    warned = with_version(caller, CHAT, policy, "warn")
    assert (warned.prompt_version_source, warned.warnings) == ("missing", (WARNING,))


def test_a_warning_comes_with_the_inferred_version() -> None:
    found = with_version(CALLER, CHAT, VersionPolicy(demand="warn"))
    assert (found.prompt_version_id, found.warnings) == (inferred_version(HASH), (WARNING,))


def test_what_is_demanded_refuses_and_says_what_to_send() -> None:
    with pytest.raises(PromptVersionRequired, match="X-Prompt-Version") as refusal:
        demand_version(CALLER, CHAT)
    assert (refusal.value.http_status, refusal.value.code) == (400, "prompt_version_required")


def test_a_version_that_was_inferred_before_meets_no_demand() -> None:
    inferred = with_version(CALLER, CHAT, VersionPolicy())
    assert with_version(inferred, CHAT, VersionPolicy()) is inferred
    assert with_version(inferred, CHAT, VersionPolicy(demand="warn")).warnings == (WARNING,)
    with pytest.raises(PromptVersionRequired):
        demand_version(inferred, CHAT)


def test_the_routes_own_demand_wins() -> None:
    assert with_version(CALLER, CHAT, VersionPolicy(demand="warn"), "observe").warnings == ()


def test_what_carries_no_prompt_needs_no_version() -> None:
    demand_version(CALLER, EMBEDDINGS)
    assert with_version(CALLER, EMBEDDINGS, VersionPolicy(demand="warn")) is CALLER
