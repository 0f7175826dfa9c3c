import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain.context_token import sign_context
from proxy.domain.errors import BadRequest, Conflict, Overloaded, TooLarge, Unauthenticated
from proxy.domain.events import EventPolicy, closing, opening, recorded
from proxy.domain.feedback_token import sign_feedback
from proxy.domain.ids import request_id_of
from proxy.domain.outcome_context import Found
from proxy.domain.outcomes import BadOutcome, Reference, Verb
from proxy.pipeline import outcome
from proxy.pipeline.outcome import Heard, OutcomeServices, Receipt, hear, tell
from tests.harness.exchanges import EXCHANGE_ID, attempt, caller, finished, running
from tests.pipeline.fakes import SECRET, FakeSharedMemory, SteppingClock, World, request, snapshot, world
from tests.pipeline.outcome_fakes import FakeFinder, outcome_services

RATING: dict[str, object] = {"trace_id": "trace_1", "user_feedback": "positive"}
HOST = ("Host", "127.0.0.1:4000")
KEY = ("Authorization", "Bearer plk_web")
ENDED = recorded(closing(finished(caller=caller(prompt_name="p", key_alias="web")), EventPolicy()).record)
BEGUN = orjson.loads(opening(running(caller=caller(prompt_name="p")), EventPolicy()).facts)
FOUND = Found(meant=ENDED, trace=(ENDED,))


class Desk:
    """One proxy that takes outcomes, and what it was asked and made."""

    def __init__(self, *answers: Found, made: World | None = None, **more: Any) -> None:
        self.made = made or world()
        self.finder = FakeFinder(list(answers) or [Found()])
        self.counts: Counter[tuple[str, str]] = Counter()
        self.services: OutcomeServices = outcome_services(
            self.made.services,
            self.finder,
            count=lambda verb, result: self.counts.update([(verb, result)]),
            **{"is_loopback": True, **more},
        )

    async def take(self, body: Any, *headers: tuple[str, str], verb: Verb = Verb.FEEDBACK) -> Receipt:
        raw = request(body, target=f"/analytics/v1/{verb}", headers=(HOST, *headers))
        return await tell(await hear(raw, verb, self.services), self.services)

    def told(self, name: str = "llm_output_rated") -> list[dict[str, Any]]:
        return self.made.journal.events(name)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks again at once, and gives up soon."""
    monkeypatch.setattr(outcome, "PAUSE_S", 0.0001)
    monkeypatch.setattr(outcome, "RUNNING_S", 0.05)
    monkeypatch.setattr(outcome, "UNKNOWN_S", 0.05)


@pytest.fixture
def patient(hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up as late as if it never did."""
    monkeypatch.setattr(outcome, "RUNNING_S", 60)
    monkeypatch.setattr(outcome, "UNKNOWN_S", 60)


async def test_an_outcome_is_joined_to_its_call() -> None:
    desk = Desk(FOUND)
    receipt = await desk.take(RATING)
    (rated,) = desk.told()
    assert receipt == Receipt(uuids=[rated["uuid"]], context_found=[True], is_repeated=False)
    assert (rated["distinct_id"], rated["properties"]["prompt_name"]) == ("user_8f3a", "p")
    assert (rated["properties"]["request_count"], rated["properties"]["estimated_cost_usd"]) == (1, 0.0048)
    assert desk.counts == {("feedback", "found"): 1}
    (row, *_) = desk.made.journal.outcomes
    assert (row.exchange_id, row.trace_id) == (EXCHANGE_ID, "trace_1")


async def test_of_an_unknown_call_it_is_told_all_the_same() -> None:
    desk = Desk()
    receipt = await desk.take(RATING)
    assert receipt.context_found == [False]
    assert desk.told()[0]["properties"]["context_found"] is False
    assert desk.counts == {("feedback", "unknown"): 1}
    assert len(desk.finder.asked) > 1


@pytest.mark.usefixtures("patient")
async def test_a_call_that_was_just_written_is_looked_for_again() -> None:
    desk = Desk(Found(), Found(), FOUND)
    assert (await desk.take(RATING)).context_found == [True]
    assert len(desk.finder.asked) == 3


