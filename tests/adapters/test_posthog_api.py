import socket

import pytest

from proxy.adapters.posthog_api import ATTEMPTS, PostHogApi, Refused, Unavailable
from tests.harness.posthog_api import KEY, LOST, PROJECT, PostHogProject


class Asleep:
    """Sleeps at once, and remembers for how long it was asked to."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    async def __call__(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)


async def test_a_list_is_followed_to_its_end_on_the_same_host_alone() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        ids = [project.add("dashboards", name=f"d{number}") for number in range(5)]
        assert [one["id"] async for one in api.all("dashboards/")] == ids
        assert len(project.asked) == 3  # though `next` names a host that nobody can reach


@pytest.mark.parametrize(
    ("told", "waits_s"),
    [
        ((429, {"Retry-After": "7"}, ""), [7.0]),
        ((429, {}, "Request was throttled. Expected available in 42 seconds."), [42.0]),
        ((429, {"Retry-After": "soon"}, ""), [0.5]),
        ((502, {}, ""), [0.5]),
    ],
)
async def test_it_waits_as_long_as_it_is_told(told: object, waits_s: list[float]) -> None:
    asleep = Asleep()
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT, sleep=asleep) as api:
        project.script.append(told)
        assert (await api.get("dashboards/"))["count"] == 0
    assert asleep.waits_s == waits_s


async def test_it_gives_up_on_a_limit_that_lasts_and_on_one_that_lasts_too_long() -> None:
    asleep = Asleep()
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT, sleep=asleep) as api:
        project.script.extend([(429, {}, "")] * ATTEMPTS)
        with pytest.raises(Refused) as refused:
            await api.get("dashboards/")
        assert (refused.value.status, refused.value.code) == (429, "throttled")
        assert asleep.waits_s == [0.5, 1.0, 2.0, 4.0]
        project.script.append((429, {"Retry-After": "3600"}, ""))
        with pytest.raises(Refused):
            await api.get("dashboards/")
        assert len(asleep.waits_s) == 4


@pytest.mark.parametrize("told", [LOST, (503, {}, "")])
async def test_what_may_have_been_made_is_not_made_again(told: object) -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT, sleep=Asleep()) as api:
        project.script.append(told)
        with pytest.raises(Unavailable):
            await api.post("dashboards/", {"name": "d"})
        assert [method for method, _ in project.asked] == ["POST"]


async def test_a_change_may_be_sent_twice() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT, sleep=Asleep()) as api:
        made = project.add("dashboards", name="d")
        project.script.extend([LOST, (500, {}, "")])
        await api.patch(f"dashboards/{made}/", {"name": "e"})
        assert project.dashboards[made]["name"] == "e"


async def test_a_refusal_says_why() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, "phx_other", PROJECT) as api:
        with pytest.raises(Refused) as refused:
            await api.get("dashboards/")
    assert (refused.value.status, refused.value.detail) == (401, "Invalid Personal API key.")
    assert "phx_other" not in str(refused.value)


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        asleep = Asleep()
        async with PostHogApi(f"http://127.0.0.1:{taken.getsockname()[1]}", KEY, PROJECT, sleep=asleep) as api:
            with pytest.raises(Unavailable):
                await api.post("dashboards/", {})
    assert len(asleep.waits_s) == ATTEMPTS - 1
