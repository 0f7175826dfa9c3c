import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.domain.dashboards import DASHBOARDS
from tests.harness.posthog_api import KEY, LOST, PROJECT, PostHogProject

Run = Callable[..., tuple[int, str, str]]
TOTAL = len(DASHBOARDS) + sum(len(dashboard.tiles) for dashboard in DASHBOARDS)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", KEY)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", PROJECT)
    return monkeypatch


async def run(*words: str) -> int:
    return await asyncio.to_thread(main, ["dashboards", *words])


async def test_from_nothing_to_all_and_back(env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with PostHogProject() as project:
        env.setenv("POSTHOG_HOST", project.host)
        mine = project.add("dashboards", name="Mine")
        assert await run("plan") == 0
        assert f"To make {TOTAL}, to change 0, to delete 0." in capsys.readouterr().out
        assert await run("plan", "--check") == 1
        assert project.living == {"Mine"}
        capsys.readouterr()
        assert await run("apply") == 0
        told = capsys.readouterr().out
        assert "made     dashboard traffic" in told
        assert f"{TOTAL} changes made." in told
        assert await run("plan", "--check") == 0
        assert await run("apply") == 0
        assert capsys.readouterr().out.count("Nothing to do") == 2
        assert await run("delete") == 0
        assert f"to delete {TOTAL}. Nothing was done: add --yes." in capsys.readouterr().out
        assert await run("delete", "--yes") == 0
        assert project.living == {"Mine"}
        assert not project.dashboards[mine]["deleted"]
        capsys.readouterr()
        assert await run("delete", "--yes") == 0
        assert capsys.readouterr().out == "Nothing of ours is in the project.\n"


async def test_what_was_made_before_the_answer_got_lost_is_not_made_twice(env: pytest.MonkeyPatch) -> None:
    async with PostHogProject() as project:
        env.setenv("POSTHOG_HOST", project.host)
        project.script.extend([None, None, None, None, LOST])
        assert await run("apply", "--only", "traffic") == 0
        names = [one["name"] for one in (*project.dashboards.values(), *project.insights.values())]
        assert len(names) == len(set(names)) == 1 + len(DASHBOARDS[0].tiles)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ((401, {}, "Invalid key."), "does not know the key"),
        ((403, {}, "API key missing required scope 'dashboard:write'"), "needs the scopes dashboard:write"),
        ((404, {}, ""), "Look at POSTHOG_PROJECT_ID"),
        ((429, {"Retry-After": "9999"}, ""), "rate limit"),
        ((400, {}, "Bad query"), "PostHog says: Bad query"),
        ((302, {"Location": "/login"}, ""), "it answered 302. Try again later"),
    ],
)
async def test_a_refusal_says_what_to_do(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: object, words: str
) -> None:
    async with PostHogProject() as project:
        env.setenv("POSTHOG_HOST", project.host)
        project.script.append(told)
        assert await run("plan") == 1
    said = capsys.readouterr().err
    assert words in said
    assert KEY not in said


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("POSTHOG_PERSONAL_API_KEY", "", "Make a personal API key"),
        ("POSTHOG_PROJECT_ID", "my project", "not set to a number"),
        ("POSTHOG_HOST", "ftp://posthog", "such as https://eu.i.posthog.com"),
    ],
)
def test_what_is_missing_is_named(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str, words: str
) -> None:
    env.setenv(variable, value)
    assert main(["dashboards", "plan"]) == 2
    assert words in capsys.readouterr().err


def test_export_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "export", "--only", "agents"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["name"] == "LLM agent workflow health"
    assert document["insights"][0]["description"].endswith("[promptlane:agents/tool-failures]")
    assert main(["dashboards", "export", "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{one.slug}.json" for one in DASHBOARDS}
    (tmp_path / "file").write_text("")
    assert main(["dashboards", "export", "--out", str(tmp_path / "file")]) == 1
    assert "cannot write to" in capsys.readouterr().err


PROMPTS = """version: 1
prompts:
  support_answer:
    split: {pv_1: 50, pv_2: 50}
    default: pv_1
    versions:
      pv_1: {system: Be kind.}
      pv_2: {system: Be brief.}
    experiment: {primary: {event: EVENT, property: resolved, goal: increase}}
"""


def test_an_experiment_has_a_dashboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompts.yaml").write_text(PROMPTS.replace("EVENT", "ticket_resolved"))
    words = ["dashboards", "export", "--config", str(tmp_path)]
    assert main([*words, "--only", "experiment-support_answer"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["name"] == "LLM experiment: support_answer"
    assert "ticket_resolved, by variant" in {insight["name"] for insight in document["insights"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nprompts: {p: {}}", "prompts.yaml:2"),
        (PROMPTS.replace("EVENT", '"ticket\'s end"'), "the experiment of support_answer has no dashboard"),
    ],
)
def test_prompts_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (tmp_path / "prompts.yaml").write_text(text)
    assert main(["dashboards", "export", "--config", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_an_unknown_dashboard_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "export", "--only", "nonesuch"]) == 2
    assert "there is no dashboard 'nonesuch'; there are traffic," in capsys.readouterr().err