RUNS = Found(meant=BEGUN, trace=(BEGUN,), is_running=True)


@pytest.mark.usefixtures("patient")
async def test_the_end_of_a_call_that_runs_is_waited_for() -> None:
    desk = Desk(RUNS, FOUND)
    await desk.take(RATING)
    assert desk.told()[0]["properties"]["latency_ms"] == 1840.0


async def test_a_call_that_goes_on_running_is_told_as_far_as_it_is_known() -> None:
    slow = Desk(RUNS)
    await slow.take(RATING)
    said = slow.told()[0]["properties"]
    assert (said["prompt_name"], said["request_count"], "latency_ms" in said) == ("p", 1, False)


async def test_a_disk_that_does_not_answer_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(FakeFinder):
        async def find(self, *_: Any) -> Sequence[Found]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(outcome, "LOOK_S", 0.01)
    desk = Desk()
    desk.services = replace(desk.services, finder=Stuck())
    assert (await desk.take(RATING)).context_found == [False]


async def test_a_trace_of_too_many_calls_has_no_sums() -> None:
    desk = Desk(replace(FOUND, is_whole=False))
    await desk.take(RATING)
    said = desk.told()[0]["properties"]
    assert (said["context_found"], "request_count" in said) == (True, False)


async def test_who_waits_long_for_the_first_look_is_not_taken_for_unknown() -> None:
    class Busy(FakeFinder):
        async def find(self, *args: Any) -> Sequence[Found]:
            if not self.asked:
                await asyncio.sleep(2 * outcome.UNKNOWN_S)
            return await super().find(*args)

    desk = Desk()
    desk.services = replace(desk.services, finder=Busy([Found(), FOUND]))
    assert (await desk.take(RATING)).context_found == [True]


async def test_each_call_of_an_array_is_looked_for_once() -> None:
    desk = Desk(FOUND)
    await desk.take([RATING, RATING, {**RATING, "trace_id": "other"}])
    assert Counter(desk.finder.asked) == {Reference(trace_id="trace_1"): 1, Reference(trace_id="other"): 1}
    assert len(desk.told()) == 3


async def test_a_request_id_of_ours_says_which_call_it_is() -> None:
    desk = Desk(FOUND)
    await desk.take({"request_id": request_id_of(EXCHANGE_ID), "user_feedback": "neutral"})
    await desk.take({"request_id": "theirs", "user_feedback": "neutral"})
    assert desk.finder.asked == [Reference(exchange_id=EXCHANGE_ID), Reference(request_id="theirs")]


CALL = finished(attempt(), caller=caller(prompt_name="p", flags=(("f", "treatment"),), key_alias="web"))
CONTEXT = sign_context(CALL, SECRET)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"user_feedback": "positive", "context": CONTEXT}, ()),
        ({"user_feedback": "positive"}, (("X-LLM-Context", CONTEXT),)),
    ],
)
async def test_a_context_token_is_enough_on_a_replica_that_knows_nothing(
    body: object, headers: Sequence[tuple[str, str]]
) -> None:
    desk = Desk()
    assert (await desk.take(body, *headers)).context_found == [True]
    said = desk.told()[0]["properties"]
    expected = {"prompt_name": "p", "$feature/f": "treatment", "estimated_cost_usd": 0.0048, "trace_id": "trace_1"}
    assert expected.items() <= said.items()
    assert "request_count" not in said


async def test_where_the_store_knows_the_call_it_knows_more() -> None:
    desk = Desk(FOUND)
    await desk.take({"user_feedback": "positive", "context": CONTEXT})
    assert desk.finder.asked == [Reference(exchange_id=EXCHANGE_ID, trace_id="trace_1")]
    assert desk.told()[0]["properties"]["request_count"] == 1


@pytest.mark.parametrize("token", ["v1.a.b", CONTEXT[:-2], sign_context(CALL, b"another secret 1")])
async def test_a_forged_context_is_refused(token: str) -> None:
    desk = Desk()
    with pytest.raises(BadOutcome) as refused:
        await desk.take([RATING, {**RATING, "context": token}])
    assert [problem.path for problem in refused.value.problems] == ["[1].context"]
    assert desk.made.journal.outcomes == []


