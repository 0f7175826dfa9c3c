from pathlib import Path

from proxy.config.load import load

ROUTING = """
version: 1
models:
  fast:
    rollout: {flag: answers, variants: {control: openai/gpt-4.1, treatment: openai/gpt-5}}
"""
PROMPTS = """
version: 1
prompts: {support: {flag: of-the-prompt, default: pv_1, versions: {pv_1: {system: Help.}}}}
"""


def test_models_and_prompts_ask_for_flags(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").write_text(ROUTING)
    (tmp_path / "prompts.yaml").write_text(PROMPTS)
    assert load(tmp_path, tmp_path / "none.yaml", {}).flags == {"answers", "of-the-prompt"}
