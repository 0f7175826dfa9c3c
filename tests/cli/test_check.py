import argparse
import json
from pathlib import Path

import pytest

from proxy.adapters.flags.fetch import Project
from proxy.adapters.flags.kept_file import FILE_NAME, Kept, write_kept
from proxy.cli import check
from proxy.domain.flag_definitions import kept_of
from tests.config.broken import read_cases
from tests.harness.flags import definitions, flag

KEY_HASH = "hmac-sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROMPTLANE_CONFIG", "PROMPTLANE_PRICING", "POSTHOG_API_KEY", "POSTHOG_HOST", "OPENAI_UPSTREAM_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    args = parser.parse_args(["check", *arguments])
    exit_code: int = args.run(args)
    return exit_code


def test_a_good_configuration_is_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "hidden-key")
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_hidden")
    (tmp_path / "routing.yaml").write_text(
        "version: 1\nproviders: {ours: {preset: openai, key_env: OURS}}\n"
        "models:\n  fast:\n    targets: [{provider: ours, model: m, weight: 9}, {provider: ours, model: n}]\n"
        "    fallback: [ours/o]\n"
        f'keys: [{{alias: web, hash: "{KEY_HASH}"}}]\n'
    )
    (tmp_path / "pricing.yaml").write_text(
        "version: 1\nmodels:\n"
        "  - {match: {provider: ours, model: m}, prices: [{input_usd_per_mtok: 0.4, output_usd_per_mtok: 1.6}]}\n"
        "  - {match: {model: n}, free: true}\n  - {match: {model: o}, prices: [{audio_input_usd_per_s: 1}]}\n"
    )
    assert run("--config", str(tmp_path), "--pricing", str(tmp_path / "pricing.yaml")) == 0
    printed = capsys.readouterr()
    for line in (
        "provider      ours (openai) https://api.openai.com/v1, the proxy's key",
        "model         fast → ours/m×9, ours/n×1 then ours/o",
        "other models  openai → ours",
        "other models  anthropic → refused",
        "proxy keys    web",
        "events        https://us.i.posthog.com",
        "  ours m: 1,000 input and 500 output tokens cost 0.001200 USD",
        "  * n: free",
        "  * o: 1,000 input and 500 output tokens cost no token price",
    ):
        assert line in printed.out.splitlines()
    assert "hidden" not in printed.out + printed.err


def test_what_is_wanted_of_calls_and_looked_at_in_answers_is_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "hidden-key")
    judge = "{model: strong, criteria: Helps., sends_content: true, sample: 0.05}"
    (tmp_path / "analytics.yaml").write_text("version: 1\nrequire_prompt_version: warn\n")
    (tmp_path / "routing.yaml").write_text(
        "version: 1\nproviders: {openai: {preset: openai}, ours: {preset: openai, key_env: OURS}}\n"
        "models:\n  strong: {target: ours/gpt-4.1}\n"
        "  fast:\n    target: openai/gpt-4.1-mini\n    require_prompt_version: enforce\n"
        f"    checks: [{{name: kind, refusal: never}}, {{name: good, judge: {judge}}}]\n"
    )
    assert run("--config", str(tmp_path)) == 0
    printed = capsys.readouterr()
    for line in (
        "  calls that name no prompt version: enforce",
        "  answers are checked: kind",
        "  answers are judged: good by strong, 0.05 of them, at most 6 a minute; question and answer go there",
        "versions      calls that name none: warn",
    ):
        assert line in printed.out.splitlines()
    assert printed.err == ""


def test_who_decides_on_a_rollout_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "routing.yaml").write_text(
        "version: 1\nmodels:\n"
        "  split: {rollout: {split: {a: 95, b: 5}, variants: {a: openai/gpt-4.1, b: openai/gpt-5}, default: b}}\n"
        "  flag: {rollout: {flag: test, variants: {control: openai}}, fallback: [openai/gpt-4.1]}\n"
    )
    assert run("--config", str(tmp_path)) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "model         split → a 95 %: openai/gpt-4.1, b 5 %: openai/gpt-5 by split model-split, else b" in printed
    assert "model         flag → control: openai by flag test, else control then openai/gpt-4.1" in printed


def test_flags_are_held_against_the_definitions_that_were_fetched_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_hidden")
    monkeypatch.setenv("POSTHOG_SECRET_KEY", "phs_hidden")
    project = Project(host="https://us.i.posthog.com", api_key="phc_hidden", secret_key="")
    kept = Kept(kept_of(definitions(flag("test", variants={"control": 100}))), None)
    write_kept(tmp_path / FILE_NAME, project, kept)
    (tmp_path / "routing.yaml").write_text(
        "version: 1\nmodels: {fast: {rollout: {flag: test, variants: {control: openai, new: openai/gpt-5}}}}\n"
    )
    assert run("--config", str(tmp_path), "--data", str(tmp_path)) == 0
    assert "warning: models.fast.rollout.variants.new: nobody gets it" in capsys.readouterr().err
    assert run("--config", str(tmp_path), "--data", str(tmp_path / "elsewhere")) == 0
    assert "models.fast.rollout" not in capsys.readouterr().err