async def test_another_keys_context_is_as_good_as_unknown() -> None:
    theirs = sign_context(replace(CALL, caller=caller(prompt_name="p", key_alias="batch")), SECRET)
    desk = Desk()
    assert (await desk.take({"user_feedback": "positive", "context": theirs}, KEY)).context_found == [False]
    said = desk.told()[0]["properties"]
    assert (said["key_alias"], "prompt_name" in said, "trace_id" in said) == ("web", False, False)
    assert desk.finder.asked == []


async def test_the_same_id_is_told_once_and_answered_as_before() -> None:
    desk = Desk(FOUND)
    first = await desk.take({**RATING, "id": "7"})
    again = await desk.take({"id": "7", **RATING})
    assert again == replace(first, is_repeated=True)
    assert len(desk.told()) == 1
    assert desk.counts == {("feedback", "found"): 1, ("feedback", "repeated"): 1}


async def test_an_idempotency_key_covers_the_whole_body() -> None:
    desk = Desk()
    key = ("Idempotency-Key", "k")
    first = await desk.take([RATING, {**RATING, "user_feedback": "negative"}], key)
    assert len(set(first.uuids)) == 2
    assert (await desk.take([RATING, {**RATING, "user_feedback": "negative"}], key)).uuids == first.uuids
    with pytest.raises(Conflict):
        await desk.take([RATING], key)
    assert len(desk.told()) == 2


async def test_another_body_under_the_same_id_is_refused_and_nothing_of_it_told() -> None:
    desk = Desk()
    await desk.take({**RATING, "id": "7"})
    with pytest.raises(Conflict) as refused:
        await desk.take([{**RATING, "id": "8"}, {**RATING, "id": "7", "user_feedback": "negative"}])
    assert "[1].id" in refused.value.public_message
    assert len(desk.told()) == 1


async def test_verbs_and_callers_have_ids_of_their_own() -> None:
    made = world(configured=replace(snapshot(), has_keys=True))
    keyed = Desk(made=made, admin_token="an-admin-token-1")
    admin = ("Authorization", "Bearer an-admin-token-1")
    receipts = [
        await keyed.take({**RATING, "id": "7"}, KEY),
        await keyed.take({**RATING, "id": "7", "user_feedback": "negative"}, admin),
        await keyed.take({"trace_id": "t", "task_completed": True, "id": "7"}, KEY, verb=Verb.TASKS),
    ]
    assert len({receipt.uuids[0] for receipt in receipts}) == 3


class Late(SteppingClock):
    """A second after the other clock."""

    def unix_us(self) -> int:
        return super().unix_us() + 1_000_000


async def heard_by_two() -> tuple[World, list[tuple[Heard, OutcomeServices]]]:
    """One outcome, at two workers: both have asked whether it is known before either of them says that it is."""
    made = world()
    late = replace(made, services=replace(made.services, clock=Late()))
    desks = [Desk(made=each).services for each in (made, late)]
    raws = [request({**RATING, "id": "7"}, headers=(HOST,)) for _ in desks]
    return made, [(await hear(raw, Verb.FEEDBACK, desk), desk) for raw, desk in zip(raws, desks, strict=True)]


async def test_two_workers_who_begin_at_the_same_moment_make_the_same_event() -> None:
    made, two = await heard_by_two()
    await asyncio.gather(*(tell(*each) for each in two))
    one, other = made.journal.outcomes
    assert one == other


async def test_who_was_held_up_between_asking_and_saying_makes_the_event_that_was_made_meanwhile() -> None:
    made, two = await heard_by_two()
    for each in two:
        await tell(*each)
    one, other = made.journal.outcomes
    assert one == other


