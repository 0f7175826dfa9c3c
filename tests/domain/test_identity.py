import string
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.double_capture import WARNING
from proxy.domain.fields import fields_of
from proxy.domain.identity import ILLEGAL_IDS, Caller, IdentityPolicy, ParentSpan, VirtualKey, identify
from proxy.domain.privacy import hash_identity
from proxy.domain.provenance import Provenance

SECRET = b"s" * 32
POLICY = IdentityPolicy(secret=SECRET, allowed_properties=frozenset({"plan", "feature", "ticket_id_hash"}))


def read(
    *headers: tuple[str, str],
    body: Provenance | None = None,
    key: VirtualKey | None = None,
    policy: IdentityPolicy = POLICY,
    prompt_hash: str | None = None,
) -> Caller:
    return identify(
        fields_of(headers),
        replace(body or Provenance(), prompt_hash=prompt_hash),
        key,
        policy,
        new_trace_id="new-trace",
        new_request_id="new-request",
    )


ROWS: list[tuple[str, list[str]]] = [
    ("prompt_version_id", ["X-Prompt-Version", "X-Prompt-Version-Id", "metadata.prompt_version_id"]),
    ("prompt_name", ["X-Prompt-Name", "Helicone-Prompt-Id", "metadata.prompt_name"]),
    ("distinct_id", ["X-PostHog-Distinct-Id", "Helicone-User-Id", "x-litellm-end-user-id", "user"]),
    ("session_id", ["X-PostHog-Session-Id", "Helicone-Session-Id"]),
    ("trace_id", ["X-Trace-Id", "X-PostHog-Trace-Id", "x-portkey-trace-id", "metadata.trace_id"]),
    ("request_id", ["X-Request-Id"]),
    ("prompt_hash", ["X-Prompt-Hash"]),
    ("task_type", ["X-Task-Type"]),
    ("task_id", ["X-Task-Id"]),
    ("agent_config_id", ["X-Agent-Config"]),
    ("agent_step_name", ["X-Agent-Step"]),
    ("retrieval_config_id", ["X-Retrieval-Config"]),
    ("document_type", ["X-Document-Type"]),
    ("dataset_example_id", ["X-Dataset-Example"]),
]


def read_sources(sources: list[str], values: list[str]) -> Caller:
    pairs = dict(zip(sources, values, strict=True))
    metadata = {name.removeprefix("metadata."): value for name, value in pairs.items() if name.startswith("metadata.")}
    headers = [(name, value) for name, value in pairs.items() if name != "user" and not name.startswith("metadata.")]
    return read(*headers, body=Provenance(metadata=metadata, user=pairs.get("user")))


@pytest.mark.parametrize(("field", "sources"), ROWS)
def test_each_row_is_read_from_each_source_in_order_of_priority(field: str, sources: list[str]) -> None:
    values = [f"value-{number}" for number in range(len(sources))]
    for first in range(len(sources)):
        assert getattr(read_sources(sources[first:], values[first:]), field) == values[first]


@pytest.mark.parametrize(("field", "sources"), ROWS)
def test_a_bad_value_gives_way_to_the_next_source_and_is_named(field: str, sources: list[str]) -> None:
    found = read_sources(sources, ["CANARY\x01", *(f"value-{number}" for number in range(1, len(sources)))])
    expected = {"trace_id": "new-trace", "request_id": "new-request", "distinct_id": found.distinct_id}
    assert getattr(found, field) == ("value-1" if len(sources) > 1 else expected.get(field))
    assert found.warnings == (f"{sources[0].lower()}:control_characters",)
    assert "CANARY" not in repr(found)


def test_nothing_given_gives_new_ids_and_no_person() -> None:
    found = read()
    assert (found.trace_id, found.request_id, found.is_anonymous) == ("new-trace", "new-request", True)
    assert (found.prompt_version_source, found.environment, found.warnings) == ("missing", "production", ())


def test_values_are_trimmed_and_empty_ones_are_not_values() -> None:
    found = read(("X-Prompt-Version", "  pv_1 "), ("X-Prompt-Name", "   "), ("X-Task-Id", ""))
    assert (found.prompt_version_id, found.prompt_name, found.task_id, found.warnings) == ("pv_1", None, None, ())


def test_where_the_prompt_version_came_from_is_told() -> None:
    assert read(("X-Prompt-Version-Id", "v")).prompt_version_source == "header"
    assert read(body=Provenance(metadata={"prompt_version_id": "v"})).prompt_version_source == "body"


# --- trace and request ids ---


