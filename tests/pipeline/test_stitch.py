from typing import Any

import orjson
import pytest

from proxy.domain.stitching import MOST_FOLLOWERS
from tests.pipeline.fakes import FakeSharedMemory, ScriptedReply, World, call, event, request, streamed, world

Json = dict[str, Any]
AUTH = ("Authorization", "Bearer sk-theirs")
USER = ("X-PostHog-Distinct-Id", "user_1")
TASK: Json = {"role": "user", "content": "Is it raining in Paris?"}
CALL_ID, OTHER_ID = "call_7Gk2aVbQ0pLm3nXyZ1cD", "call_Zz91aVbQ0pLm3nXyZ1cD"


def wants(call_id: str = CALL_ID, name: str = "get_weather", arguments: str = '{"city":"Paris"}') -> Json:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def says(text: str) -> Json:
    return {"role": "assistant", "content": text}


def result(call_id: str = CALL_ID, content: str = "21 degrees") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def reply(message: Json, status: int = 200) -> ScriptedReply:
    document = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return ScriptedReply(status=status, steps=(orjson.dumps(document),))


def response(reply_id: str, *output: Json) -> ScriptedReply:
    return ScriptedReply(steps=(orjson.dumps({"id": reply_id, "status": "completed", "output": list(output)}),))


async def send(made: World, *messages: Json, headers: tuple[tuple[str, str], ...] = (AUTH,), **more: Any) -> Json:
    """Have one call made; what its end says."""
    body = {"model": "gpt-4.1-mini", "messages": list(messages), **more}
    await call(made, request(body, headers=headers))
    return last_end(made)


async def respond(made: World, **body: Any) -> Json:
    await call(made, request({"model": "gpt-5", **body}, target="/v1/responses"))
    return last_end(made)


def last_end(made: World) -> Json:
    told: Json = orjson.loads(made.journal.closings[-1].events[0].body)["properties"]
    return told


def another_worker(made: World, *replies: ScriptedReply) -> World:
    """A proxy that shares nothing with the first but its memory."""
    other = world(*replies)
    other.services.shared = made.services.shared
    return other


async def test_a_result_leads_to_the_trace_in_which_the_tool_was_called() -> None:
    made = world(reply(wants()))
    first = await send(made, TASK)
    second = await send(
        another_worker(made, reply(says("No."))), {"role": "user", "content": "edited"}, wants(), result()
    )
    assert (first["trace_source"], second["trace_source"]) == ("new", "tool_call")
    assert second["trace_id"] == first["trace_id"]


async def test_calls_without_a_user_have_the_id_of_the_traces_beginning() -> None:
    made = world(reply(wants()), reply(says("No.")))
    await send(made, TASK)
    await send(made, TASK, wants(), result())
    ids = {orjson.loads(row.events[0].body)["distinct_id"] for row in made.journal.closings}
    assert len(ids) == 1


async def test_a_conversation_that_goes_on_is_one_trace() -> None:
    made = world(streamed(), reply(says("It rains.")))
    first = await send(made, TASK, stream=True)
    second = await send(made, TASK, says("Hello."), {"role": "user", "content": "And in Rome?"})
    assert (second["trace_id"], second["trace_source"]) == (first["trace_id"], "prefix")


async def test_responses_name_the_one_before() -> None:
    made = world(response("resp_1"), response("resp_2"), response("resp_3"))
    first = await respond(made, input="hi", conversation="conv_1")
    second = await respond(made, input="more", previous_response_id="resp_1")
    third = await respond(made, input="more", conversation={"id": "conv_1"})
    assert {first["trace_id"], second["trace_id"], third["trace_id"]} == {first["trace_id"]}
    assert second["trace_source"] == third["trace_source"] == "response"


