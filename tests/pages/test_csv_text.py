import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pages.csv_text import csv_of
from proxy.pages.tiles import Cell, Column, Table


def read(*cells: Cell) -> list[str]:
    table = Table(columns=[Column("c") for _ in cells], rows=[cells])
    return list(csv.reader(io.StringIO(csv_of(table).decode(), newline="")))[1]


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "=cmd|' /C calc'!A0", "＝1"],
)
def test_no_text_is_a_formula(text: str) -> None:
    assert read(Cell(text, text)) == [f"'{text}"]


def test_numbers_stay_numbers_and_the_unknown_is_empty() -> None:
    assert read(Cell("−12 %", -0.12), Cell("–", None), Cell("1,234", 1234)) == ["-0.12", "", "1234"]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_whatever_stands_in_a_cell_stays_in_it(texts: list[str]) -> None:
    assert [cell.removeprefix("'") for cell in read(*(Cell(text, text) for text in texts))] == [
        text.removeprefix("'") for text in texts
    ]
