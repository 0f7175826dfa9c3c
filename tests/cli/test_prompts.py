import json
from pathlib import Path

import pytest

from proxy.cli import main

PROMPTS = """\
version: 1
prompts:
  support:
    split: {pv_1: 90, pv_2: 10}
    default: pv_1
    variables: {customer: null, product: Promptlane}
    versions:
      pv_1: {model: gpt-4.1-mini, system: {file: v1.md}}
      pv_2: {system: "Help {{customer}} with {{product}}.", temperature: 0.2}
      pv_3: {}
  triage: {flag: triage-test, default: t_1, mode: label, versions: {t_1: {variant: control}, t_2: {}}}
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "prompts.yaml").write_text(PROMPTS)
    (tmp_path / "config" / "v1.md").write_text("Help.\n")
    return tmp_path / "config"


def rows(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_list_says_who_gets_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "ls"]) == 0
    _, first, second, third, control, other = rows(capsys)
    assert first[:7] == ["support", "pv_1", "90", "%,", "default", "gpt-4.1-mini", "5"]
    assert second[:6] == ["support", "pv_2", "10", "%", "-", "35"]
    assert third[2:5] == ["who", "names", "it"]
    assert control[2:4] == ["triage-test=control,", "default"]
    assert other[2] == "triage-test=t_2"
    assert {line[-1] for line in (first, second, third, control, other)} == {"*"}


def test_the_list_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "ls", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["prompt"], first["version"], first["is_locked"]) == ("support", "pv_1", False)
    assert first["content_hash"].startswith("sha256:")


def test_no_prompts_at_all(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "prompts.yaml").unlink()
    for words in (["ls"], ["lock"], ["lock", "--check"]):
        assert main(["prompts", *words]) == 0
    assert "no prompt is configured" in capsys.readouterr().out
    assert not (config / "prompts.lock").exists()


def test_a_version_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "support", "pv_2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("support/pv_2\n  content     sha256:")
    assert "  temperature 0.2\n" in out
    assert "  {{customer}}  each call brings it\n  {{product}}  without a value: Promptlane\n" in out
    assert out.endswith("\nHelp {{customer}} with {{product}}.\n")
    assert main(["prompts", "show", "support"]) == 0
    assert capsys.readouterr().out.startswith("support/pv_1 (default)\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [(["suport"], "unknown prompt `suport`; did you mean `support`?"), (["support", "pv_9"], "unknown version `pv_9`")],
)
def test_what_is_not_there_is_misuse(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", *words]) == 2
    assert says in capsys.readouterr().err


def test_locking_and_what_it_refuses_then(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "lock", "--check"]) == 1
    assert "support/pv_1: not recorded in config/prompts.lock" in capsys.readouterr().err
    assert main(["prompts", "lock"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "config/prompts.lock: 5 new"
    assert main(["prompts", "lock", "--check"]) == 0
    assert main(["prompts", "lock"]) == 0
    assert capsys.readouterr().out == "nothing to lock: every version is recorded\n"
    (config / "v1.md").write_text("Help more.\n")
    for words in (["prompts", "lock"], ["prompts", "lock", "--check"], ["prompts", "ls"], ["check"]):
        assert main(words) == 2
        assert "versions.pv_1: the content of this version has changed" in capsys.readouterr().err


def test_a_version_that_is_gone_keeps_its_line(config: Path) -> None:
    assert main(["prompts", "lock"]) == 0
    before = (config / "prompts.lock").read_text()
    (config / "prompts.yaml").write_text(PROMPTS.replace("pv_3", "pv_4"))
    assert main(["prompts", "lock"]) == 0
    after = (config / "prompts.lock").read_text()
    assert [line.split()[0] for line in after.splitlines() if line not in before.splitlines()] == ["support/pv_4"]
    assert all(line in after for line in before.splitlines())


def test_a_lock_that_cannot_be_written_is_a_failure(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "prompts.lock.new").mkdir()
    assert main(["prompts", "lock"]) == 1
    assert "cannot write config/prompts.lock" in capsys.readouterr().err


def test_the_check_says_who_gets_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "prompt        support → 90 %: pv_1, 10 %: pv_2 by split support, else pv_1 (replace)\n" in out
    assert "prompt        triage → control: t_1, t_2: t_2 by flag triage-test, else t_1 (label)\n" in out
