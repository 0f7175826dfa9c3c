from pathlib import Path

import pytest

from proxy.config import ConfigError, Configuration
from proxy.config.load import load
from proxy.domain.experiments import Experiment, Goal, Guardrail, OnBreach, Primary
from proxy.domain.prompts import ManagedPrompt

TWO = "versions: {pv_1: {variant: control, system: a}, pv_2: {system: b}}"


def loaded(folder: Path, text: str, env: dict[str, str] | None = None, **texts: bytes) -> Configuration:
    (folder / "prompts.yaml").write_text(f"version: 1\nprompts:\n{text}")
    for name, raw in texts.items():
        (folder / f"{name}.md").write_bytes(raw)
    return load(folder, folder / "pricing.yaml", env or {})


def prompt(folder: Path, text: str, **texts: bytes) -> ManagedPrompt:
    return loaded(folder, f"  support: {{{text}}}", {}, **texts).prompts.prompts["support"]


def content(folder: Path, version: str, variables: str = "{}", **texts: bytes) -> str:
    return (
        prompt(folder, f"variables: {variables}, versions: {{pv_1: {version}}}", **texts).versions["pv_1"].content_hash
    )


def test_a_version_says_what_it_sets(tmp_path: Path) -> None:
    settings = "model: m, temperature: 1.0, top_p: 0.5, max_tokens: 9, parameters: {seed: 7, x: [0.1]}"
    version = f"{{developer: {{file: a.md}}, {settings}}}"
    found = prompt(tmp_path, f"versions: {{pv_1: {version}}}", a=b"\xef\xbb\xbfOne\r\ntwo \n\n").versions["pv_1"]
    assert (found.role, found.text, found.model) == ("developer", "One\ntwo ", "m")
    assert found.parameters == {"temperature": 1, "top_p": 0.5, "max_tokens": 9, "seed": 7, "x": [0.1]}


def test_one_version_is_the_default_and_nobody_is_asked(tmp_path: Path) -> None:
    found = prompt(tmp_path, "versions: {pv_1: {system: a}}")
    assert (found.default, found.rollout, found.mode) == ("pv_1", None, "replace")


def test_a_flag_s_variants_lead_to_versions_by_name_or_id(tmp_path: Path) -> None:
    found = prompt(tmp_path, f"flag: support-test, default: pv_1, mode: fill, {TWO}")
    assert found.rollout is not None
    assert (found.rollout.flag, found.rollout.default, found.rollout.split) == ("support-test", "control", None)
    assert found.variants == {"control": "pv_1", "pv_2": "pv_2"}
    assert found.mode == "fill"


def test_a_split_goes_under_the_prompt_s_name_by_ids(tmp_path: Path) -> None:
    text = "split: {pv_1: 99.5, pv_2: 0.5}, default: pv_2, versions: {pv_1: {}, pv_2: {}}"
    found = prompt(tmp_path, text)
    assert found.rollout is not None
    assert found.rollout.split is not None
    assert (found.rollout.flag, found.rollout.default) == ("support", "pv_2")
    assert found.rollout.split.shares == (("pv_1", 99.5), ("pv_2", 0.5))
    assert found.variants == {"pv_1": "pv_1", "pv_2": "pv_2"}


def test_an_experiment_is_read_whole(tmp_path: Path) -> None:
    text = """
  support:
    split: {pv_1: 100}
    versions: {pv_1: {system: a}}
    experiment:
      primary: {event: ticket_resolved, property: resolved, goal: decrease}
      guardrails: [{metric: latency_ms, quantile: 0.95, max: 4000}, {metric: escalated, max_increase: 0.02}]
      on_breach: stop
      check_every_s: 5
"""
    assert loaded(tmp_path, text).prompts.prompts["support"].experiment == Experiment(
        primary=Primary(event="ticket_resolved", property="resolved", goal=Goal.DECREASE),
        guardrails=(
            Guardrail(metric="latency_ms", quantile=0.95, max=4000),
            Guardrail(metric="escalated", max_increase=0.02),
        ),
        on_breach=OnBreach.STOP,
        check_every_s=5,
    )


def test_the_content_s_hash_follows_all_that_a_version_sets(tmp_path: Path) -> None:
    plain = content(tmp_path, "{system: 'Hi {{a}}'}", "{a: x, b: y}")
    assert plain.startswith("sha256:")
    others = {
        content(tmp_path, "{system: 'Hi {{ a}}'}", "{a: x}"),
        content(tmp_path, "{developer: 'Hi {{a}}'}", "{a: x}"),
        content(tmp_path, "{system: 'Hi {{a}}', model: m}", "{a: x}"),
        content(tmp_path, "{system: 'Hi {{a}}', temperature: 0}", "{a: x}"),
        content(tmp_path, "{system: 'Hi {{a}}'}", "{a: z}"),
        content(tmp_path, "{system: 'Hi {{a}}'}", "{a: null}"),
    }
    assert len(others | {plain}) == 7


def test_what_is_not_content_leaves_the_hash_alone(tmp_path: Path) -> None:
    """Where the text stands, who gets it, line ends of another system, defaults of variables that it does not use."""
    plain = content(tmp_path, "{system: 'Hi {{a}}', temperature: 0.5}", "{a: x}")
    assert content(tmp_path, "{temperature: 0.50, system: 'Hi {{a}}'}", "{b: y, a: x}") == plain
    assert content(tmp_path, "{system: {file: t.md}, temperature: 0.5}", "{a: x}", t=b"Hi {{a}}\r\n") == plain
    found = prompt(
        tmp_path,
        "flag: f, mode: label, variables: {a: x}, "
        "versions: {pv_1: {variant: v, system: {file: t.md}, temperature: 0.5}}",
    )
    assert found.versions["pv_1"].content_hash == plain


def test_texts_count_for_the_digest_and_are_kept(tmp_path: Path) -> None:
    text = "  support: {versions: {pv_1: {system: {file: ./t.md}}}}"
    first, second = loaded(tmp_path, text, t=b"one"), loaded(tmp_path, text, t=b"two")
    assert first.digest != second.digest
    assert second.files[tmp_path / "t.md"] == b"two"


def test_variables_of_the_environment_are_read_here_and_not_in_files(tmp_path: Path) -> None:
    text = "  support: {default: pv_1, versions: {pv_1: {system: 'By ${WHO}'}, pv_2: {system: {file: '${WHO}.md'}}}}"
    found = loaded(tmp_path, text, {"WHO": "us"}, us=b"By ${WHO}").prompts.prompts["support"]
    assert [version.text for version in found.versions.values()] == ["By us", "By ${WHO}"]


def test_a_text_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than 1024 KiB"):
        prompt(tmp_path, "versions: {pv_1: {system: {file: t.md}}}", t=b"x" * 2_000_000)


@pytest.mark.parametrize(
    "broken", ["5", "[]", "{support: 3}", "{support: {versions: [3]}}", "{support: {versions: {v: 3}}}"]
)
def test_files_are_sought_in_whatever_is_written(tmp_path: Path, broken: str) -> None:
    (tmp_path / "prompts.yaml").write_text(f"version: 1\nprompts: {broken}")
    with pytest.raises(ConfigError):
        load(tmp_path, tmp_path / "pricing.yaml", {})
