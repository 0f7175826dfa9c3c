"""What an operator begins with is valid as it stands, and so are its examples."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from proxy.config import Configuration
from proxy.config.advice import advise
from proxy.config.load import load
from proxy.config.presets import ACCOUNTS, ZERO_CONFIGURATION
from proxy.config.starter import find_accounts, starter_files
from proxy.domain.endpoints import Dialect

TODAY = date(2026, 11, 26)
HASH = "hmac-sha256:" + "0" * 64
AZURE = "https://x.openai.azure.com"
ALL: dict[str, str] = {account.key_variables[0]: "a-key" for account in ACCOUNTS} | {"AZURE_OPENAI_ENDPOINT": AZURE}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "none": {},
    "all": ALL,
    **{account.preset: {account.key_variables[0]: "a-key", "AZURE_OPENAI_ENDPOINT": AZURE} for account in ACCOUNTS},
}
each_environment = pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def files(env: Mapping[str, str], key_hash: str | None = None) -> dict[str, str]:
    return starter_files(find_accounts(env)[0], key_hash=key_hash)


def loaded(texts: Mapping[str, str], env: Mapping[str, str], folder: Path) -> Configuration:
    (folder / "config").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return load(folder / "config", folder / "pricing.yaml", env)


@pytest.mark.parametrize(
    ("env", "key_hash"),
    [
        pytest.param(env, key_hash, id=f"{name}, {'own keys' if key_hash else 'callers keys'}")
        for name, env in ENVIRONMENTS.items()
        for key_hash in (None, *([HASH] if env else []))
    ],
)
def test_the_files_load_without_a_warning(env: dict[str, str], key_hash: str | None, tmp_path: Path) -> None:
    configuration = loaded(files(env, key_hash), env, tmp_path)
    assert advise(configuration, env, TODAY) == []
    found = [each.name for each in find_accounts(env)[0]] or [*ZERO_CONFIGURATION]
    assert [*configuration.routing.providers] == found
    assert all(
        (provider.api_key is not None) is bool(key_hash) for provider in configuration.routing.providers.values()
    )


@each_environment
def test_the_example_of_a_model_is_valid(env: dict[str, str], tmp_path: Path) -> None:
    texts = files(env)
    routing = texts["config/routing.yaml"].replace("models: {}", "models:")
    start = routing.index("  # fast:")
    end = routing.index("\n\n", start)
    example = re.sub(r"^  # ", "  ", routing[start:end], flags=re.MULTILINE)
    configuration = loaded({**texts, "config/routing.yaml": routing[:start] + example + routing[end:]}, env, tmp_path)
    (route,) = [route for route in configuration.routing.routes if route.pattern == "fast"]
    assert ([target.weight for target in route.targets], len(route.fallback), route.retries.max) == ([9, 1], 1, 1)


def test_the_examples_of_alerts_are_valid(tmp_path: Path) -> None:
    text = files({})["config/alerts.yaml"].replace("rules: {}", "rules:").replace("# webhook", "webhook")
    env = {"PROMPTLANE_ALERT_WEBHOOK": "https://hooks.example/x"}
    alerts = loaded({"config/alerts.yaml": re.sub(r"^#  ", "  ", text, flags=re.MULTILINE)}, env, tmp_path).alerts
    assert [rule.name for rule in alerts.rules] == ["errors", "slow", "spend", "drift", "lost"]
    assert alerts.webhook_url == env["PROMPTLANE_ALERT_WEBHOOK"]


def test_what_is_no_default_is_named(tmp_path: Path) -> None:
    env = {"GROQ_API_KEY": "a", "OPENAI_API_KEY": "b", "GOOGLE_API_KEY": "c"}
    table = loaded(files(env), env, tmp_path).routing
    assert {dialect: default and default.name for dialect, default in table.defaults.items()} == {
        Dialect.OPENAI: "openai",
        Dialect.ANTHROPIC: None,
        Dialect.GEMINI: "gemini",
    }
    assert [(route.pattern, route.targets[0].label) for route in table.routes] == [
        ("groq/openai/gpt-oss-120b", "groq/openai/gpt-oss-120b")
    ]


def test_the_variables_are_listed_without_their_values() -> None:
    env = {"OPENAI_API_KEY": "swordfish", "GROQ_API_KEY": "swordfish"}
    for key_hash, lines in (
        (HASH, ["OPENAI_API_KEY=", "GROQ_API_KEY="]),
        (None, ["# OPENAI_API_KEY=", "# GROQ_API_KEY="]),
    ):
        texts = files(env, key_hash)
        assert texts[".env.example"].splitlines()[-2:] == lines
        assert "swordfish" not in "".join(texts.values())


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/", "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1"),
    ],
)
def test_an_azure_endpoint_becomes_the_v1_address(endpoint: str, address: str) -> None:
    ((found,), missing) = find_accounts({"AZURE_OPENAI_API_KEY": "a", "AZURE_OPENAI_ENDPOINT": endpoint})
    assert (found.base_url, missing) == (address, ())


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "AZURE_OPENAI_ENDPOINT, without which AZURE_OPENAI_API_KEY is of no use"),
        ({"AZURE_OPENAI_ENDPOINT": "x.openai.azure.com"}, "AZURE_OPENAI_ENDPOINT as an address: "),
    ],
)
def test_a_key_without_an_address_is_of_no_use(env: dict[str, str], missing: str) -> None:
    found, (remark,) = find_accounts({"AZURE_OPENAI_API_KEY": "a", **env})
    assert found == ()
    assert remark.startswith(missing)


def test_the_first_variable_counts_and_an_empty_one_does_not() -> None:
    assert [each.variable for each in find_accounts({"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": "a"})[0]] == [
        "GOOGLE_API_KEY"
    ]
    assert [each.variable for each in find_accounts({"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": "b"})[0]] == [
        "GEMINI_API_KEY"
    ]
