import pytest

from proxy.cli.doctor.finding import Finding, State, count, fail, ok, report, skip, warn

LONG = "word " * 40 + "https://a-very-long-host-name.example.com/v1/which-is-not-broken"


def test_a_report_is_readable_at_80_columns_and_says_what_to_do() -> None:
    groups = {
        "One": [ok("a", "fine"), warn("b", LONG, LONG)],
        "Two": [fail("c", "bad", "do this"), skip("d", "x", "y")],
    }
    lines = list(report(groups))
    assert lines[:2] == ["One", "  ok    a: fine"]
    assert lines[2].startswith("  warn  b: word")
    assert max(map(len, lines)) <= 80
    assert {len(line) - len(line.lstrip()) for line in lines if line.startswith("   ")} == {8, 10}
    assert lines[lines.index("Two") :] == [
        "Two", "  fail  c: bad", "        → do this", "  skip  d: x", "        → y", "", "1 ok, 1 warn, 1 fail, 1 skip"
    ]  # fmt: skip


def test_states_that_did_not_come_up_are_not_in_the_sum() -> None:
    assert list(report({"One": [ok("a", "fine")]}))[-1] == "1 ok"
    assert count({})[State.FAIL] == 0


@pytest.mark.parametrize(("made", "state"), [(ok, "ok"), (warn, "warn"), (fail, "fail"), (skip, "skip")])
def test_each_state_has_its_maker(made: type[Finding], state: str) -> None:
    finding = made("title", "found", "advice")  # type: ignore[arg-type]
    assert (finding.state, finding.title, finding.found, finding.advice) == (state, "title", "found", "advice")
