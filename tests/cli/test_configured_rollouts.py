from pathlib import Path

import pytest

from proxy.cli.configured_rollouts import prompt_named, rollout_named, rollouts_of
from proxy.cli.posthog_project import Misused
from proxy.config import Configuration
from proxy.config.load import load

PROMPTS = """\
version: 1
prompts:
  answer: {flag: answer-test, default: a, versions: {a: {system: A, variant: control}, b: {system: B, variant: new}}}
  greeting: {versions: {g: {system: G}}}
"""
ROUTING = """\
version: 1
providers: {local: {kind: openai, base_url: "http://127.0.0.1:1/v1", credentials: passthrough}}
models:
  fast:
    rollout:
      split: {old: 90, new: 10}
      default: old
      variants: {old: local/a, new: local/b}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    (tmp_path / "prompts.yaml").write_text(PROMPTS)
    (tmp_path / "routing.yaml").write_text(ROUTING)
    return load(tmp_path, tmp_path / "pricing.yaml", {})


def test_prompts_and_aliases_have_rollouts_whose_control_comes_first(configuration: Configuration) -> None:
    found = {named.name: (named.rollout.flag, named.variants) for named in rollouts_of(configuration)}

    assert found == {"answer": ("answer-test", ("control", "new")), "fast": ("model-fast", ("old", "new"))}


def test_a_rollout_goes_by_its_flag_too(configuration: Configuration) -> None:
    assert rollout_named(configuration, "answer-test").name == rollout_named(configuration, "answer").name == "answer"
    assert prompt_named(configuration.prompts, "answer-test").name == "answer"
    assert prompt_named(configuration.prompts, "greeting").name == "greeting"


def test_other_names_are_told_with_those_that_there_are(configuration: Configuration) -> None:
    with pytest.raises(Misused, match="there is answer, fast"):
        rollout_named(configuration, "greeting")
    with pytest.raises(Misused, match="there is answer, greeting"):
        prompt_named(configuration.prompts, "fast")
