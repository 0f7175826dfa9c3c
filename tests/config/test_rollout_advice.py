from proxy.config.load import load
from proxy.config.rollout_advice import advise_rollouts
from proxy.domain.flag_definitions import read_definitions
from tests.harness.flags import condition, definitions, flag, holds

KEYS = {"POSTHOG_API_KEY": "phc_x", "POSTHOG_SECRET_KEY": "phs_x"}
ROUTING = "version: 1\nmodels:\n  fast: {rollout: {flag: answers, variants: {control: openai, test: openai/gpt-5}}}\n"
PROMPTS = """version: 1
prompts:
  support:
    flag: answers
    default: pv_1
    versions: {pv_0: {}, pv_1: {variant: control}, pv_2: {variant: test}}
"""


def said(tmp_path, *flags, env=KEYS, prompts=""):
    (tmp_path / "routing.yaml").write_text(ROUTING)
    (tmp_path / "prompts.yaml").write_text(prompts or "version: 1\n")
    configuration = load(tmp_path, tmp_path / "none.yaml", env)
    known = None if flags == (None,) else read_definitions(definitions(*flags))
    return [f"{problem.path}: {problem.message}" for problem in advise_rollouts(configuration, env, known)]


def test_a_flag_whose_variants_all_have_targets_is_fine(tmp_path):
    assert said(tmp_path, flag("answers", variants={"control": 50, "test": 50}), prompts=PROMPTS) == []


def test_without_definitions_nothing_is_known(tmp_path):
    assert said(tmp_path, None) == []


def test_missing_keys_are_told(tmp_path):
    assert said(tmp_path, None, env={"POSTHOG_API_KEY": "phc_x"}) == [
        "models.fast.rollout.flag: the default runs for everybody: POSTHOG_SECRET_KEY must be set to evaluate flags"
    ]
    assert "POSTHOG_API_KEY and POSTHOG_SECRET_KEY" in said(tmp_path, None, env={})[0]


def test_flags_that_decide_nothing_are_told(tmp_path):
    assert said(tmp_path, flag("answer")) == [
        "models.fast.rollout.flag: the default runs for everybody: the project has no flag of this key; "
        "did you mean `answer`?"
    ]
    both = {"control": 50, "test": 50}
    assert said(tmp_path, flag("answers", variants=both, active=False)) == [
        "models.fast.rollout.flag: the default runs for everybody: the flag is switched off in PostHog"
    ]
    costly = condition(holds("id", "exact", ["x"] * 5_001))
    assert said(tmp_path, flag("answers", costly, variants=both)) == [
        "models.fast.rollout.flag: the default runs for everybody: the flag's conditions make too many comparisons"
    ]


def test_variants_that_one_side_does_not_know_are_told_where_they_stand(tmp_path):
    assert said(tmp_path, flag("answers", variants={"control": 50, "treatment": 50}), prompts=PROMPTS) == [
        "prompts.support.flag: the default runs for these variants of the flag: treatment",
        "prompts.support.versions.pv_2.variant: nobody gets it: the flag has no variant of this name; it has control, "
        "treatment, false",
        "models.fast.rollout.flag: the default runs for these variants of the flag: treatment",
        "models.fast.rollout.variants.test: nobody gets it: the flag has no variant of this name; it has control, "
        "treatment, false",
    ]
    assert said(tmp_path, flag("answers"))[0] == (
        "models.fast.rollout.variants.control: nobody gets it: the flag has no variant of this name; it has true, false"
    )


def test_two_rollouts_of_one_key_that_deal_people_out_otherwise_are_told(tmp_path):
    variants = flag("answers", variants={"control": 50, "test": 50})
    by_split = "version: 1\nprompts:\n  answers: {split: {a: 50, b: 50}, default: a, versions: {a: {}, b: {}}}\n"
    assert said(tmp_path, variants, prompts=by_split) == [
        "models.fast.rollout: `answers` is the key of prompts.answers too, which deals people out otherwise: one "
        "person would have two variants of it in PostHog; use another key for one of them"
    ]
