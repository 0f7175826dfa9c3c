import asyncio
from pathlib import Path

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.cli import main
from proxy.domain.rollout_changes import AtPostHog
from tests.harness import support_folder
from tests.harness.posthog_api import KEY, PROJECT, PostHogProject

pytestmark = pytest.mark.usefixtures("alone")

FLAGGED = """\
version: 1
prompts:
  support_answer:
    default: v1
    flag: support-test
    versions:
      v1: {system: Answer briefly., variant: control}
      v2: {system: Answer kindly., variant: treatment}
"""
HALVES = {
    "groups": [{"properties": [], "rollout_percentage": 100}],
    "multivariate": {
        "variants": [{"key": "control", "rollout_percentage": 50}, {"key": "treatment", "rollout_percentage": 50}]
    },
}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["rollout", *words]) == 0
    return capsys.readouterr().out


def test_a_rollout_is_stopped_set_and_let_go_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    support_folder.write(tmp_path)
    configured = "support_answer  flag support_answer  as configured: 50% v1, 50% v2\n"

    assert told(capsys, "status") == configured
    assert told(capsys, "stop", "support_answer", "--why", "too many complaints") == (
        "support_answer is at 100% v1, 0% v2 from now on.\n"
    )
    status = told(capsys, "status", "support_answer")
    assert status.startswith("support_answer  flag support_answer  100% v1, 0% v2, not as configured: 50% v1, 50% v2\n")
    assert status.endswith("UTC by the operator: too many complaints\n")
    assert told(capsys, "set", "support_answer", "v1=87.5", "v2=12.5%") == (
        "support_answer is at 87.5% v1, 12.5% v2 from now on.\n"
    )
    assert told(capsys, "set", "support_answer", "configured") == "support_answer runs as configured from now on.\n"
    assert told(capsys, "status").startswith(configured)
    assert [change.shares for change in RolloutState(tmp_path / "data").changes()] == [
        {"v1": 100, "v2": 0},
        {"v1": 87.5, "v2": 12.5},
        None,
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stop", "nothing"), "There is no rollout 'nothing'; there is support_answer."),
        (("set", "support_answer", "v1=80"), "the shares must add up to 100, and these make 80."),
        (("set", "support_answer", "v9=100"), "support_answer has no variant 'v9'; it has v1, v2."),
        (("set", "support_answer", "v1=50", "v1=50"), "'v1=50': write each variant once"),
        (("set", "support_answer", "half"), "'half': write each variant once"),
        (("set", "support_answer", "v1=NaN"), "'v1=NaN': 'NaN' is no percentage."),
        (("set", "support_answer", "v1=x"), "'v1=x': 'x' is no percentage."),
        (("set", "support_answer", "v1=-1", "v2=101"), "the share of v1 must be from 0 to 100."),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    support_folder.write(tmp_path)

    assert main(["rollout", *words]) == 2

    assert said in capsys.readouterr().err
    assert RolloutState(tmp_path / "data").changes() == []


def test_a_reason_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["rollout", "stop", "x", "--why", "one\ntwo"])


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    support_folder.write(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rollouts.json").write_text("{}")

    assert main(["rollout", "status"]) == 1

    assert capsys.readouterr().err == (
        "data/rollouts.json holds no list of changes: "
        "put it back; or move it away, and every rollout runs as configured\n"
    )


def test_nothing_to_roll_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "status").startswith("Nothing is rolled out")


async def stop_with_posthog(monkeypatch: pytest.MonkeyPatch, project: PostHogProject, folder: Path, key: str) -> int:
    support_folder.write(folder, FLAGGED)
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", key)
    monkeypatch.setenv("POSTHOG_PROJECT_ID", PROJECT)
    monkeypatch.setenv("POSTHOG_HOST", project.host)
    return await asyncio.to_thread(main, ["rollout", "stop", "support-test"])


async def test_posthogs_flag_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostHogProject() as project:
        flag_id = project.add("feature_flags", key="support-test", filters=HALVES)
        assert await stop_with_posthog(monkeypatch, project, tmp_path, KEY) == 0
        variants = project.feature_flags[flag_id]["filters"]["multivariate"]["variants"]
    assert [variant["rollout_percentage"] for variant in variants] == [100, 0]
    assert "PostHog's flag support-test has the same shares now." in capsys.readouterr().out
    assert RolloutState(tmp_path / "data").changes()[0].at_posthog is AtPostHog.DONE


@pytest.mark.parametrize("key", [KEY, "phx_another"])
async def test_a_flag_that_cannot_follow_stops_here_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    async with PostHogProject() as project:
        assert await stop_with_posthog(monkeypatch, project, tmp_path, key) == 0
    printed = capsys.readouterr().out
    assert "support_answer is at 100% control, 0% treatment from now on." in printed
    assert "PostHog's flag support-test is unchanged: " in printed
    (change,) = RolloutState(tmp_path / "data").changes()
    assert change.at_posthog is AtPostHog.REFUSED
    assert change.shares == {"control": 100, "treatment": 0}


def test_without_a_key_it_is_said_that_posthog_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support_folder.write(tmp_path, FLAGGED)
    assert "PostHog's own flag is unchanged" in told(capsys, "stop", "support_answer")