async def test_of_two_who_say_different_things_at_the_same_moment_one_is_refused() -> None:
    made = world()
    desks = Desk(made=made), Desk(made=made)
    bodies = [{**RATING, "id": "7", "user_feedback": said} for said in ("positive", "negative")]
    heard = [
        await hear(request(body, headers=(HOST,)), Verb.FEEDBACK, desk.services)
        for body, desk in zip(bodies, desks, strict=True)
    ]
    answers = await asyncio.gather(
        *(tell(each, desk.services) for each, desk in zip(heard, desks, strict=True)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Receipt, Conflict]
    assert [event["properties"]["user_feedback"] for event in desks[0].told()] == ["positive"]


async def test_what_is_forgotten_is_told_again_under_the_same_uuid() -> None:
    desk = Desk(FOUND)
    first = await desk.take({**RATING, "id": "7"})
    desk.made.services.shared = FakeSharedMemory()
    again = await desk.take({**RATING, "id": "7"})
    assert again == first
    assert len({event["uuid"] for event in desk.told()}) == 1


async def test_what_was_begun_and_never_told_is_told_by_the_next_who_asks() -> None:
    class Dies(FakeFinder):
        async def find(self, *_: Any) -> Sequence[Found]:
            raise RuntimeError("the process is killed here")

    desk = Desk()
    alive, desk.services = desk.services, replace(desk.services, finder=Dies())
    with pytest.raises(RuntimeError):
        await desk.take({**RATING, "id": "7"})
    desk.services = alive
    assert not (await desk.take({**RATING, "id": "7"})).is_repeated
    assert len(desk.told()) == 1


async def test_what_the_journal_cannot_keep_is_not_promised_and_can_be_sent_again() -> None:
    desk = Desk(FOUND)
    desk.made.journal.is_broken = True
    with pytest.raises(Overloaded) as refused:
        await desk.take({**RATING, "id": "7"})
    assert (refused.value.code, refused.value.http_status) == ("outcome_not_kept", 503)
    desk.made.journal.is_broken = False
    receipt = await desk.take({**RATING, "id": "7"})
    assert (receipt.uuids, receipt.is_repeated) == ([desk.told()[0]["uuid"]], False)


async def test_a_disk_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "KEEP_S", 0.01)
    desk = Desk(FOUND)
    monkeypatch.setattr(desk.made.journal, "keep", lambda rows: asyncio.Event().wait())
    with pytest.raises(Overloaded):
        await desk.take(RATING)


async def test_a_feedback_token_rates_its_call_once() -> None:
    desk = Desk(FOUND, is_loopback=False)
    token = ("X-LLM-Feedback-Token", sign_feedback(EXCHANGE_ID, 2_000_000_000, SECRET))
    first = await desk.take({"user_feedback": "positive"}, token)
    assert desk.finder.asked == [Reference(exchange_id=EXCHANGE_ID)]
    assert (await desk.take({"user_feedback": "positive"}, token)).uuids == first.uuids
    for other in ({"user_feedback": "negative"}, [{"user_feedback": "positive"}]):
        with pytest.raises(Conflict):
            await desk.take(other, token, ("Idempotency-Key", "another"))
    assert desk.told()[0]["distinct_id"] == "user_8f3a"


async def test_beside_a_feedback_token_the_context_of_its_call_counts_alone() -> None:
    token = ("X-LLM-Feedback-Token", sign_feedback(EXCHANGE_ID, 2_000_000_000, SECRET))
    desk = Desk()
    assert (await desk.take({"user_feedback": "positive"}, token, ("X-LLM-Context", CONTEXT))).context_found == [True]
    other = sign_context(replace(CALL, exchange_id="0198c0de-0000-7000-8000-000000000def"), SECRET)
    desk = Desk()
    assert (await desk.take({"user_feedback": "positive"}, token, ("X-LLM-Context", other))).context_found == [False]
    assert desk.told()[0]["properties"]["exchange_id"] == EXCHANGE_ID


async def test_nothing_is_read_of_whoever_may_not_call() -> None:
    desk = Desk(is_loopback=False)
    with pytest.raises(Unauthenticated):
        await desk.take(b"{")


async def test_a_body_is_json_and_not_large() -> None:
    desk = Desk()
    with pytest.raises(BadRequest) as refused:
        await desk.take(b"{")
    assert refused.value.code == "invalid_json"
    with pytest.raises(TooLarge):
        await desk.take(b" " * (outcome.BODY_LIMITS.body_bytes + 1))
    assert desk.made.journal.outcomes == []
