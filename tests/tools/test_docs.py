"""The page that is made from the table of properties."""

from proxy.domain.event_properties import EVENTS, TABLE
from tools.docs import EVENTS_PAGE, events_page


def test_the_page_is_as_the_table_makes_it() -> None:
    """Run `make docs` where this fails."""
    assert EVENTS_PAGE.read_text() == events_page()


def test_every_event_property_and_listed_value_is_on_it() -> None:
    page = events_page()
    names = {row.name for row in TABLE} | set(EVENTS) | {value for row in TABLE for value in row.values or ()}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
