from datetime import date
from pathlib import Path
from typing import Any

import pytest

from proxy.config import ConfigError, Configuration
from proxy.config import load as loading
from proxy.config.changes import UNKNOWN, mark_of
from proxy.config.load import load, load_prices
from proxy.domain.endpoints import Dialect
from proxy.domain.usage import Usage

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT.parent / "shared" / "contracts" / "config.md"


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def loaded(folder: Path, **env: str) -> Configuration:
    return load(folder, folder / "pricing.yaml", env)


def refused(folder: Path, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, **env)
    return str(caught.value).replace(str(folder) + "/", "").splitlines()


def facts(configuration: Configuration) -> tuple[object, ...]:
    return (
        configuration.routing,
        configuration.keys,
        configuration.limits,
        configuration.drain_s,
        configuration.upstream_client,
        configuration.analytics,
        configuration.destination,
        configuration.prices.version,
        configuration.prices.rules,
    )


@pytest.mark.parametrize("env", [{}, {"OPENAI_UPSTREAM_URL": "http://127.0.0.1:1/v1"}])
def test_the_files_in_the_repository_say_what_holds_without_them(tmp_path: Path, env: dict[str, str]) -> None:
    written = load(ROOT / "config", ROOT / "pricing.yaml", env)
    assert facts(written) == facts(loaded(tmp_path, **env))
    assert [provider.api_key for provider in written.routing.providers.values()] == [None] * 3


def test_every_problem_of_every_file_is_shown_at_once_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        routing="version: 1\nproviders: {a: {preset: grok}}\nmodels: {m: {target: b}}\nlimits: {drain_s: never}\n",
        analytics="version: 1\ncapture: {content: full}\nenviroment: x\n",
        pricing="version: 1\nmodels: [{match: {model: m}}]\n",
    )
    found = refused(tmp_path, POSTHOG_HOST="nonsense")
    assert [line.split(": ")[:2] for line in found] == [
        ["analytics.yaml:2:11", "capture.content"],
        ["analytics.yaml:3:1", "enviroment"],
        ["pricing.yaml:2:10", "models.0"],
        ["routing.yaml:2:17", "providers.a.preset"],
        ["routing.yaml:3:14", "models.m.target"],
        ["routing.yaml:4:10", "limits.drain_s"],
        ["environment", "POSTHOG_HOST"],
    ]


def test_one_file_alone_leaves_the_others_to_their_defaults(tmp_path: Path) -> None:
    write(tmp_path, analytics="version: 1\nenvironment: staging\n")
    configuration = loaded(tmp_path)
    assert configuration.analytics.environment == "staging"
    assert set(configuration.routing.providers) == {"openai", "anthropic", "gemini"}


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_file_is_like_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, routing=text)
    assert facts(loaded(tmp_path)) == facts(loaded(tmp_path / "nowhere"))


def test_a_file_needs_its_version(tmp_path: Path) -> None:
    write(tmp_path, routing="providers: {}\n", analytics="version: 2\n")
    assert refused(tmp_path) == [
        "analytics.yaml:1:1: version: this release reads version 1 of this file; write `version: 1`",
        "routing.yaml:1:1: version: this key is required; begin the file with `version: 1`",
    ]


def test_a_digest_names_the_files_contents(tmp_path: Path) -> None:
    first = loaded(tmp_path)
    write(tmp_path, routing="version: 1\n")
    second = loaded(tmp_path)
    assert first.digest != second.digest == loaded(tmp_path, POSTHOG_API_KEY="phc_x").digest
    assert len(second.digest) == 12


def test_prices_of_ones_own_show_in_the_version(tmp_path: Path) -> None:
    base = loaded(tmp_path).prices.version
    assert base.startswith("litellm-")
    write(tmp_path, pricing="version: 1\nmodels: [{match: {model: m}, free: true}]\n")
    prices = loaded(tmp_path).prices
    assert prices.version.startswith(base + "+")
    cost = prices.price(Usage(), provider_label="x", provider_name="x", model="m", on=date(2026, 1, 1))
    assert cost.total_usd == 0
    assert cost.pricing_version == prices.version


@pytest.mark.parametrize("name", ["routing.yml", "analytics.yml", "prompts.yml"])
def test_a_file_that_would_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version: 1\n")
    assert refused(tmp_path) == [f"{name}: this file is not read; call it {name.replace('yml', 'yaml')}"]


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").mkdir()
    assert refused(tmp_path) == ["routing.yaml: this file cannot be read"]


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    write(tmp_path, routing="#" * 3_000_000)
    assert refused(tmp_path) == ["routing.yaml: the file is larger than 1024 KiB"]