def test_traceparent_gives_its_trace_id() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert read(("traceparent", f"00-{trace}-00f067aa0ba902b7-01")).trace_id == trace
    assert read(("traceparent", f"cc-{trace}-00f067aa0ba902b7-01-what-the-future-brings")).trace_id == trace
    assert read(("traceparent", f"00-{trace}-00f067aa0ba902b7-01"), ("X-Trace-Id", "mine")).trace_id == "mine"


@pytest.mark.parametrize(("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_traceparent_names_the_callers_span_whoever_names_the_trace(flags: str, is_sampled: bool) -> None:
    found = read(("traceparent", f"00-{'a' * 32}-{'b' * 16}-{flags}"), ("X-Trace-Id", "mine"))
    assert (found.trace_id, found.parent_span) == ("mine", ParentSpan("a" * 32, "b" * 16, is_sampled))


@pytest.mark.parametrize(
    "value",
    ["junk", f"ff-{'1' * 32}-{'1' * 16}-01", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01",
     f"00-{'G' * 32}-{'1' * 16}-01"],
)  # fmt: skip
def test_a_malformed_traceparent_gives_way(value: str) -> None:
    found = read(("traceparent", value), ("x-portkey-trace-id", "other"))
    assert (found.trace_id, found.parent_span, found.warnings) == ("other", None, ("traceparent:malformed",))


@pytest.mark.parametrize("value", ["a b", "é", "a,b", "x" * 201, "a\x01b"])
def test_an_unsafe_request_id_is_replaced(value: str) -> None:
    found = read(("X-Request-Id", value))
    assert found.request_id == "new-request"
    assert len(found.warnings) == 1


# --- who ---


def test_a_given_id_passes_as_it_is() -> None:
    found = read(("X-PostHog-Distinct-Id", "user_8f3a"))
    assert (found.distinct_id, found.is_anonymous, found.distinct_id_hashed) == ("user_8f3a", False, False)


@pytest.mark.parametrize("given_id", ["ada@example.com", "sk-proj-abcdEFGH1234567890"])
@pytest.mark.parametrize("source", ["header", "body"])
def test_an_email_or_a_key_is_hashed(given_id: str, source: str) -> None:
    found = read(("X-PostHog-Distinct-Id", given_id)) if source == "header" else read(body=Provenance(user=given_id))
    assert given_id not in repr(found)
    assert len(found.distinct_id) == 64
    assert (found.is_anonymous, found.distinct_id_hashed) == (False, True)
    assert found.distinct_id == read(("Helicone-User-Id", given_id)).distinct_id
    other = IdentityPolicy(secret=b"another")
    assert found.distinct_id != read(("Helicone-User-Id", given_id), policy=other).distinct_id


def test_hash_mode_hashes_all_with_the_salt() -> None:
    policy = IdentityPolicy(secret=SECRET, mode="hash", salt=b"salt")
    found = read(("X-PostHog-Distinct-Id", "user_8f3a"), policy=policy)
    assert (found.distinct_id, found.distinct_id_hashed) == (hash_identity("user_8f3a", b"salt"), True)
    unsalted = IdentityPolicy(secret=SECRET, mode="hash")
    assert read(("X-PostHog-Distinct-Id", "user_8f3a"), policy=unsalted).distinct_id_hashed


def test_mode_none_takes_no_id() -> None:
    policy = IdentityPolicy(secret=SECRET, mode="none")
    assert read(("X-PostHog-Distinct-Id", "user_8f3a"), policy=policy).is_anonymous


@pytest.mark.parametrize("illegal", sorted(ILLEGAL_IDS))
def test_posthogs_illegal_ids_are_refused_in_any_case(illegal: str) -> None:
    found = read(("X-PostHog-Distinct-Id", f" {illegal.upper()} "), body=Provenance(user="real"))
    assert (found.distinct_id, found.warnings) == ("real", ("x-posthog-distinct-id:illegal_id",))


def test_ids_are_bounded_in_bytes_and_dropped_not_cut() -> None:
    assert read(("X-PostHog-Distinct-Id", "x" * 200)).distinct_id == "x" * 200
    found = read(("X-PostHog-Distinct-Id", "é" * 101))
    assert (found.is_anonymous, found.warnings) == (True, ("x-posthog-distinct-id:too_long",))


def test_no_id_gives_one_for_the_trace() -> None:
    one, same, other = read(("X-Trace-Id", "t1")), read(("X-Trace-Id", "t1")), read(("X-Trace-Id", "t2"))
    assert one.distinct_id == same.distinct_id != other.distinct_id
    assert "t1" not in one.distinct_id
    assert one.distinct_id.startswith("anon_")


def test_the_environment_is_the_keys_then_configurations_and_the_clients_only_if_allowed() -> None:
    asked = ("X-Environment", "staging")
    key = VirtualKey(alias="web", environment="development")
    assert read(asked).environment == "production"
    assert read(asked, key=key).environment == "development"
    allowing = IdentityPolicy(secret=SECRET, allow_environment_header=True)
    assert read(asked, key=key, policy=allowing).environment == "staging"
    assert read(key=key, policy=allowing).key_alias == "web"


# --- prompt hash, retries, flags, groups ---


def test_a_version_is_inferred_where_nobody_decides_on_one_later() -> None:
    infers = IdentityPolicy(secret=SECRET, infers_version=True)
    inferred = read(policy=infers, prompt_hash="sha256:0123456789abcd")
    assert (inferred.prompt_version_id, inferred.prompt_version_source) == ("fp_0123456789ab", "inferred")
    assert read(policy=infers).prompt_version_source == "missing"
    assert read(("X-Prompt-Version", "pv_1"), policy=infers, prompt_hash="sha256:aa").prompt_version_id == "pv_1"


def test_the_prompt_hash_is_the_computed_one_unless_sent() -> None:
    assert read(prompt_hash="hmac-sha256:aa").prompt_hash == "hmac-sha256:aa"
    assert read(("X-Prompt-Hash", "sha256:9f2c"), prompt_hash="hmac-sha256:aa").prompt_hash == "sha256:9f2c"
    assert read(("X-Prompt-Hash", "the whole prompt"), prompt_hash="hmac-sha256:aa").prompt_hash == "hmac-sha256:aa"


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        ([("X-Retry-Count", "3"), ("x-stainless-retry-count", "1")], 3),
        ([("x-stainless-retry-count", "0")], 0),
        ([("X-Retry-Count", "-1"), ("x-stainless-retry-count", "2")], 2),
        ([("X-Retry-Count", "\u0663")], None),
        ([("X-Retry-Count", "10000")], None),
    ],
)
def test_retries_are_small_numbers(headers: list[tuple[str, str]], count: int | None) -> None:
    assert read(*headers).retry_count == count


