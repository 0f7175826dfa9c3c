"""What pages are told of configuration."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from proxy.app.flags import FlagSwitch
from proxy.app.pages import about
from proxy.config.load import load
from proxy.domain.prompts import ManagedPrompt, PromptBook, PromptVersion
from proxy.domain.rollout import Rollout, Split


def test_pages_are_told_what_runs_and_how_prompts_are_rolled_out(tmp_path: Path) -> None:
    versions = {name: PromptVersion(id=name, text="SECRET INSTRUCTIONS") for name in ("v1", "v2")}
    split = Split.of({"warm": Decimal(20), "control": Decimal(80)})
    rolled = ManagedPrompt(
        name="support",
        versions=versions,
        default="v1",
        rollout=Rollout(flag="support-test", default="control", split=split),
        variants={"warm": "v2", "control": "v1"},
    )
    plain = ManagedPrompt(name="plain", versions=versions, default="v1")
    configuration = load(tmp_path / "config", tmp_path / "pricing.yaml", {"POSTHOG_HOST": "https://eu.i.posthog.com"})
    configuration = replace(configuration, prompts=PromptBook(prompts={"support": rolled, "plain": plain}))
    told = about(configuration, ["disk_full"], FlagSwitch(tmp_path, 0))
    assert dict(told.facts)["events go to"].startswith("nowhere")
    assert dict(told.facts)["configuration"] == configuration.digest
    assert told.problems == ["disk_full"]
    support, other = told.prompts
    assert list(support.variants.items()) == [("control", "v1"), ("warm", "v2")]
    assert (support.flag, support.shares) == ("support-test", {"warm": 20.0, "control": 80.0})
    assert (other.name, other.flag) == ("plain", None)
    assert "SECRET" not in repr(told)
