import json
from dataclasses import replace

from proxy.cli.experiment_table import as_json, lines
from proxy.cli.terminal import GREEN, PLAIN
from proxy.domain.judgement import Judgement, Shares
from tests.cli.judgements import judgement


def shown(**changed: object) -> list[str]:
    told = {"source": "the records", "stopped_because": None, "in_colour": False} | changed
    return list(lines(judgement(), **told))  # type: ignore[arg-type]


def test_the_table() -> None:
    assert shown() == [
        "support, flag support-test: 2026-09-21 14:13 to 2026-09-22 14:13 UTC (24 h), from the records",
        "",
        "treatment is better than control: ticket.resolved rises by 8.0 points (3.0 to 13.0). Not shown yet to be "
        "within its guardrail: cost_per_task_usd.",
        "",
        "                       value      bounds                people   against control",
        "ticket.resolved (should increase)",
        "  control              60.0%      55.0% to 65.0%        250",
        "  treatment            68.0%      63.0% to 73.0%        250      +8.0 points (+3.0 to +13.0)"
        "  better with 97.5% probability",
        "p95 latency_ms (at most 4,000 ms)",
        "  control              2,000 ms   1,700 to 2,300        250",
        "  treatment            2,100 ms   1,800 to 2,400        250      +100 ms (-200 to +400)  kept",
        "cost_per_task_usd (at most $0.0100 above control)",
        "  control              $0.0100    -                     250",
        "  treatment            $0.0150    -                     250      +$0.0050 (too few people)  open",
        "",
        "People: 300 control (50.0%), 300 treatment (50.0%); expected 50.0% control, 50.0% treatment, which fits"
        " (p 1 over all looks; chi-square 1).",
        "3 people were seen in more than one variant; they count in their first.",
        "Bounds: asymptotic confidence sequences, 95 % over all looks together; people counted once, by distinct id.",
    ]


def test_colours_and_why_it_was_stopped() -> None:
    told = shown(in_colour=True, stopped_because="by hand")

    assert told[2].startswith(GREEN)
    assert "The rollout was stopped: by hand" in told[3]
    assert any(line.endswith(f"{GREEN}kept{PLAIN}") for line in told)


def test_an_event_that_is_only_sent_when_it_is_true_is_noticed() -> None:
    always = finding_of_ones()

    told = list(lines(always, source="x", stopped_because=None, in_colour=False))

    assert "Every ticket.resolved is true: send it as false, too, where it did not happen." in told


def test_a_metric_that_nobody_has_is_noticed() -> None:
    found = judgement()
    arms = [replace(arm, measured=0, value=None) for arm in found.primary.arms]
    nothing = replace(found, primary=replace(found.primary, arms=arms))

    told = list(lines(nothing, source="x", stopped_because=None, in_colour=False))

    assert "Nobody has a value of ticket.resolved yet: is that its name, and is it sent and allowed?" in told


def finding_of_ones() -> Judgement:
    found = judgement()
    arms = [replace(arm, value=1.0) for arm in found.primary.arms]
    return replace(found, primary=replace(found.primary, arms=arms))


def test_shares_that_do_not_fit_or_are_not_known() -> None:
    found = judgement()
    wrong = replace(found, shares=replace(found.shares, p_value=0.0001, chi_square_p_value=0.00001))
    unknown = Shares(people=found.shares.people, expected=None, p_value=None, chi_square_p_value=None)

    told = [
        next(line for line in lines(each, source="x", stopped_because=None, in_colour=False) if "People:" in line)
        for each in (wrong, replace(found, shares=unknown))
    ]

    assert "which does not fit (p 0.0001 over all looks; chi-square 1e-05)." in told[0]
    assert told[1].endswith("the expected shares are not known.")


def test_json_has_null_for_what_is_not_known() -> None:
    told = json.loads(json.dumps(as_json(judgement(), source="journal", stopped_because=None)))

    assert told["since"] == "2026-09-21T14:13:20+00:00"
    assert told["sample_ratio"] == {
        "expected": {"control": 0.5, "treatment": 0.5},
        "p_value": 1.0,
        "chi_square_p_value": 1.0,
        "is_mismatch": False,
    }
    cost = told["guardrails"][1]
    assert (cost["metric"], cost["unit"], cost["max"], cost["max_increase"]) == ("cost_per_task_usd", "USD", None, 0.01)
    assert cost["variants"]["treatment"]["against_control"]["low"] is None
    assert cost["variants"]["treatment"]["standing"] == "open"
    assert "against_control" not in cost["variants"]["control"]


def test_certainty_is_never_claimed() -> None:
    found = judgement()
    comparison = replace(found.primary.comparisons[0], chance_above_control=0.99999)
    sure = replace(found, primary=replace(found.primary, comparisons=[comparison]))

    assert any(
        "better with over 99.9% probability" in line
        for line in lines(sure, source="x", stopped_because=None, in_colour=False)
    )
