"""The parent's side, with children that behave in many ways."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from proxy.adapters.checker import Checker
from proxy.domain.checks import PASSED, CheckReason, Finding, HeavyRule, Matches

A, B = Matches("a"), Matches("b")
Found = Mapping[HeavyRule, Finding]


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A child whose answer to a text is what the text says."""
    (tmp_path / "scripted_child.py").write_text(
        dedent(
            """
            import os, sys, time
            from proxy.adapters.body_reader import framed, read_frame
            from proxy.adapters.check_process import findings

            while (question := read_frame(sys.stdin.buffer)) is not None:
                rules, text = question
                if text == "die":
                    os._exit(1)
                if text == "hang":
                    time.sleep(60)
                found = b"\\0\\0\\0\\4junk" if text == "junk" else framed(findings(rules, text))
                sys.stdout.buffer.write(found)
                sys.stdout.buffer.flush()
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "scripted_child"


def asked(checker: Checker, text: str, *rules: HeavyRule) -> "asyncio.Future[Found]":
    future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
    assert checker.submit(rules or (A,), text, future.set_result)
    return future


async def test_answers_come_back_to_those_who_asked(child: str) -> None:
    checker = Checker(child, patience_s=20)
    checker.warm([A, B])
    missed = Finding(False, CheckReason.NO_MATCH)
    first, second = asked(checker, "a", A, B), asked(checker, "b", B)
    assert (await first, await second) == ({A: PASSED, B: missed}, {B: PASSED})
    await checker.close()


async def test_rules_that_come_later_are_loaded_with_the_patience_of_a_start_and_none_end_the_child(
    child: str,
) -> None:
    checker = Checker(child, patience_s=20)
    checker.warm([A])
    await asked(checker, "a", A)
    first = checker._child
    checker.warm([A, B])
    assert await asked(checker, "b", B) == {B: PASSED}
    assert first is not None
    assert (checker._child, checker._loaded) == (first, (A, B))
    checker.warm([])
    assert await first.wait() != 0
    await checker.close()


@pytest.mark.parametrize("text", ["die", "junk"])
async def test_a_child_that_dies_costs_one_answer(text: str, child: str, caplog: pytest.LogCaptureFixture) -> None:
    checker = Checker(child, patience_s=20)
    lost, next_one = asked(checker, text), asked(checker, "a")
    assert await lost == {}
    assert await next_one == {A: PASSED}
    assert "checks were left out" in caplog.text
    await checker.close()


async def test_rules_that_take_too_long_rest_and_others_go_on(child: str, caplog: pytest.LogCaptureFixture) -> None:
    checker = Checker(child, patience_s=20)
    await asked(checker, "a")
    checker._patience_s = 0.2
    assert await asked(checker, "hang", A, B) == {}
    assert not checker.submit((A, B), "a", lambda _: None)
    checker._patience_s = 20
    assert await asked(checker, "a", A) == {A: PASSED}
    assert "they rest for a minute" in caplog.text
    await checker.close()


async def test_a_full_queue_refuses_at_once(child: str) -> None:
    checker = Checker(child, max_jobs=2, max_chars=10, patience_s=20)
    waiting = [asked(checker, "a"), asked(checker, "aa")]
    assert not checker.submit((A,), "a", lambda _: None)
    await asyncio.gather(*waiting)
    assert not checker.submit((A,), "a" * 11, lambda _: None)
    assert await asked(checker, "a" * 10) == {A: PASSED}
    await checker.close()


async def test_who_waited_too_long_for_a_child_is_told_nothing(child: str) -> None:
    checker = Checker(child, patience_s=0)
    assert await asked(checker, "a") == {}
    await checker.close()


async def test_where_no_child_can_be_had_checks_rest(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    checker = Checker("no.such.module", patience_s=20)
    assert await asked(checker, "a") == {}
    assert not checker.submit((A,), "a", lambda _: None)
    assert "checks rest for a minute" in caplog.text
    await checker.close()


async def test_what_still_waits_when_it_closes_is_told_nothing(child: str) -> None:
    checker = Checker(child, patience_s=20)
    await asked(checker, "a")
    checker._patience_s = 0.1
    running, waiting = asked(checker, "hang"), asked(checker, "a")
    await checker.close()
    assert (await running, await waiting) == ({}, {})
    assert not checker.submit((A,), "a", lambda _: None)


async def test_one_that_stumbles_over_its_answer_does_not_stop_the_others(
    child: str, caplog: pytest.LogCaptureFixture
) -> None:
    checker = Checker(child, patience_s=20)

    def stumble(_: Found) -> None:
        raise RuntimeError("content")

    assert checker.submit((A,), "a", stumble)
    assert await asked(checker, "a") == {A: PASSED}
    assert "content" not in caplog.text
    await checker.close()