def test_narrowing_headers_that_are_no_numbers_are_named() -> None:
    found = read(("X-LLM-Timeout-Ms", "soon"), ("X-LLM-Max-Retries", "2"))
    assert found.warnings == ("x-llm-timeout-ms:malformed",)


def test_flags_come_in_four_forms() -> None:
    found = read(
        ("X-POSTHOG-FLAG-Third", "on"),
        ("X-PostHog-Flag", "pair"),
        ("X-PostHog-Flag-Variant", "treatment"),
        ("X-Feature-Flag-Second", "b"),
        ("X-Feature-Flag", "first=control, also=true"),
        ("X-Feature-Flag", "again=x,first=ignored"),
    )
    assert found.flags == (
        ("first", "control"),
        ("also", "true"),
        ("again", "x"),
        ("second", "b"),
        ("pair", "treatment"),
        ("third", "on"),
    )
    assert found.warnings == ()


@pytest.mark.parametrize(
    "header",
    [("X-Feature-Flag", "no-variant"), ("X-Feature-Flag", "=x"), ("X-Feature-Flag", "a b=x"), ("X-PostHog-Flag", "k"),
     ("X-PostHog-Flag-Variant", "v"), ("X-Feature-Flag-k", "")],
)  # fmt: skip
def test_incomplete_flags_are_dropped(header: tuple[str, str]) -> None:
    found = read(header)
    assert found.flags == ()
    assert len(found.warnings) == 1


def test_flags_are_bounded() -> None:
    found = read(("X-Feature-Flag", ",".join(f"k{number}=v" for number in range(30))))
    assert len(found.flags) == 20
    assert found.warnings == ("x-feature-flag:too_many",)


def test_groups() -> None:
    found = read(("X-PostHog-Groups", "company=acme, project = p1"), ("X-PostHog-Groups", "bad, =x, y="))
    assert found.groups == {"company": "acme", "project": "p1"}
    assert found.warnings == ("x-posthog-groups:malformed",)
    many = read(("X-PostHog-Groups", ",".join(f"g{number}=x" for number in range(9))))
    assert len(many.groups) == 5


# --- own properties ---


def properties(**values: Any) -> tuple[str, str]:
    return "X-PostHog-Properties", orjson.dumps(values).decode()


