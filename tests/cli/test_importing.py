from pathlib import Path

import pytest

from proxy.cli import main

pytestmark = pytest.mark.usefixtures("alone")
WHOLE = """\
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4.1-mini, api_key: os.environ/OPENAI_API_KEY, input_cost_per_token: 4e-7}
general_settings: {master_key: sk-swordfish, max_parallel_requests: 5}
"""
NOTHING = "model_list: [{model_name: a, litellm_params: {model: bedrock/a}}]\n"


def imported(text: str, *arguments: str) -> int:
    Path("litellm.yaml").write_text(text)
    return main(["import", "litellm", "litellm.yaml", *arguments])


def test_a_translation_is_written_told_and_checks_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-swordfish")
    assert imported(WHOLE, "--dir", "new") == 0
    out = capsys.readouterr().out
    routing = Path("new/config/routing.yaml").read_text()
    assert [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        "Not translated (1):",
        "To be done by hand (1):",
        "Variables that the files name:",
        "Next:",
    ]
    assert "  litellm.yaml:4: general_settings.max_parallel_requests: no rate limit is enforced here" in out
    assert "  OPENAI_API_KEY  set\n" in out
    assert "  cd new\n" in out
    assert "swordfish" not in out + routing
    monkeypatch.chdir("new")
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert "openai gpt-4.1-mini: 1,000 input" in told.out
    assert [line.split(": ")[3] for line in told.err.splitlines()] == ["nobody can use it"]


@pytest.mark.parametrize(
    ("text", "exit_code", "message"),
    [
        ("model_list: [", 2, "litellm.yaml:1:14: this is not valid YAML"),
        ("version: 1\nproviders: {}\n", 2, "litellm.yaml: this is no LiteLLM configuration"),
        (NOTHING, 1, "\nnothing was written: no model of the file could be translated\n"),
    ],
)
def test_where_there_is_nothing_to_write(
    text: str, exit_code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(text) == exit_code
    assert message in capsys.readouterr().err
    assert [str(path) for path in Path().iterdir()] == ["litellm.yaml"]


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "litellm", "absent.yaml"]) == 2
    assert capsys.readouterr().err == "absent.yaml: this file cannot be read\n"


def test_what_exists_stays_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pricing.yaml").write_text("mine")
    assert imported(WHOLE) == 2
    assert capsys.readouterr().err.startswith("pricing.yaml: this file exists\n")
    assert not Path("config").exists()
    assert imported(WHOLE, "--force") == 0
    assert "mine" not in Path("pricing.yaml").read_text()
