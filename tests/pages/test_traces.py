import pytest

from proxy.pages.traces import find, table_of, trace_path
from tests.pages.conftest import Store


@pytest.mark.parametrize(
    ("trace_id", "path"),
    [
        ("trace_1", "/ui/traces/trace_1"),
        ("a b?c#d", "/ui/traces/a%20b%3Fc%23d"),
        ("a/b", "/ui/trace?id=a%2Fb"),
        ("../x", "/ui/trace?id=..%2Fx"),
        ("100%", "/ui/trace?id=100%25"),
        ("..", "/ui/trace?id=.."),
        ("<i>", "/ui/traces/%3Ci%3E"),
    ],
)
def test_every_trace_has_an_address_that_the_proxy_takes(trace_id: str, path: str) -> None:
    assert trace_path(trace_id) == path


def test_traces_come_newest_first_and_go_on_where_a_page_ends(store: Store) -> None:
    first = find(store.analysis, store.filters, limit=10)
    second = find(store.analysis, store.filters, until=first[-1]["ended_at"], limit=10)
    ends = [row["ended_at"] for row in first + second]
    assert ends == sorted(ends, reverse=True)
    assert len({row["trace_id"] for row in first + second}) == 20


def test_a_row_leads_to_its_trace(store: Store) -> None:
    row = find(store.analysis, store.filters.choosing(failed="yes"), limit=1)[0]
    cells = table_of([row]).rows[0]
    assert (row["failed"], cells[1].href) == (row["calls"], trace_path(row["trace_id"]))
