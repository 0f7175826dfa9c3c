import asyncio
from contextlib import asynccontextmanager

import pytest

from proxy.adapters.flags import service as module
from proxy.adapters.flags.evaluation import Evaluation
from proxy.adapters.flags.fetch import Project, Trouble
from proxy.adapters.flags.service import FlagService, FlagSettings
from proxy.domain.identity import Caller
from proxy.domain.rollout import Rollout
from tests.harness.call import PATIENCE_S
from tests.harness.flags import condition, definitions, flag
from tests.harness.posthog import Answer, ScriptedPostHog

ASKED = Rollout(flag="answers", default="the default")
USER = Caller(distinct_id="user_1", trace_id="t", request_id="r")
ON, OFF = definitions(flag("answers")), definitions(flag("answers", condition(rollout=0)))


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.2)


@asynccontextmanager
async def running(posthog, folder, *, fetches=True, poll_s=0.01, url=None):
    project = Project(host=url or posthog.url, api_key="phc_ours", secret_key="phs_hidden")
    made = FlagService(
        FlagSettings(project=project, wanted=frozenset({"answers"}), poll_s=poll_s), folder, fetches=fetches
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def answer(service):
    decision = service.decide(ASKED, USER)
    return decision.variant, decision.reason.value


async def eventually(is_so):
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.005)


async def until(service, expected):
    await eventually(lambda: answer(service) == expected)


async def test_definitions_are_there_when_it_has_started_and_are_kept_fresh(tmp_path):
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path) as service:
            assert answer(service) == ("true", "matched")
            assert not service.is_alarming
            posthog.flags = OFF
            await until(service, ("false", "matched"))
            assert all(head.get("if-none-match") for head in posthog.flags_requests[1:])


@pytest.mark.parametrize(
    ("trouble", "what"),
    [
        (Answer(status=401), Trouble.KEY_REFUSED),
        (Answer(status=402), Trouble.QUOTA_USED_UP),
        (Answer(body=b'{"flags": [], "quotaLimited": ["feature_flags"]}'), Trouble.QUOTA_USED_UP),
        (Answer(status=500), Trouble.SERVER_ERROR),
        (Answer(body=b"<html>"), Trouble.MALFORMED),
        (Answer(body=b'{"flags": 1}'), Trouble.MALFORMED),
        (Answer(body=b'{"flags":' + b"[" * 100_000), Trouble.MALFORMED),
        (Answer(is_lost=True), Trouble.UNREACHABLE),
    ],
)
async def test_whatever_goes_wrong_the_last_good_ones_decide_and_one_line_says_so(
    tmp_path, monkeypatch, caplog, trouble, what
):
    monkeypatch.setattr("proxy.adapters.flags.fetch.PATIENCE_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path) as service:
            posthog.flags_answer = trouble
            await eventually(lambda: service.is_alarming)
            assert answer(service) == ("true", "matched")
            lines = [line for line in caplog.records if line.getMessage().startswith("flag definitions cannot be")]
            assert [line.trouble for line in lines] == [what]
            posthog.flags_answer, posthog.flags = None, OFF
            await until(service, ("false", "matched"))
            await eventually(lambda: not service.is_alarming)
    assert "phs_hidden" not in caplog.text


async def test_a_start_without_posthog_runs_defaults_until_it_is_there(tmp_path):
    async with ScriptedPostHog() as posthog:
        posthog.flags, posthog.flags_answer = ON, Answer(status=503)
        async with running(posthog, tmp_path) as service:
            assert answer(service) == ("the default", "no_definitions")
            assert service.is_alarming
            posthog.flags_answer = None
            await until(service, ("true", "matched"))


async def test_a_restart_while_posthog_is_away_decides_as_before(tmp_path):
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path):
            pass
        await posthog.refuse()
        async with running(posthog, tmp_path) as service:
            assert answer(service) == ("true", "matched")


async def test_a_restart_asks_by_the_tag_of_what_was_kept(tmp_path):
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path):
            pass
        seen = len(posthog.flags_requests)
        async with running(posthog, tmp_path) as service:
            await posthog.wait_for(lambda told: len(told.flags_requests) > seen)
            assert posthog.flags_requests[seen].get("if-none-match")
            assert answer(service) == ("true", "matched")


async def test_a_slow_posthog_holds_a_start_up_for_a_moment_only(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    gate = asyncio.Event()
    async with ScriptedPostHog() as posthog:
        posthog.flags_answer = Answer(gate=gate, body=b'{"flags": []}')
        async with running(posthog, tmp_path) as service:
            assert answer(service) == ("the default", "no_definitions")
            gate.set()
            await until(service, ("the default", "unknown_flag"))


async def test_other_workers_follow_the_file_and_ask_nobody(tmp_path):
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with (
            running(posthog, tmp_path),
            running(posthog, tmp_path, fetches=False, url="http://127.0.0.1:9") as other,
        ):
            # another host is another project: its file is not taken
            assert answer(other) == ("the default", "no_definitions")
        async with running(posthog, tmp_path) as first, running(posthog, tmp_path, fetches=False) as second:
            assert answer(second) == ("true", "matched")
            posthog.flags = OFF
            await until(first, ("false", "matched"))
            await until(second, ("false", "matched"))


async def test_a_full_disk_costs_nothing_but_the_next_start(tmp_path, caplog):
    (tmp_path / "flag-definitions.json" / "in the way").mkdir(parents=True)
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path) as service:
            assert answer(service) == ("true", "matched")
    assert "flag definitions could not be kept on disk" in caplog.text


async def test_what_runs_its_default_is_told_once_and_again_when_definitions_change(tmp_path, caplog):
    async with ScriptedPostHog() as posthog:
        posthog.flags = definitions()
        async with running(posthog, tmp_path) as service:
            for _ in range(3):
                assert answer(service) == ("the default", "unknown_flag")
            posthog.flags = definitions(flag("answers", condition(rollout="half")))
            await until(service, ("the default", "evaluation_failed"))
    told = [(line.flag, line.reason) for line in caplog.records if line.getMessage() == "a rollout runs its default"]
    assert told == [("answers", "unknown_flag"), ("answers", "evaluation_failed")]


async def test_a_bug_in_an_evaluation_is_no_bug_of_the_call(tmp_path, monkeypatch):
    async with ScriptedPostHog() as posthog:
        posthog.flags = ON
        async with running(posthog, tmp_path) as service:
            monkeypatch.setattr(Evaluation, "decide", lambda *_: 1 / 0)
            assert answer(service) == ("the default", "evaluation_failed")
