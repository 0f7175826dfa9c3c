from dataclasses import replace
from typing import Any

from proxy.adapters.posthog_api import PostHogApi
from proxy.adapters.posthog_dashboards import Carrier, read_ours
from proxy.domain.dashboards import DASHBOARDS, Dashboard
from proxy.domain.dashboards.plan import Change, changes
from tests.harness.posthog_api import KEY, PROJECT, PostHogProject

TWO = DASHBOARDS[:2]
TILES = sum(len(dashboard.tiles) for dashboard in TWO)


async def planned(api: PostHogApi, wanted: tuple[Dashboard, ...] = TWO) -> list[Change]:
    return list(changes(wanted, *await read_ours(api)))


async def applied(api: PostHogApi, wanted: tuple[Dashboard, ...] = TWO) -> list[Change]:
    boards, insights = await read_ours(api)
    carrier = Carrier(api, boards)
    made = list(changes(wanted, boards, insights))
    for change in made:
        await carrier.carry_out(change)
    return made


def renamed(dashboards: tuple[Dashboard, ...]) -> tuple[Dashboard, ...]:
    first, *rest = dashboards[0].tiles
    return (replace(dashboards[0], tiles=(replace(first, name="Another name"), *rest)), *dashboards[1:])


async def test_apply_then_nothing_then_one() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        assert len(await applied(api)) == len(TWO) + TILES
        assert await planned(api) == []
        (change,) = await planned(api, renamed(TWO))
        assert (change.action, change.key, change.differs) == ("update", "traffic/calls-by-model", ("name",))
        await applied(api, renamed(TWO))
        assert "Another name" in project.living
        assert await planned(api, renamed(TWO)) == []


async def test_tiles_stand_in_rows_and_stay_where_they_are_moved() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        await applied(api)
        places = [tile["layouts"]["sm"] for tile in project.tiles.values()]
        assert len(places) == TILES
        assert places[:3] == [
            {"x": 0, "y": 0, "w": 6, "h": 5},
            {"x": 6, "y": 0, "w": 6, "h": 5},
            {"x": 0, "y": 5, "w": 6, "h": 5},
        ]
        first = next(iter(project.tiles.values()))
        first["layouts"] = {"sm": {"x": 0, "y": 40, "w": 12, "h": 9}}
        await applied(api, renamed(TWO))
        assert first["layouts"]["sm"]["y"] == 40


async def test_what_is_not_ours_is_never_touched() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        await applied(api)
        ours = next(one for one in project.insights.values() if one["name"] == "Error rate")
        mine = project.add("dashboards", name="Mine", description="about promptlane")
        copy = project.add("insights", **{**ours, "id": 0, "name": "Error rate (copy)"}, by="me")
        project.insights[copy]["id"] = copy
        project.add("insights", name="promptlane costs", description="[promptlane] no marker")
        before = [dict(project.dashboards[mine]), dict(project.insights[copy])]
        assert await applied(api) == []
        await applied(api, renamed(TWO))
        assert [project.dashboards[mine], project.insights[copy]] == before


async def test_an_insight_goes_back_to_its_dashboard_and_stays_on_others() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        await applied(api)
        other = project.add("dashboards", name="Mine")
        insight = next(one for one in project.insights.values() if one["name"] == "Error rate")
        (home,) = insight["dashboards"]
        await api.patch(f"insights/{insight['id']}/", {"dashboards": [other]})
        (change,) = await applied(api)
        assert change.differs == ("dashboards",)
        assert sorted(project.insights[insight["id"]]["dashboards"]) == sorted([home, other])
        assert await planned(api) == []


async def test_what_is_defined_no_more_is_deleted_and_what_was_deleted_comes_back() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        await applied(api)
        gone = await applied(api, TWO[:1])
        assert {change.action for change in gone} == {"delete"}
        assert len(gone) == 1 + len(TWO[1].tiles)
        assert TWO[1].name not in project.living
        again = await applied(api)
        assert {change.action for change in again} == {"create"}
        assert TWO[1].name in project.living
        assert await planned(api) == []


async def test_a_part_leaves_the_rest() -> None:
    async with PostHogProject() as project, PostHogApi(project.host, KEY, PROJECT) as api:
        await applied(api)
        ours: Any = await read_ours(api)
        assert list(changes(TWO[:1], *ours, partial=True)) == []
        assert len(project.living) > 0