def test_telemetry_is_summed_up_where_it_is_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "analytics.yaml").write_text("version: 1\notel: {traces: true, metrics: true}\n")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    for disabled, is_told in (("", True), ("true", False)):
        monkeypatch.setenv("OTEL_SDK_DISABLED", disabled)
        assert run("--config", str(tmp_path)) == 0
        told = "telemetry     traces and metrics go to an OpenTelemetry collector"
        assert (told in capsys.readouterr().out.splitlines()) is is_told


def test_a_key_that_nobody_can_use_and_a_missing_project_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "x")
    (tmp_path / "routing.yaml").write_text("version: 1\nproviders: {ours: {preset: openai, key_env: OURS}}\n")
    assert run("--config", str(tmp_path)) == 0
    printed = capsys.readouterr()
    assert "events        stay local: POSTHOG_API_KEY is not set" in printed.out
    assert printed.err == (
        f"{tmp_path}/routing.yaml:2:36: warning: providers.ours.key_env: "
        "nobody can use it: callers need a proxy key; add one with `promptlane keys new`\n"
    )


def test_every_problem_of_all_files_goes_to_the_error_stream_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = next(case for case in read_cases() if case.title == "everything at once, in every file")
    case.write(tmp_path)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    assert run("--config", str(tmp_path), "--pricing", str(tmp_path / "pricing.yaml")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert tuple(printed.err.replace(f"{tmp_path}/", "").splitlines()) == case.says


def test_variables_that_serve_would_refuse_are_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {
        "PROMPTLANE_LOG_LEVEL": "loud",
        "PROMPTLANE_PORT": "http",
        "PROMPTLANE_SECRET": "short",
        "PROMPTLANE_WORKERS": "0",
    }
    for name, value in refused.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "routing.yaml").write_text("version: 1\nlimits: {drain_s: soon}\n")
    assert run("--config", str(tmp_path), "--data", str(tmp_path / "data")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    told = [line.removeprefix("environment: ").partition(": ")[0] for line in printed.err.splitlines()]
    assert sorted(told[1:]) == sorted(refused)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_is_not_there_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", "nowhere-at-all") == 2
    assert capsys.readouterr().err == "nowhere-at-all: there is no such folder\n"


def test_a_price_that_looks_like_a_slip_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pricing = tmp_path / "pricing.yaml"
    price = "{from: 2999-01-01, input_usd_per_mtok: 0.0004}"
    pricing.write_text(f"version: 1\nmodels:\n  - {{match: {{model: gpt-4.1-mini}}, prices: [{price}]}}\n")
    assert run("--config", str(tmp_path), "--pricing", str(pricing)) == 0
    printed = capsys.readouterr()
    assert "is valid" in printed.out
    place = f"{pricing}:3:45: warning: models.0.prices.0"
    assert printed.err.splitlines() == [
        f"{place}.from: 2999-01-01 is more than a year ahead",
        f"{place}.input_usd_per_mtok: 0.0004 is about 1/1,000 of the built-in 0.4 of gpt-4.1-mini: "
        "is it per thousand tokens?",
    ]


def test_scripts_get_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "routing.yaml").write_text("version: 1\nlimits: {drain_s: soon}\n")
    (tmp_path / "routing.yml").write_text("")
    assert run("--json", "--config", str(tmp_path)) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["digest"], told["warnings"]) == (False, None, [])
    assert [(problem["file"], problem["line"], problem["column"], problem["path"]) for problem in told["problems"]] == [
        (f"{tmp_path}/routing.yaml", 2, 10, "limits.drain_s"),
        (f"{tmp_path}/routing.yml", None, None, ""),
    ]


def test_a_valid_configuration_as_json_has_its_digest_and_what_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "analytics.yaml").write_text("version: 1\nfamilies: {product: false, ai: false}\n")
    assert run("--json", "--config", str(tmp_path)) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert printed.err == ""
    assert (told["valid"], len(told["digest"]), told["problems"]) == (True, 12, [])
    assert told["warnings"] == [
        {
            "file": f"{tmp_path}/analytics.yaml",
            "line": 2,
            "column": 1,
            "path": "families",
            "message": "no event is made at all",
        }
    ]
