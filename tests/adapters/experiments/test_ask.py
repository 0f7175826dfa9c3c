from dataclasses import replace

from proxy.adapters.experiments.ask import ask
from proxy.domain.experiments import Experiment, Primary
from proxy.domain.overrides import ChangedBy
from proxy.domain.prompts import ManagedPrompt, PromptVersion
from proxy.domain.rollout import Rollout, Split
from proxy.domain.rollout_changes import RolloutChange

SPLIT = Rollout(flag="support", default="v1", split=Split((("v0", 0.0), ("v2", 50.0), ("v1", 50.0))))
PROMPT = ManagedPrompt(
    name="support",
    versions={"v1": PromptVersion(id="v1"), "v2": PromptVersion(id="v2")},
    default="v1",
    rollout=SPLIT,
    experiment=Experiment(primary=Primary(event="ticket")),
)
SET = RolloutChange(
    id="1",
    flag="support",
    prompt="support",
    shares={"v1": 80.0, "v2": 20.0},
    changed_by=ChangedBy.OPERATOR,
    changed_at_unix_us=500,
)
STOPPED = replace(SET, id="2", shares={"v1": 100.0, "v2": 0.0}, changed_at_unix_us=900)
RESUMED = replace(SET, id="3", shares=None, changed_at_unix_us=950)


def test_control_is_the_default_and_comes_first_with_the_shares_as_configured() -> None:
    asked = ask(PROMPT, [], until_unix_us=1_000)

    assert asked is not None
    assert asked.question.variants == ("v1", "v0", "v2")
    assert asked.expected == {"v0": 0.0, "v2": 0.5, "v1": 0.5}
    assert (asked.question.since_unix_us, asked.question.until_unix_us) == (0, 1_000)
    assert asked.stopped is None


def test_the_time_begins_when_the_shares_were_last_set() -> None:
    asked = ask(PROMPT, [SET], until_unix_us=1_000)

    assert asked is not None
    assert asked.question.since_unix_us == 500
    assert asked.expected == {"v1": 0.8, "v2": 0.2}


def test_a_rollout_that_was_stopped_is_judged_by_the_time_before() -> None:
    asked = ask(PROMPT, [SET, STOPPED], until_unix_us=1_000)

    assert asked is not None
    assert asked.stopped == STOPPED
    assert (asked.question.since_unix_us, asked.question.until_unix_us) == (500, 900)
    assert asked.expected == {"v1": 0.8, "v2": 0.2}


def test_one_that_was_resumed_begins_anew_with_the_shares_as_configured() -> None:
    asked = ask(PROMPT, [SET, STOPPED, RESUMED], until_unix_us=1_000)

    assert asked is not None
    assert asked.stopped is None
    assert asked.question.since_unix_us == 950
    assert asked.expected == {"v0": 0.0, "v2": 0.5, "v1": 0.5}


def test_whoever_asks_may_say_since_when_and_other_rollouts_do_not_matter() -> None:
    asked = ask(PROMPT, [replace(SET, flag="other"), SET], until_unix_us=1_000, since_unix_us=7)

    assert asked is not None
    assert asked.question.since_unix_us == 7


def test_the_shares_of_a_flag_are_what_posthog_says_if_that_is_known() -> None:
    prompt = replace(
        PROMPT, rollout=Rollout(flag="f", default="control"), variants={"treatment": "v2", "control": "v1"}
    )

    asked = ask(prompt, [], until_unix_us=1)

    assert asked is not None
    assert asked.question.variants == ("control", "treatment")
    assert asked.expected is None
    asked = ask(prompt, [], until_unix_us=1, flag_shares={"control": 90, "treatment": 10})
    assert asked is not None
    assert asked.expected == {"control": 0.9, "treatment": 0.1}


def test_without_an_experiment_or_a_rollout_there_is_nothing_to_ask() -> None:
    assert ask(replace(PROMPT, experiment=None), [], until_unix_us=1) is None
    assert ask(replace(PROMPT, rollout=None), [], until_unix_us=1) is None