async def test_what_the_caller_says_counts_and_is_remembered_too() -> None:
    made = world(reply(wants()), reply(says("No.")), reply(says("No.")))
    await send(made, TASK, headers=(AUTH, ("X-Trace-Id", "mine")))
    joined = await send(made, TASK, wants(), result())
    named = await send(made, TASK, wants(), result(), headers=(AUTH, ("X-Trace-Id", "another")))
    assert (joined["trace_id"], joined["trace_source"]) == ("mine", "tool_call")
    assert (named["trace_id"], named["trace_source"]) == ("another", "header")


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ((("X-Portkey-Trace-Id", "t"),), "header"),
        ((("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"),), "traceparent"),
        ((), "body"),
    ],
)
async def test_where_the_caller_says_it(headers: tuple[tuple[str, str], ...], source: str) -> None:
    made = world(reply(says("No.")))
    more = {} if headers else {"metadata": {"trace_id": "t"}}
    assert (await send(made, TASK, headers=(AUTH, *headers), **more))["trace_source"] == source


@pytest.mark.parametrize("other", [("Authorization", "Bearer sk-others"), ("Authorization", "Bearer plk_web")])
async def test_tenants_never_join(other: tuple[str, str]) -> None:
    made = world(reply(wants()), reply(says("No.")))
    first = await send(made, TASK)
    second = await send(made, TASK, wants(), result(), headers=(other,))
    assert second["trace_source"] == "new"
    assert second["trace_id"] != first["trace_id"]
    assert made.journal.outcomes == []


async def test_users_who_say_and_are_told_the_same_do_not_join() -> None:
    again = [TASK, says("Hello."), {"role": "user", "content": "And in Rome?"}]
    made = world(*[reply(says("Hello.")) for _ in range(6)])
    await send(made, TASK, headers=(AUTH, USER))
    assert (await send(made, *again))["trace_source"] == "new"
    await send(made, TASK)
    await send(made, TASK)
    assert (await send(made, *again, TASK))["trace_source"] == "new"
    assert (await send(made, *again, headers=(AUTH, USER)))["trace_source"] == "prefix"


@pytest.mark.parametrize(("headers", "most"), [((AUTH,), 1), ((AUTH, USER), MOST_FOLLOWERS + 1)])
async def test_an_example_before_every_request_draws_few_of_them_together(
    headers: tuple[tuple[str, str], ...], most: int
) -> None:
    made = world(*[reply(says(f"answer {number}")) for number in range(12)])
    await send(made, TASK, headers=headers)
    sources = []
    for item in (0, 0, 1, 2, 3, 4):
        again: Json = {"role": "user", "content": f"item {item}"}
        sources.append((await send(made, TASK, says("answer 0"), again, headers=headers))["trace_source"])
    assert sources.count("prefix") == most


async def test_a_retry_that_says_so_goes_on_with_the_trace_that_failed() -> None:
    made = world(ScriptedReply(status=500, steps=(b"{}",)), reply(says("No.")), reply(says("No.")))
    retry = ("x-stainless-retry-count", "1")
    first = await send(made, TASK)
    second = await send(made, TASK, headers=(AUTH, retry))
    third = await send(made, {"role": "user", "content": "other"}, headers=(AUTH, retry))
    assert (second["trace_id"], second["trace_source"]) == (first["trace_id"], "retry")
    assert third["trace_source"] == "new"


async def test_a_step_is_reported_once_whoever_brings_its_result() -> None:
    made = world(reply(wants()))
    await send(made, TASK)
    told: list[Json] = []
    for _ in range(2):
        other = another_worker(made, reply(says("No.")))
        await send(other, TASK, wants(), result(content="Error: no such city"))
        told += other.journal.events("llm_agent_step")
    (step,) = told
    asking = made.journal.closings[0]
    expected = {
        "tool_name": "get_weather", "step_index": 1, "retry_count": 0, "step_status": "error",
        "step_status_source": "heuristic", "exchange_id": asking.exchange_id, "trace_id": asking.trace_id,
    }  # fmt: skip
    assert {name: step["properties"].get(name) for name in expected} == expected