def test_own_properties_come_from_all_sources_by_allow_list() -> None:
    assert read(properties(plan="pro")).properties == {"plan": "pro"}
    for name in ("X-LLM-Property-Plan", "X-POSTHOG-PROPERTY-PLAN", "Helicone-Property-Plan"):
        assert read((name, "pro")).properties == {"plan": "pro"}
    for name in ("x-portkey-metadata", "cf-aig-metadata"):
        assert read((name, '{"plan":"pro"}')).properties == {"plan": "pro"}
    assert read(("X-LLM-Property-Ticket-Id-Hash", "t")).properties == {"ticket_id_hash": "t"}
    both = read(("cf-aig-metadata", '{"plan":"c"}'), ("X-LLM-Property-plan", "b"), properties(plan="a", feature=True))
    assert both.properties == {"plan": "a", "feature": True}


def test_scalars_pass_and_nothing_else_does() -> None:
    assert read(properties(plan=3)).properties == {"plan": 3}
    assert read(properties(plan=0.5)).properties == {"plan": 0.5}
    assert read(properties(plan=None)).properties == {}
    for nested in ({"a": 1}, ["CANARY"]):
        assert read(properties(plan=nested)).warnings == ("x-posthog-properties:not_scalar",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"other": "CANARY"}', "not_allowed"),
        ('{"$set": "CANARY"}', "reserved"),
        ('{"distinct_id": "CANARY"}', "reserved"),
        ('{"estimated_cost_usd": 0}', "reserved"),
        ('{"token": "CANARY"}', "reserved"),
        ('{"plan": "' + "x" * 201 + '"}', "too_long"),
        ('{"plan": "a\\u0000b"}', "control_characters"),
        ('{"plan": "sk-proj-abcdEFGH1234567890"}', "secret"),
        ('["CANARY"]', "malformed"),
        ("{CANARY", "malformed"),
        ('{"plan": "\udce9"}', "malformed"),
        ('{"plan": "' + "x" * 8_192 + '"}', "too_long"),
    ],
)
def test_what_may_not_be_sent_is_dropped_and_named(value: str, reason: str) -> None:
    policy = IdentityPolicy(secret=SECRET, allowed_properties=POLICY.allowed_properties | {"$set", "token"})
    found = read(("X-PostHog-Properties", value), policy=policy)
    assert found.properties == {}
    assert found.warnings == (f"x-posthog-properties:{reason}",)
    assert "CANARY" not in repr(found)


def test_properties_are_bounded_in_number() -> None:
    names = [f"p{number}" for number in range(60)]
    policy = IdentityPolicy(secret=SECRET, allowed_properties=frozenset(names))
    found = read(properties(**dict.fromkeys(names, 1)), policy=policy)
    assert len(found.properties) == 50
    assert found.warnings == ("x-posthog-properties:too_many",)


def test_a_wrapper_of_posthog_s_is_named_where_it_would_count_twice() -> None:
    wrapped = ("User-Agent", "PostHogOpenAI/JS 6.49.0")
    assert read(wrapped).warnings == (WARNING,)
    assert read(wrapped, policy=replace(POLICY, warns_of_wrappers=False)).warnings == ()


NAMES = st.sampled_from(
    ["X-Prompt-Version", "X-Feature-Flag", "X-PostHog-Distinct-Id", "traceparent", "X-PostHog-Properties",
     "X-PostHog-Groups", "X-Retry-Count", "X-Request-Id", "X-LLM-Property-Plan", "x-portkey-metadata",
     "X-Feature-Flag-", "X-POSTHOG-FLAG-\udcff", "X-Trace-Id", "X-Environment"]
)  # fmt: skip
TEXT = st.text(st.characters(codec=None) | st.sampled_from(string.punctuation), max_size=30)


@given(headers=st.lists(st.tuples(NAMES, TEXT), max_size=8), user=TEXT, value=TEXT)
def test_nothing_that_a_client_sends_raises_or_repeats_what_was_refused(
    headers: list[tuple[str, str]], user: str, value: str
) -> None:
    found = read(*headers, body=Provenance(user=user, metadata={"trace_id": value}))
    for warning in found.warnings:
        source, _, reason = warning.partition(":")
        assert source.replace("-", "").replace(".", "").replace("_", "").isalnum()
        assert reason.replace("_", "").isalpha()
    for text in (found.distinct_id, found.trace_id, found.request_id, found.environment):
        text.encode()
        assert text
        assert text.isprintable() or not any(ord(char) < 32 for char in text)
