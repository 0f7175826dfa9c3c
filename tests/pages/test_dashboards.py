import pytest

from proxy.pages.breakdowns import compare
from proxy.pages.charts import svg
from proxy.pages.dashboards import BOARDS, Board
from proxy.pages.dashboards.board import Measure, table_by
from proxy.pages.dashboards.tasks import compare_tasks
from tests.pages.conftest import EMPTY, Store

EVERY = [(board, key) for board in BOARDS.values() for key in board.tiles]


@pytest.mark.parametrize(("board", "key"), EVERY, ids=lambda value: getattr(value, "key", value))
def test_a_tile_has_a_chart_and_its_table_or_says_what_is_missing(board: Board, key: str, store: Store) -> None:
    tile = board.tiles[key](store.analysis, store.filters)
    assert tile.key == key
    assert tile.spec is not None
    drawn = svg(tile.spec)
    assert drawn.count('<a href="/ui/') == drawn.count('role="graphics-symbol"') > 0
    assert tile.table.rows
    assert {len(row) for row in tile.table.rows} == {len(tile.table.columns)}
    empty = board.tiles[key](store.analysis, EMPTY)
    assert (empty.spec, list(empty.table.rows)) == (None, [])


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_figures_stand_beside_those_of_the_period_before(board: Board, store: Store) -> None:
    figures = board.figures(store.analysis, store.filters)
    assert 3 <= len(figures) <= 6
    assert any(figure.change for figure in figures)
    assert board.figures(store.analysis, EMPTY)


def test_the_numbers_of_a_board_are_those_of_the_calls(store: Store) -> None:
    calls = store.analysis.query(
        "SELECT count(*) AS n, count(*) FILTER (WHERE status = 'error') AS failed FROM calls WHERE ended_at >= $begin",
        {"begin": store.filters.begin},
    )[0]
    figures = {figure.label: figure for figure in BOARDS["traffic"].figures(store.analysis, store.filters)}
    assert figures["Calls"].value == f"{calls['n']:,}"
    assert figures["Error rate"].note == f"{calls['failed']} failed"


def test_a_group_stands_beside_itself_in_the_period_before(store: Store) -> None:
    pairs = compare(store.analysis, store.filters, ("provider",), ("calls",)).groups["provider"]
    assert [row["name"] for row, _ in pairs] == [before["name"] for _, before in pairs]
    table = table_by(store.filters, "provider", "provider", pairs, Measure("calls", lambda row: row["calls"], str, {}))
    assert [column.title for column in table.columns] == ["provider", "calls", "change"]
    assert table.rows[0][0].href == store.filters.to("/ui/traces", provider=pairs[0][0]["name"])


def test_a_completed_task_costs_what_all_calls_of_traces_with_a_task_cost(store: Store) -> None:
    spent = store.analysis.query(
        "SELECT sum(estimated_cost_usd) AS cost FROM calls WHERE trace_id IN (SELECT trace_id FROM outcomes WHERE"
        ' name = \'llm_task_completed\' AND "at" >= $begin AND "at" < $end)',
        {"begin": store.filters.begin, "end": store.filters.end},
    )[0]["cost"]
    compared = compare_tasks(store.analysis, store.filters, (None, "version"))
    found, by_version = compared.whole[0], [row for row, _ in compared.groups["version"]]
    assert found["cost_usd"] == pytest.approx(spent)
    assert found["tasks"] == sum(row["tasks"] for row in by_version)
    assert found["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in by_version))