async def test_a_call_that_is_made_again_is_a_retry_of_itself() -> None:
    again = wants(OTHER_ID, arguments='{ "city": "Paris" }')
    made = world(reply(wants()), reply(again), reply(says("No.")))
    await send(made, TASK)
    await send(made, TASK, wants(), result())
    await send(made, TASK, wants(), result(), again, result(OTHER_ID))
    steps = [step["properties"] for step in made.journal.events("llm_agent_step")]
    assert [(step["step_index"], step["retry_count"]) for step in steps] == [(1, 0), (2, 1)]


async def test_calls_of_one_reply_share_its_step() -> None:
    both = {**wants(), "tool_calls": [*wants()["tool_calls"], *wants(OTHER_ID, "get_time")["tool_calls"]]}
    made = world(reply(both), reply(says("No.")))
    await send(made, TASK)
    await send(made, TASK, both, result(), result(OTHER_ID))
    steps = [step["properties"] for step in made.journal.events("llm_agent_step")]
    assert [(step["tool_name"], step["step_index"]) for step in steps] == [("get_weather", 1), ("get_time", 1)]
    assert len(made.journal.events("$ai_span")) == 2


async def test_ids_that_a_server_counts_are_told_apart_by_the_conversation() -> None:
    counted = wants("functions.get_weather:0")
    other = {"role": "user", "content": "Is it raining in Rome?"}
    made = world(reply(counted), reply(counted), reply(says("No.")), reply(says("No.")))
    traces = [(await send(made, question))["trace_id"] for question in (TASK, other)]
    found = [
        (await send(made, question, counted, result("functions.get_weather:0")))["trace_id"]
        for question in (TASK, other)
    ]
    assert found == traces
    steps = [step["properties"]["exchange_id"] for step in made.journal.events("llm_agent_step")]
    assert steps == [closing.exchange_id for closing in made.journal.closings[:2]]


async def test_a_stream_is_known_again_before_it_is_settled_later() -> None:
    """The next request may be at another worker before this one has written its events."""
    piece = {"index": 0, "id": CALL_ID, "function": {"name": "get_weather", "arguments": "{}"}}
    delta = {"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": "tool_calls"}
    made = world(streamed(event({"id": "c", "model": "m", "choices": [delta]}), b"data: [DONE]\n\n"))
    waiting: list[Any] = []
    made.services.later = waiting.append
    await call(made, request({"model": "gpt-4.1-mini", "stream": True, "messages": [TASK]}))
    assert waiting
    second = await send(another_worker(made, reply(says("No."))), TASK, wants(), result())
    assert second["trace_source"] == "tool_call"


async def test_the_same_request_of_the_same_user_is_a_repeat() -> None:
    made = world(*[reply(says("No.")) for _ in range(4)])
    counts = [(await send(made, TASK, headers=(AUTH, USER))).get("repeat_count") for _ in range(3)]
    assert counts == [0, 1, 2]
    assert "repeat_count" not in await send(made, TASK)


class Broken(FakeSharedMemory):
    """Fails whenever it is asked."""

    def recall(self, key: bytes) -> bytes | None:
        raise RuntimeError("a bug")


async def test_a_bug_in_here_costs_no_call(caplog: pytest.LogCaptureFixture) -> None:
    made = world(reply(wants()), reply(says("No.")))
    made.services.shared = Broken()
    await send(made, TASK)
    end = await send(made, TASK, wants(), result(), headers=(AUTH, USER))
    assert (end["status"], end["trace_source"]) == ("success", "new")
    assert {record.message for record in caplog.records} == {
        "a trace could not be stitched", "a reply could not be remembered",
    }  # fmt: skip


async def test_nothing_of_the_content_is_remembered() -> None:
    made = world(reply(wants()), reply(says("It rains.")))
    await send(made, TASK)
    await send(made, TASK, wants(), result())
    assert isinstance(made.services.shared, FakeSharedMemory)
    kept = b"".join(made.services.shared.values()) + b"".join(made.services.shared)
    assert b"get_weather" in kept
    assert not [word for word in (b"Paris", b"raining", b"degrees", b"rains") if word in kept]
