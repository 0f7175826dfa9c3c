"""Calls that ask for a managed prompt, from their body to what the provider and the events see."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest, Forbidden, RequestError, UnknownModel
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.prompts import ManagedPrompt, Mode, PromptBook, PromptVersion
from proxy.domain.request_facts import read_all_facts
from proxy.domain.rollout import Rollout, Split
from proxy.domain.routing import Route, Target
from proxy.pipeline.admit import LARGE_BODY_BYTES
from proxy.pipeline.handle import endpoint_of
from tests.pipeline.fakes import OPENAI, OURS, SECRET, World, call, plain, request, snapshot, world

USER = {"role": "user", "content": "hi"}
V1 = PromptVersion(id="pv_1", text="Help {{who}} with {{product}}.", model="gpt-4.1-mini")
V2 = PromptVersion(id="pv_2", text="Be terse.", role="developer", model="gpt-4.1", parameters={"temperature": 0.2})
SUPPORT = ManagedPrompt(
    name="support",
    versions={"pv_1": V1, "pv_2": V2},
    default="pv_1",
    variables={"who": "them", "product": "Promptlane"},
)
HALVES = Rollout(flag="support", default="pv_1", split=Split.of({"pv_1": Decimal(50), "pv_2": Decimal(50)}))
NAMED = ("X-Prompt-Name", "support")
OURS_FIRST = {"role": "system", "content": "Help them with Promptlane."}


def configured(*routes: Route, **changes: Any) -> Any:
    return replace(snapshot(*routes), prompts=PromptBook(prompts={"support": replace(SUPPORT, **changes)}))


def split() -> Any:
    return configured(rollout=HALVES, variants={"pv_1": "pv_1", "pv_2": "pv_2"})


def asked(body: Mapping[str, Any], *headers: tuple[str, str], target: str = "/v1/chat/completions") -> Any:
    return request(body, target=target, headers=[("Authorization", "Bearer sk-theirs"), *headers])


def sent(made: World) -> Any:
    return orjson.loads(made.upstream.bodies[0])


async def refused(made: World, raw: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await call(made, raw)
    assert made.upstream.bodies == []
    return caught.value


async def test_a_named_prompt_runs_in_its_default_version_and_says_so() -> None:
    made = world(plain(), configured=configured())
    answer = await call(made, asked({"model": "gpt-4.1", "messages": [USER], "tools": []}, NAMED))
    assert sent(made) == {"model": "gpt-4.1-mini", "messages": [OURS_FIRST, USER], "tools": []}
    assert answer.headers["x-prompt-version"] == "pv_1"
    assert answer.headers["x-llm-model"] == "gpt-4.1-mini"
    started, end = made.journal.events("llm_request_started")[0]["properties"], made.journal.end()
    for said in (started, end):
        assert said["prompt_name"] == "support"
        assert said["prompt_version_id"] == "pv_1"
        assert said["prompt_version_source"] == "rollout"
        assert (said["requested_model"], said["model"]) == ("gpt-4.1", "gpt-4.1-mini")
    assert end["cost_status"] == "priced"
    assert "analytics_warnings" not in end or end["analytics_warnings"] == []


async def test_what_is_told_of_the_call_is_what_ran() -> None:
    made = world(plain(), configured=configured(default="pv_2"))
    body = {"model": "m", "messages": [{"role": "system", "content": "x"}, USER], "temperature": 1}
    raw = asked(body, NAMED, ("X-Prompt-Hash", "of-what-did-not-run"))
    await call(made, raw)
    hashing = PromptHashing(mode="hmac-sha256", secret=SECRET)
    provenance = read_all_facts(made.upstream.bodies[0], endpoint_of(raw), hashing).provenance
    assert provenance is not None
    end = made.journal.end()
    assert end["prompt_hash"] == provenance.prompt_hash
    assert (end["temperature"], end["message_count"]) == (0.2, 2)


async def test_a_model_may_ask_for_the_prompt_and_the_version_names_the_model() -> None:
    made = world(plain(), configured=configured())
    await call(made, asked({"model": "prompt/support", "messages": [USER]}, ("X-Prompt-Name", "another")))
    assert sent(made)["model"] == "gpt-4.1-mini"
    end = made.journal.end()
    assert (end["requested_model"], end["prompt_name"]) == ("prompt/support", "support")


async def test_the_version_s_model_is_routed_as_any_other() -> None:
    alias = Route(pattern="gpt-4.1-mini", targets=(Target(provider=OPENAI, model="gpt-4.1-mini-2025"),))
    made = world(plain(), configured=configured(alias))
    await call(made, asked({"model": "prompt/support", "messages": [USER]}))
    assert sent(made)["model"] == "gpt-4.1-mini-2025"
    assert made.journal.end()["target"] == "openai/gpt-4.1-mini-2025"


async def test_a_key_s_list_is_about_the_name_that_the_caller_used() -> None:
    route = Route(pattern="gpt-*", targets=(Target(provider=OURS),))
    made = world(plain(), configured=configured(route))
    raw = request({"model": "prompt/support", "messages": [USER]}, headers=[("Authorization", "Bearer plk_web")])
    assert isinstance(await refused(made, raw), Forbidden)


async def test_other_calls_pass_byte_for_byte() -> None:
    made = world(plain(), configured=configured())
    body = b' {"model":"gpt-4.1-mini", "messages":[], "prompt_variables":{"who":"x"}} '
    await call(made, request(body, headers=[("X-Prompt-Name", "unmanaged")]))
    assert made.upstream.bodies == [body]
    assert made.journal.end()["prompt_version_source"] != "rollout"


async def test_variables_come_in_the_body_and_stay_here() -> None:
    made = world(plain(), configured=configured())
    values = {"who": "Ada {{product}}", "secret": "x"}
    await call(made, asked({"model": "m", "prompt_variables": values, "messages": [USER]}, NAMED))
    assert sent(made)["messages"][0]["content"] == "Help Ada {{product}} with Promptlane."
    assert "prompt_variables" not in sent(made)
    assert made.journal.end()["analytics_warnings"] == ["prompt_variables:not_allowed"]


async def test_values_leave_no_trace_but_in_the_call() -> None:
    hashes = set()
    for name in ("CANARY-1", "CANARY-2"):
        made = world(plain(), configured=configured())
        body = {"model": "m", "prompt_variables": {"who": name}, "messages": [USER]}
        await call(made, asked(body, NAMED))
        hashes.add(made.journal.end()["prompt_hash"])
        assert b"CANARY" in made.upstream.bodies[0]
        assert "CANARY" not in repr((made.journal, made.observed))
        assert "Help" not in repr((made.journal, made.observed))
    assert len(hashes) == 1


async def test_a_missing_variable_is_the_caller_s_fault() -> None:
    made = world(configured=configured(variables={"who": None, "product": "x"}))
    error = await refused(made, asked({"model": "m", "messages": [USER]}, NAMED))
    assert (error.code, "needs who:" in error.public_message) == ("prompt_variable_missing", True)
    end = made.journal.end()
    assert (end["status"], end["failed_phase"]) == ("error", "admit")


@pytest.mark.parametrize("model", ["m", "prompt/support"])
async def test_what_a_version_refuses_counts_for_the_version(model: str) -> None:
    """Else a version that nobody can call would look like one that never fails."""
    versions = {name: PromptVersion(id=name, text="{{who}}", model="m") for name in ("pv_1", "pv_2")}
    halves = configured(
        versions=versions, variables={"who": None}, rollout=HALVES, variants={"pv_1": "pv_1", "pv_2": "pv_2"}
    )
    made = world(configured=halves)
    headers = [("X-PostHog-Distinct-Id", "user_1"), *([NAMED] if model == "m" else [])]
    await refused(made, asked({"model": model, "messages": [USER]}, *headers))
    end = made.journal.end()
    assert (end["prompt_name"], end["prompt_version_id"]) == ("support", end["posthog_flag_variant"])
    (exposure,) = (orjson.loads(event.body) for outcome in made.journal.outcomes for event in outcome.events)
    assert exposure["properties"]["prompt_version_id"] == end["prompt_version_id"]


async def test_a_response_may_say_both_in_openai_s_own_reference() -> None:
    made = world(plain(), configured=configured())
    reference = {"id": "support", "variables": {"who": "Ada"}}
    await call(made, asked({"prompt": reference, "input": "hi"}, target="/v1/responses"))
    assert sent(made) == {"input": "hi", "instructions": "Help Ada with Promptlane.", "model": "gpt-4.1-mini"}
    assert made.journal.end()["prompt_version_id"] == "pv_1"


async def test_a_reference_to_a_prompt_of_openai_s_passes() -> None:
    made = world(plain(), configured=configured())
    body = {"prompt": {"id": "pmpt_1", "version": "2"}, "input": "hi", "model": "m"}
    await call(made, asked(body, target="/v1/responses"))
    assert sent(made) == body
    await call(world(plain(), configured=configured()), asked(body, NAMED, target="/v1/responses"))


async def test_a_split_decides_by_the_person_and_stays_with_them() -> None:
    seen: dict[str, set[str]] = {}
    for user in [f"user_{number}" for number in range(12)] * 2:
        made = world(plain(), configured=split())
        answer = await call(made, asked({"model": "m", "messages": [USER]}, NAMED, ("X-PostHog-Distinct-Id", user)))
        end = made.journal.end()
        assert end["prompt_version_id"] == answer.headers["x-prompt-version"] == end["$feature/support"]
        assert end["posthog_flag_source"] == "assigned"
        assert answer.headers["x-feature-flag"] == f"support={end['prompt_version_id']}"
        assert (sent(made)["model"] == "gpt-4.1") == (end["prompt_version_id"] == "pv_2")
        seen.setdefault(user, set()).add(end["prompt_version_id"])
    assert all(len(versions) == 1 for versions in seen.values())
    assert set.union(*seen.values()) == {"pv_1", "pv_2"}


async def test_without_posthog_a_flag_runs_the_default_and_the_event_says_why() -> None:
    flag = Rollout(flag="support-test", default="control")
    made = world(plain(), configured=configured(rollout=flag, variants={"control": "pv_1", "treatment": "pv_2"}))
    asserted = ("X-Feature-Flag", "support-test=treatment")
    await call(made, asked({"model": "m", "messages": [USER]}, NAMED, asserted))
    end = made.journal.end()
    assert (end["prompt_version_id"], end["prompt_version_source"]) == ("pv_1", "rollout")
    assert (end["posthog_flag_source"], end["posthog_flag_reason"]) == ("default", "not_configured")


@pytest.mark.parametrize(
    ("headers", "metadata", "source"),
    [([("X-Prompt-Version", "pv_2")], {}, "header"), ([], {"prompt_version_id": "pv_2"}, "body")],
)
async def test_a_call_may_name_its_version(headers: Any, metadata: Any, source: str) -> None:
    made = world(plain(), configured=split())
    await call(made, asked({"model": "m", "messages": [USER], "metadata": metadata}, NAMED, *headers))
    assert sent(made)["messages"][0] == {"role": "developer", "content": "Be terse."}
    end = made.journal.end()
    assert (end["prompt_version_id"], end["prompt_version_source"]) == ("pv_2", source)
    assert "posthog_flag" not in end


async def test_a_version_that_is_not_known_stays_the_client_s_word() -> None:
    made = world(plain(), configured=split())
    body = {"model": "m", "messages": [USER]}
    await call(made, asked(body, NAMED, ("X-Prompt-Version", "mine")))
    assert sent(made) == body
    end = made.journal.end()
    assert (end["prompt_version_id"], end["prompt_version_source"]) == ("mine", "header")
    assert end["analytics_warnings"] == ["prompt_version:unknown"]
    assert "posthog_flag" not in end


@pytest.mark.parametrize("mode", ["replace", "prepend", "fill"])
@pytest.mark.parametrize("body", [{"model": "m", "input": "text"}, {"model": "m", "messages": "?"}])
async def test_a_call_without_a_place_for_instructions_goes_on_as_it_is(mode: Mode, body: dict[str, Any]) -> None:
    rollout = {"rollout": HALVES, "variants": {"pv_1": "pv_1", "pv_2": "pv_2"}}
    made = world(plain(), configured=configured(mode=mode, **rollout))
    target = "/v1/embeddings" if "input" in body else "/v1/chat/completions"
    await call(made, asked(body, NAMED, target=target))
    assert sent(made) == body
    end = made.journal.end()
    assert end["prompt_name"] == "support"
    assert end["prompt_version_source"] in ("missing", "inferred")
    assert end["analytics_warnings"] == ["prompt:no_place"]
    assert "posthog_flag" not in end
    assert made.journal.outcomes == []


@pytest.mark.parametrize(
    ("model", "headers", "changes", "target", "error", "code"),
    [
        ("prompt/suport", [], {}, "chat/completions", UnknownModel, "unknown_prompt"),
        ("prompt/support", [], {}, "embeddings", BadRequest, "prompt_no_place"),
        ("prompt/support", [("X-Prompt-Version", "v9")], {}, "chat/completions", BadRequest, "prompt_version_unknown"),
        (
            "prompt/support",
            [],
            {"versions": {"pv_1": replace(V1, model=None)}},
            "chat/completions",
            BadRequest,
            "prompt_has_no_model",
        ),
    ],
)
async def test_a_model_that_is_nothing_without_its_prompt_is_refused(
    model: str, headers: Any, changes: Any, target: str, error: type[RequestError], code: str
) -> None:
    made = world(configured=configured(**changes))
    caught = await refused(made, asked({"model": model, "messages": [USER]}, *headers, target=f"/v1/{target}"))
    assert (type(caught), caught.code) == (error, code)


async def test_a_reference_to_a_version_that_is_not_known_is_refused() -> None:
    """OpenAI has no prompt of this name either."""
    made = world(configured=configured())
    error = await refused(made, asked({"prompt": {"id": "support", "version": "9"}}, target="/v1/responses"))
    assert error.code == "prompt_version_unknown"


async def test_a_label_changes_no_byte_and_no_model() -> None:
    made = world(plain(), configured=configured(mode="label"))
    body = b' {"model":"m", "messages":[ ], "prompt" : {"id":1}} '
    await call(made, request(body, headers=[NAMED]))
    assert made.upstream.bodies == [body]
    end = made.journal.end()
    assert (end["prompt_version_id"], end["prompt_version_source"]) == ("pv_1", "rollout")
    assert end["model"] == "gpt-4.1-mini"  # as the reply says


async def test_a_version_that_sets_nothing_leaves_the_call_s_own_prompt() -> None:
    made = world(plain(), configured=configured(versions={"pv_1": PromptVersion(id="pv_1")}))
    body = b' {"model":"m", "messages":[{"role":"system","content":"x"} ], "prompt_variables":{} } '
    await call(made, request(body, headers=[NAMED, ("X-Prompt-Hash", "mine")]))
    assert made.upstream.bodies == [body.replace(b', "prompt_variables":{}', b"")]
    end = made.journal.end()
    assert (end["prompt_version_id"], end["prompt_hash"]) == ("pv_1", "mine")


async def test_a_label_fits_any_call() -> None:
    made = world(plain(), configured=configured(mode="label"))
    await call(made, request({"model": "m", "input": "x"}, target="/v1/embeddings", headers=[NAMED]))
    assert made.journal.end()["prompt_version_id"] == "pv_1"
    made = world(plain(), configured=configured(mode="label"))
    await call(made, request(b"--x", target="/v1/audio/transcriptions", headers=[NAMED]))
    assert made.journal.end()["prompt_version_id"] == "pv_1"


async def test_filling_leaves_what_the_call_says() -> None:
    made = world(plain(), configured=configured(mode="fill", default="pv_2"))
    body = {"model": "m", "messages": [{"role": "system", "content": "x"}], "temperature": 1}
    await call(made, asked(body, NAMED))
    assert sent(made) == body
    made = world(plain(), configured=configured(mode="fill", default="pv_2"))
    await call(made, asked({"input": "x"}, NAMED, target="/v1/responses"))
    assert sent(made) == {"input": "x", "instructions": "Be terse.", "temperature": 0.2, "model": "gpt-4.1"}


async def test_a_large_body_is_edited_elsewhere() -> None:
    made = world(plain(), configured=configured(default="pv_2"))
    body = orjson.dumps({"model": "prompt/support", "messages": [{"role": "user", "content": "x" * LARGE_BODY_BYTES}]})
    asked_for: list[int] = []
    whole = made.services.edit_elsewhere

    async def edit(data: bytes, *rest: Any) -> Any:
        asked_for.append(len(data))
        return await whole(data, *rest)

    made.services.edit_elsewhere = edit
    await call(made, request(body))
    assert asked_for == [len(body)]
    assert made.upstream.bodies[0] == body.replace(
        b'[{"role"', b'[{"role":"developer","content":"Be terse."},{"role"'
    ).replace(b'"prompt/support"', b'"gpt-4.1"').replace(b"]}", b'],"temperature":0.2}')
    assert made.journal.end()["temperature"] == 0.2


async def test_an_edited_body_goes_up_without_its_encoding() -> None:
    made = world(plain(), configured=configured())
    raw = request(b'gzip{"model":"m","messages":[]}', headers=[NAMED, ("Content-Encoding", "gzip")])
    await call(made, raw)
    assert sent(made)["messages"] == [OURS_FIRST]
    assert "content-encoding" not in {name.lower() for name, _ in made.upstream.requests[0].headers}


async def test_a_gemini_call_is_sent_to_the_version_s_model() -> None:
    google = replace(OPENAI, name="google", kind="gemini", dialect=Dialect.GEMINI, base_url="http://g.test")
    route = Route(pattern="gpt-4.1-mini", targets=(Target(provider=google),))
    made = world(plain(), configured=configured(route))
    await call(made, request({"contents": []}, target="/v1beta/models/gemini-3:generateContent", headers=[NAMED]))
    assert made.upstream.requests[0].url == "http://g.test/v1beta/models/gpt-4.1-mini:generateContent"
    assert sent(made) == {
        "contents": [],
        "systemInstruction": {"parts": [{"text": "Help them with Promptlane."}]},
    }
