from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.alert_state import FILE_NAME, AlertState, Damaged, firing_alerts
from proxy.domain.alerts import AlertBook, Firing
from tests.domain.test_alert_records import BOOK, FIRED


def test_what_a_look_leaves_the_next_one_finds(tmp_path: Path) -> None:
    state = AlertState(tmp_path / "data")
    with state.looking() as before:
        assert before == AlertBook()
        state.write(BOOK)
    assert AlertState(tmp_path / "data").read() == BOOK


def test_a_damaged_file_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("?")
    state = AlertState(tmp_path)
    with pytest.raises(Damaged, match=FILE_NAME), state.looking():
        raise AssertionError
    assert (tmp_path / FILE_NAME).read_text() == "?"
    assert firing_alerts(tmp_path) == ()


def test_what_fires_now_is_told_in_the_order_in_which_it_began(tmp_path: Path) -> None:
    assert firing_alerts(tmp_path / "nowhere") == ()
    earlier = replace(FIRED, rule="errors", at_unix_us=1)
    book = AlertBook(firing={each.rule: Firing(fired=each) for each in (FIRED, earlier)})
    AlertState(tmp_path).write(book)
    assert firing_alerts(tmp_path) == (earlier, FIRED)
