from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.alerts import (
    KEPT_CHANGES,
    LONGEST_WINDOW_S,
    RESOLVED_SHARE,
    TRAITS,
    TRIED_FOR_US,
    AlertBook,
    Because,
    Delivery,
    Drops,
    Firing,
    Metric,
    Reading,
    Rule,
    State,
    judged,
    looked,
    overdue,
    sent,
)

RULE = Rule(name="errors", metric=Metric.ERROR_RATE, above=0.1, window_s=60, min_calls=20)
MINUTE_US = 60_000_000
NOW_US = 1_800_000_000_000_000


def look(
    book: AlertBook, *rules: Rule, at_us: int = NOW_US, has_webhook: bool = True, **values: float | None
) -> AlertBook:
    readings = {name: Reading(value=value, calls=30) for name, value in values.items()}
    return looked(book, rules, readings, at_us, has_webhook=has_webhook)


def story(*values: float | None, rule: Rule = RULE) -> list[str]:
    """What a row of looks, one a minute, gives."""
    book = AlertBook()
    for number, value in enumerate(values):
        book = look(book, rule, at_us=NOW_US + number * MINUTE_US, errors=value)
    return [f"{(each.at_unix_us - NOW_US) // MINUTE_US} {each.state}" for each in book.changes]


def test_an_alert_fires_once_and_resolves_once() -> None:
    assert story(0.0, 0.1, 0.11, 0.5, 0.2, 0.0, 0.0) == ["2 fired", "5 resolved"]


def test_a_number_that_wavers_around_its_limit_rings_once() -> None:
    assert story(*[0.101, 0.099] * 10) == ["0 fired"]
    assert story(0.101, RESOLVED_SHARE * 0.1) == ["0 fired", "1 resolved"]


def test_nothing_fires_without_a_number_and_what_fires_resolves_after_a_window_without() -> None:
    assert story(None, None) == []
    assert story(0.5, None, None) == ["0 fired", "2 resolved"]
    assert story(0.5, None, 0.5, None) == ["0 fired"]
    book = look(look(AlertBook(), RULE, errors=0.5), RULE, errors=None)
    book = look(book, RULE, at_us=NOW_US + MINUTE_US, errors=None)
    assert book.changes[-1].because is Because.TOO_FEW_CALLS
    assert book.changes[-1].value is None


def test_the_usual_raises_the_limit_and_never_lowers_it() -> None:
    rule = replace(RULE, times_usual=3)
    assert Reading(value=1, usual=0.2).limit(rule) == 0.6000000000000001
    assert Reading(value=1, usual=0.01).limit(rule) == 0.1
    assert Reading(value=1).limit(rule) == 0.1
    assert Reading(value=1, usual=0.2).limit(RULE) == 0.1


def test_a_bad_time_does_not_become_the_usual_one_while_it_lasts() -> None:
    rule = replace(RULE, times_usual=3)
    firing, _ = judged(rule, Reading(value=0.5, usual=0.1), None, NOW_US)
    after, change = judged(rule, Reading(value=0.5, usual=0.5), firing, NOW_US + MINUTE_US)
    assert (after, change) == (firing, None)


def test_a_limit_that_was_raised_ends_what_is_below_it() -> None:
    firing, _ = judged(RULE, Reading(value=0.5), None, NOW_US)
    assert judged(replace(RULE, above=0.9), Reading(value=0.5), firing, NOW_US)[0] is None


def test_a_rule_that_is_gone_or_means_something_else_ends_what_fires() -> None:
    book = look(AlertBook(), RULE, errors=0.5)
    gone = look(book, at_us=NOW_US + MINUTE_US)
    assert gone.firing == {}
    assert (gone.changes[-1].because, gone.changes[-1].lasted_s) == (Because.RULE_GONE, 60.0)
    other = look(book, replace(RULE, metric=Metric.LATENCY), at_us=NOW_US + 1, errors=0.5)
    assert [each.state for each in other.changes] == [State.FIRED, State.RESOLVED, State.FIRED]
    assert other.firing["errors"].fired.metric is Metric.LATENCY


@given(st.lists(st.none() | st.floats(0, 1), max_size=40))
def test_firing_and_resolving_alternate_and_the_book_says_which_holds(values: list[float | None]) -> None:
    book = AlertBook()
    for number, value in enumerate(values):
        book = look(book, RULE, at_us=NOW_US + number * MINUTE_US, errors=value)
    states = [each.state for each in book.changes]
    assert states == [State.FIRED, State.RESOLVED] * (len(states) // 2) + [State.FIRED] * (len(states) % 2)
    assert bool(book.firing) == (len(states) % 2 == 1)
    fired = [each for each in book.changes if each.state is State.FIRED]
    assert len({each.alert_id for each in fired}) == len(fired)
    assert [each.alert_id for each in book.changes[1::2]] == [each.alert_id for each in fired[: len(states) // 2]]


def test_messages_wait_until_they_are_taken_or_given_up() -> None:
    book = look(AlertBook(), RULE, errors=0.5)
    (change,) = book.unsent
    assert sent(book, change, Delivery.DONE).unsent == ()
    assert overdue(book, NOW_US + TRIED_FOR_US, has_webhook=True) == book
    for late in (
        overdue(book, NOW_US + TRIED_FOR_US + 1, has_webhook=True),
        overdue(book, NOW_US, has_webhook=False),
    ):
        assert [each.delivery for each in late.changes] == [Delivery.GIVEN_UP]
    assert look(AlertBook(), RULE, errors=0.5, has_webhook=False).unsent == ()


def test_the_newest_changes_are_kept() -> None:
    book = AlertBook()
    for number in range(2 * KEPT_CHANGES):
        book = look(book, RULE, at_us=NOW_US + number, errors=float(number % 2))
    assert len(book.changes) == KEPT_CHANGES
    assert book.changes[-1].at_unix_us == NOW_US + 2 * KEPT_CHANGES - 1


def test_drops_are_news_once_and_only_after_the_first_look() -> None:
    drops = Drops().seen({"a": 5}, NOW_US)
    assert drops.since(0) == 0
    drops = drops.seen({"a": 7, "b": 2}, NOW_US + 1).seen({"a": 7, "b": 2}, NOW_US + 2)
    assert drops.lost == ((NOW_US + 1, 4),)
    assert (drops.since(NOW_US), drops.since(NOW_US + 1)) == (4, 0)


def test_a_journal_that_cannot_be_read_for_a_while_drops_nothing_anew() -> None:
    drops = Drops().seen({"a": 5}, NOW_US).seen({}, NOW_US + 1).seen({"a": 6}, NOW_US + 2)
    assert drops.lost == ((NOW_US + 2, 1),)


def test_a_journal_that_was_begun_anew_counts_from_there() -> None:
    drops = Drops().seen({"a": 5}, NOW_US).seen({"a": 0}, NOW_US + 1).seen({"a": 2}, NOW_US + 2)
    assert drops.since(NOW_US) == 2


def test_drops_are_forgotten_after_the_longest_window() -> None:
    drops = Drops().seen({"a": 0}, NOW_US).seen({"a": 1}, NOW_US + 1)
    late_us = NOW_US + 1 + LONGEST_WINDOW_S * 1_000_000
    assert drops.seen({"a": 1}, late_us - 1).lost == drops.lost
    assert drops.seen({"a": 1}, late_us).lost == ()


def test_every_metric_has_its_trait() -> None:
    assert set(TRAITS) == set(Metric)
    assert isinstance(look(AlertBook(), RULE, errors=0.5).firing["errors"], Firing)
