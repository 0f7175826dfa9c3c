import asyncio
import json
from pathlib import Path

import pytest

from proxy.cli import main
from tests.harness import support_folder
from tests.harness.posthog_api import KEY, PROJECT, PostHogProject

REPORT = ("experiment", "report", "support_answer")
pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    support_folder.write(tmp_path)
    support_folder.keep(tmp_path)
    return tmp_path


def test_a_report_from_the_journal_tells_values_bounds_and_a_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(REPORT) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("support_answer, flag support_answer: 20")
    assert told[2].startswith("v2 is better than v1: ticket.resolved rises by 50.0 points (")
    assert " v1                   50.0%" in "\n".join(told)
    assert any("expected 50.0% v1, 50.0% v2, which fits" in line for line in told)


def test_scripts_get_json_and_people_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REPORT, "--json", "--picture", "found.svg"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["verdict"]["outcome"] == "better"
    assert told["people"] == {"v1": 200, "v2": 200}
    assert told["primary"]["variants"]["v2"]["against_control"]["p_value"] < 0.001
    assert [each["variants"]["v2"]["standing"] for each in told["guardrails"]] == ["open", "kept"]
    assert (folder / "found.svg").read_text().startswith("<svg")


def test_only_people_who_came_since_then_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REPORT, "--since", "30m"]) == 0
    assert "Nobody has been given a variant yet." in capsys.readouterr().out


def test_ls_lists_what_is_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    support_folder.write(tmp_path)

    assert main(["experiment", "ls"]) == 0

    assert capsys.readouterr().out == (
        "support_answer  running  v2 against v1\n"
        "  flag support_answer; ticket.resolved should increase; 2 guardrails, on breach stop\n"
    )


def test_ls_says_where_one_would_be_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "ls"]) == 0
    assert "add `experiment:` to one in config/prompts.yaml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("report", "nobody"), 2, "There is no prompt 'nobody'; there is support_answer, greeting."),
        (("report", "greeting"), 2, "The prompt greeting has no `experiment:` in config/prompts.yaml."),
        (("report", "support_answer"), 1, "There is no journal in data/"),
        (("report", "support_answer", "--from", "posthog"), 2, "POSTHOG_PERSONAL_API_KEY is not set."),
        (("ls", "--config", "nowhere"), 2, "nowhere: there is no such folder"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    support_folder.write(tmp_path)

    assert main(["experiment", *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--picture", "found.pdf"), ("--since", "yesterday"), ("--from", "memory")])
def test_words_that_no_option_takes(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*REPORT, *words])
    assert exit_.value.code == 2


def test_the_guard_stops_what_breaks_a_guardrail_and_then_leaves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support_folder.write(tmp_path)
    support_folder.keep(tmp_path, harm=0.3)

    assert main(["experiment", "guard", "--check"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("support_answer: v2 breaks a guardrail: escalated_to_human rises by 28.0 points (")
    assert told.endswith("Stopped: everybody gets v1.\n")
    assert main(["experiment", "guard", "--check"]) == 0
    assert capsys.readouterr().out == "No guardrail is broken.\n"
    assert main(REPORT) == 0
    assert "The rollout was stopped: v2 breaks a guardrail" in capsys.readouterr().out


def rows(query: str) -> list[list[object]]:
    """A hundred people under each version, of whom six in ten had what was asked for."""
    if query.startswith("SELECT count()"):
        return [[100, *[1_000.0] * query.count("quantile(")]]
    sums = [100, 0, 1_790_000_000] if "has_switched)" in query else [100, 60, 100, 60, 100, 60, 1]
    return [[version, *sums] for version in ("v1", "v2")]


async def ask_posthog(monkeypatch: pytest.MonkeyPatch, project: PostHogProject, key: str = KEY) -> int:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", key)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", PROJECT)
    monkeypatch.setenv("POSTHOG_HOST", project.host)
    return await asyncio.to_thread(main, [*REPORT, "--from", "posthog"])


async def test_a_report_from_posthog_asks_by_hogql(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    support_folder.write(tmp_path)
    async with PostHogProject() as project:
        project.answer = rows
        assert await ask_posthog(monkeypatch, project) == 0
        assert {query["kind"] for query in project.queries} == {"HogQLQuery"}
        assert all(query["values"]["prompt"] == "support_answer" for query in project.queries)
    told = capsys.readouterr().out
    assert "from PostHog" in told
    assert "No difference shown yet" in told


async def test_what_posthog_refuses_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    support_folder.write(tmp_path)
    async with PostHogProject() as project:
        assert await ask_posthog(monkeypatch, project, key="phx_another") == 1
    assert "does not know the key" in capsys.readouterr().err
