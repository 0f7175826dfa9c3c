import os
import re
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config.presets import ACCOUNTS
from proxy.config.secret import load_secret
from proxy.domain.keys import key_hash

pytestmark = pytest.mark.usefixtures("alone")
WRITTEN = [
    *(f"config/{name}.yaml" for name in ("routing", "analytics", "prompts", "alerts")),
    "pricing.yaml",
    ".env.example",
]
KEY = "sk-swordfish"


@pytest.fixture(autouse=True)
def _no_keys(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in ACCOUNTS:
        for name in (*account.key_variables, account.address_variable or ""):
            monkeypatch.delenv(name, raising=False)


def test_an_empty_folder_becomes_a_configuration_that_checks_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    assert [line.removeprefix("wrote ") for line in out.splitlines()[: len(WRITTEN)]] == WRITTEN
    assert "found    OPENAI_API_KEY, for provider openai\n" in out
    assert "missing  POSTHOG_API_KEY" in out
    assert out.splitlines()[-1].startswith("  promptlane serve")
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert "https://api.openai.com/v1, the caller's key" in told.out
    assert (told.err, KEY in out) == ("", False)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_exists_stays_unless_forced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    Path(name).write_text("mine")
    assert main(["init"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"{name}: this file exists"
    assert [path.name for path in Path().rglob("*") if path.is_file()] == [Path(name).name]
    assert Path(name).read_text() == "mine"
    assert main(["init", "--force"]) == 0
    assert "mine" not in Path(name).read_text()


def test_own_keys_are_spent_for_the_proxy_key_that_is_shown_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMPTLANE_SECRET")
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert main(["init", "--own-keys", "--dir", "a folder"]) == 0
    out = capsys.readouterr().out
    (key,) = re.findall(r"^  (plk_\S+)$", out, re.MULTILINE)
    assert "  cd 'a folder'\n" in out
    os.chdir("a folder")
    routing = Path("config/routing.yaml").read_text()
    assert "{preset: groq, key_env: GROQ_API_KEY}" in routing
    assert key_hash(key, load_secret({}, Path("data"))) in routing
    assert key not in "".join(path.read_text() for path in Path().rglob("*") if path.is_file())
    assert main(["check"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--own-keys"], {}, "--own-keys needs a provider's key in one of these variables: OPENAI_API_KEY, "),
        (["--own-keys"], {"OPENAI_API_KEY": KEY, "PROMPTLANE_SECRET": "short"}, "PROMPTLANE_SECRET"),
    ],
)
def test_own_keys_need_keys_and_a_secret(
    arguments: list[str],
    variables: dict[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["init", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [*Path().iterdir()] == []


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"AZURE_OPENAI_API_KEY": KEY}, "missing  AZURE_OPENAI_ENDPOINT, without which "),
        ({"POSTHOG_API_KEY": "phc_swordfish"}, "found    POSTHOG_API_KEY\n"),
        ({"POSTHOG_HOST": "https://eu.i.posthog.com"}, "(EU)\n"),
        ({"POSTHOG_HOST": "eu"}, "wrong    POSTHOG_HOST: "),
        ({}, "found    no provider's key: "),
    ],
)
def test_it_says_what_it_found(
    variables: dict[str, str], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    assert line in out
    assert "swordfish" not in out
