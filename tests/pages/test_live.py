from pathlib import Path

from proxy.pages.live import ROWS, latest
from tests.pages.conftest import Store


def test_the_latest_calls_stand_first_and_lead_to_their_traces(store: Store) -> None:
    rows = latest(store.folder).rows
    assert len(rows) == ROWS
    ends = [row[0].text for row in rows]
    assert ends == sorted(ends, reverse=True)
    assert all(row[1].href.startswith("/ui/traces/trace_") for row in rows)
    assert {row[-1].text for row in latest(store.folder, "web-app").rows} >= {"success"}


def test_a_proxy_key_sees_its_own(store: Store) -> None:
    own = {row[1].text for row in latest(store.folder, "web-app").rows}
    foreign = {row[1].text for row in latest(store.folder, "batch").rows}
    assert own
    assert foreign
    assert not own & foreign


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert list(latest(tmp_path).rows) == []
