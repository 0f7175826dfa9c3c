from copy import deepcopy
from typing import Any

import pytest

from proxy.adapters.posthog_api import PostHogApi, Refused
from proxy.adapters.posthog_flag import ATTEMPTS, set_shares
from proxy.domain.flag_filters import Unfit
from tests.harness.posthog_api import KEY, PROJECT, PostHogProject

STOP = {"control": 100.0, "treatment": 0.0}
CONFLICT: Any = (409, {}, "the flag was changed meanwhile")
FILTERS: dict[str, Any] = {
    "groups": [{"properties": [{"key": "plan", "value": "pro"}], "rollout_percentage": 40}],
    "multivariate": {
        "variants": [{"key": "control", "rollout_percentage": 50}, {"key": "treatment", "rollout_percentage": 50}]
    },
    "payloads": {"treatment": "{}"},
}


async def nothing(_: float) -> None:
    """For an API that would wait."""


def api_of(project: PostHogProject) -> PostHogApi:
    return PostHogApi(project.host, KEY, PROJECT, sleep=nothing)


def with_flag(project: PostHogProject, **fields: Any) -> int:
    """The flag, among others whose keys are like its own."""
    for key in ("test-2", "a-test"):
        project.add("feature_flags", key=key, filters=deepcopy(FILTERS))
    return project.add("feature_flags", key="test", filters=deepcopy(FILTERS), version=7, **fields)


async def test_the_flag_is_read_and_all_of_it_goes_back_with_other_shares() -> None:
    async with PostHogProject() as project, api_of(project) as api:
        flag_id = with_flag(project)

        await set_shares(api, "test", STOP, "control")

        expected = deepcopy(FILTERS)
        expected["multivariate"]["variants"][0]["rollout_percentage"] = 100
        expected["multivariate"]["variants"][1]["rollout_percentage"] = 0
        assert project.feature_flags[flag_id]["filters"] == expected
        assert project.feature_flags[flag_id]["version"] == 7
        assert [one["filters"] for one in project.feature_flags.values()].count(FILTERS) == 2
        assert [method for method, _ in project.asked].count("PATCH") == 1


async def test_a_flag_that_has_the_shares_already_is_left_alone() -> None:
    async with PostHogProject() as project, api_of(project) as api:
        with_flag(project)
        await set_shares(api, "test", {"control": 50.0, "treatment": 50.0}, "control")
        assert "PATCH" not in [method for method, _ in project.asked]


async def test_after_a_conflict_the_flag_is_read_again() -> None:
    async with PostHogProject() as project, api_of(project) as api:
        flag_id = with_flag(project)
        path = f"/api/projects/{PROJECT}/feature_flags/{flag_id}/"
        project.script.extend([None, None, None, CONFLICT])

        await set_shares(api, "test", STOP, "control")

        assert project.asked[-4:] == [("GET", path), ("PATCH", path), ("GET", path), ("PATCH", path)]
        assert project.feature_flags[flag_id]["filters"]["multivariate"]["variants"][0]["rollout_percentage"] == 100


async def test_conflicts_without_end_are_told() -> None:
    async with PostHogProject() as project, api_of(project) as api:
        with_flag(project)
        project.script.extend([None, None, *[None, CONFLICT] * ATTEMPTS])
        with pytest.raises(Refused):
            await set_shares(api, "test", STOP, "control")


async def test_too_many_requests_are_waited_for() -> None:
    async with PostHogProject() as project, api_of(project) as api:
        flag_id = with_flag(project)
        project.script.extend([None, None, None, (429, {"Retry-After": "1"}, "")])
        await set_shares(api, "test", STOP, "control")
        assert project.feature_flags[flag_id]["filters"]["multivariate"]["variants"][1]["rollout_percentage"] == 0


@pytest.mark.parametrize("fields", [{"deleted": True}, {"filters": "?"}])
async def test_a_flag_that_is_not_there_or_unreadable_is_told(fields: dict[str, Any]) -> None:
    async with PostHogProject() as project, api_of(project) as api:
        project.add("feature_flags", **{"key": "test", "filters": FILTERS, **fields})
        with pytest.raises(Unfit):
            await set_shares(api, "test", STOP, "control")
