"""Every tile against what PostHog takes, and against what we send."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from proxy.domain import event_properties, outcome_properties
from proxy.domain.dashboards import DASHBOARDS, Tile, experiment_dashboard
from proxy.domain.dashboards.tiles import COLUMNS, properties_of
from tests.harness.hogql import hogql_parser

SCHEMA = Path(__file__).parents[4] / "shared" / "reference" / "posthog" / "insight_query.schema.json"
EXPERIMENT = experiment_dashboard("support_answer", "support-answer-test", "support_ticket_resolved", "resolved")
ALL = (*DASHBOARDS, EXPERIMENT)
TILES = [pytest.param(tile, id=f"{dashboard.slug}/{tile.slug}") for dashboard in ALL for tile in dashboard.tiles]
OURS = {row.name for row in (*event_properties.TABLE, *outcome_properties.TABLE)} | {
    "plan",  # a property of one's own, as the tile says
    "resolved",
    "$feature_flag",
    "$feature_flag_response",
    "$feature/support-answer-test",
}
EVENTS = {*event_properties.EVENTS, *outcome_properties.EVENTS, "support_ticket_resolved"}


@pytest.fixture(scope="session")
def hogql() -> Iterator[ModuleType]:
    with hogql_parser() as parser:
        yield parser


def hogql_of(tile: Tile) -> Iterator[tuple[str, str]]:
    """(kind, text) of each piece of HogQL."""
    source = tile.query["source"]
    if source["kind"] == "HogQLQuery":
        yield "select", source["query"]
    for series in source.get("series", ()):
        if "math_hogql" in series:
            yield "expr", series["math_hogql"]


def error_of(hogql: ModuleType, kind: str, text: str) -> str | None:
    parse = hogql.parse_select_json if kind == "select" else hogql.parse_expr_json
    read = json.loads(parse(text))
    return read["message"] if read.get("error") else None


def events_of(query: object) -> Iterator[str]:
    """The names of the events that a query asks for."""
    if isinstance(query, dict):
        for key, value in query.items():
            if key == "event" and isinstance(value, str):
                yield value
            elif key in ("query", "math_hogql"):
                yield from re.findall(r"event = '([^']+)'", str(value))
                for listed in re.findall(r"event IN \(([^)]+)\)", str(value)):
                    yield from re.findall(r"'([^']+)'", listed)
            else:
                yield from events_of(value)
    elif isinstance(query, list):
        for value in query:
            yield from events_of(value)


@pytest.mark.parametrize("tile", TILES)
def test_a_tile_is_a_query_of_posthogs(tile: Tile) -> None:
    if not SCHEMA.exists():
        pytest.skip("the schema of PostHog's queries is not beside this checkout")
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_bytes())).validate(json.loads(json.dumps(tile.query)))


@pytest.mark.parametrize("tile", TILES)
def test_its_hogql_parses(tile: Tile, hogql: ModuleType) -> None:
    for kind, text in hogql_of(tile):
        assert error_of(hogql, kind, text) is None


def test_the_parser_judges(hogql: ModuleType) -> None:
    assert error_of(hogql, "select", "SELECT FROM WHERE") is not None
    assert error_of(hogql, "expr", "uniq(") is not None


@pytest.mark.parametrize("tile", TILES)
def test_it_asks_for_what_we_send(tile: Tile) -> None:
    properties, events = set(properties_of(tile.query)), set(events_of(tile.query))
    assert properties | events
    assert properties - OURS == set()
    assert events - EVENTS == set()


@pytest.mark.parametrize("tile", TILES)
def test_it_says_what_it_shows(tile: Tile) -> None:
    assert tile.name
    assert tile.description.endswith(".")
    assert 0 < tile.width <= COLUMNS
    for kind, text in hogql_of(tile):
        assert kind == "expr" or "{filters}" in text


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.slug)
def test_slugs_are_unique_and_traces_are_one_click_away(dashboard: Any) -> None:
    slugs = [tile.slug for tile in dashboard.tiles]
    assert len(slugs) == len(set(slugs))
    assert all(re.fullmatch(r"[a-z0-9-]+", slug) for slug in (dashboard.slug.replace("_", "-"), *slugs))
    leads = ["trace_url" in text for tile in dashboard.tiles for _, text in hogql_of(tile)]
    assert any(leads) or dashboard.slug == "questions"