def written_while_read(monkeypatch: pytest.MonkeyPatch, file: Path, times: int) -> None:
    """So often, the next reading finds half of what is there right after it."""
    whole = loading.read_files

    def disturbed(*places: Any) -> dict[Path, bytes]:
        nonlocal times
        files = whole(*places)
        if times > 0:
            times -= 1
            file.write_text(f"version: 1\nenvironment: whole-{times}\n")
        return files

    file.write_text("version: 1\n")
    monkeypatch.setattr(loading, "read_files", disturbed)


def test_a_file_that_was_written_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "analytics.yaml"
    written_while_read(monkeypatch, file, loading.READINGS - 1)
    seen = loading.look(tmp_path, tmp_path / "pricing.yaml", {})
    assert seen.usable().analytics.environment == "whole-0"
    assert seen.marks[file] == mark_of(file)


def test_a_file_that_is_written_all_the_time_has_no_mark_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "analytics.yaml"
    written_while_read(monkeypatch, file, loading.READINGS)
    assert loading.look(tmp_path, tmp_path / "pricing.yaml", {}).marks[file] == UNKNOWN


def test_no_secret_shows_in_the_configurations_repr(tmp_path: Path) -> None:
    write(
        tmp_path,
        routing="version: 1\nproviders: {openai: {preset: openai, key_env: K}}\n",
        analytics="version: 1\nidentity: {mode: hash, salt_env: S}\n",
    )
    configuration = loaded(tmp_path, K="hidden-key", S="hidden-salt", POSTHOG_API_KEY="phc_hidden")
    assert configuration.routing.providers["openai"].api_key == "hidden-key"
    assert "hidden" not in repr(configuration)


def test_a_place_that_cannot_be_looked_into_is_a_problem(tmp_path: Path) -> None:
    """Here by its name's length; one that belongs to somebody else is alike."""
    assert refused(tmp_path / ("x" * 300)) == ["routing.yaml: this file cannot be read"]


def test_the_contracts_own_examples_load(tmp_path: Path) -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract is not beside this checkout")
    blocks = {
        title.strip(): block.split("```yaml\n")[1].split("```")[0]
        for title, _, block in (part.partition("\n") for part in CONTRACT.read_text().split("\n## "))
        if "```yaml\n" in block
    }
    write(
        tmp_path,
        routing=blocks["config/routing.yaml"].replace("hmac-sha256:…", "hmac-sha256:" + "0" * 64),
        analytics=blocks["config/analytics.yaml"],
        pricing=blocks["pricing.yaml"],
    )
    configuration = loaded(tmp_path, OPENAI_API_KEY="sk-test", LOCAL_KEY="local")
    assert [route.pattern for route in configuration.routing.routes] == ["gpt-4.1-mini", "fast", "claude-*"]
    default = configuration.routing.defaults[Dialect.GEMINI]
    assert default is not None
    assert default.name == "gemini"
    assert configuration.analytics.trace_url == "http://127.0.0.1:4000/ui/traces/{trace_id}"
    assert len(configuration.prices.rules) == 2


def test_a_price_that_is_added_for_a_later_day_changes_no_earlier_call(tmp_path: Path) -> None:
    entry = "version: 1\nmodels:\n- match: {model: 'gpt-4.1*'}\n  prices:\n  - {from: 2026-01-01, usd_per_call: 1}\n"
    days = (date(2025, 12, 31), date(2026, 1, 1), date(2026, 11, 30), date(2026, 12, 1))
    totals = []
    for added in ("", "  - {from: 2026-12-01, usd_per_call: 2}\n"):
        write(tmp_path, pricing=entry + added)
        prices = loaded(tmp_path).prices
        costs = [
            prices.price(
                Usage(input_tokens=0, output_tokens=0),
                provider_label="openai",
                provider_name="openai",
                model="gpt-4.1",
                on=day,
            )
            for day in days
        ]
        totals.append([cost.total_usd for cost in costs])
    assert totals == [[0, 1, 1, 1], [0, 1, 1, 2]]


def test_prices_are_read_alone_where_the_rest_is_not_in_order(tmp_path: Path) -> None:
    write(tmp_path, routing="version: 2\n", pricing="version: 1\nmodels: [{match: {model: m}, free: true}]\n")
    (rule,) = load_prices(tmp_path / "pricing.yaml", {}).rules
    assert rule.model == "m"
    assert load_prices(tmp_path / "absent.yaml", {}).rules == ()
    write(tmp_path, pricing="version: 1\nmodels: [{match: {model: m}}]\n")
    with pytest.raises(ConfigError, match="give either"):
        load_prices(tmp_path / "pricing.yaml", {})
