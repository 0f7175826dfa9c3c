"""`promptlane price`: the working of a sum, and every way to misuse the verb."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main

pytestmark = pytest.mark.usefixtures("alone")

PRICING = """\
version: 1
models:
  - match: {provider: openai, model: "gpt-4.1-mini*"}
    prices:
      - from: 2025-04-14
        input_usd_per_mtok: 0.40
        cached_input_usd_per_mtok: 0.10
        output_usd_per_mtok: 1.60
        source: https://openai.com/api/pricing
        checked: 2026-11-20
      - {from: 2026-12-01, input_usd_per_mtok: 0.80, output_usd_per_mtok: 3.20}
  - match: {provider: local, model: "*"}
    free: true
"""


@pytest.fixture
def own_prices(tmp_path: Path) -> Path:
    """The operator's prices, in the folder where the command runs."""
    path = tmp_path / "pricing.yaml"
    path.write_text(PRICING)
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    assert main(["price", *arguments]) == code
    return capsys.readouterr().out.splitlines()


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    (line,) = said(capsys, *arguments, "--json", code=code)
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.usefixtures("own_prices")
def test_each_step_of_the_sum_and_where_its_price_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    counts = ("--input", "1_000", "--cached", "400", "--output", "1,500", "--cache-write-1h", "10")
    assert said(capsys, "gpt-4.1-mini-2025-04-14", *counts, "--on", "2026-11-25") == [
        "gpt-4.1-mini-2025-04-14 with openai, 2026-11-25",
        "",
        "  input           590 tokens × $0.40 per million    $0.000236",
        "  cached_input    400 tokens × $0.10 per million    $0.000040",
        "  cache_write_1h  10 tokens × $0.40 per million     $0.000004  by input_usd_per_mtok",
        "  output          1,500 tokens × $1.60 per million  $0.002400",
        "  total                                             $0.002680  partial",
        "",
        "price   pricing.yaml:5:9 (models.0.prices.0), since 2025-04-14",
        "        matches gpt-4.1-mini-2025-04-14 by provider openai, model gpt-4.1-mini*",
        "source  https://openai.com/api/pricing, checked 2026-11-20",
        "also    priced otherwise with azure_openai; name one with --provider",
        "gap     no rate for cache_write_1h",
        "to close it, add at pricing.yaml:5, with the right values:",
        "  cache_write_1h_usd_per_mtok: 0.00",
    ]


def test_the_built_in_table_with_multipliers_in_an_empty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "claude-opus-5", "--input", "1000", "--searches", "1", "--speed", "fast", "--region", "us")
    assert lines[2:5] == [
        "  input       1,000 tokens × $5.00 per million × 2.2  $0.011",
        "  web_search  1 search × $0.01                        $0.010",
        "  total                                               $0.021  priced",
    ]
    assert lines[6].startswith("price   built-in table litellm-")
    assert lines[6].endswith(", under anthropic as claude-opus-5")
    assert lines[7] == "terms   speed fast × 2, region us × 1.1"


def test_thresholds_and_tiers_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "gpt-6-sol", "--input", "300000", "--service-tier", "FLEX")
    assert "terms   input above 272,000 tokens, service tier flex" in lines
    assert "  total                                      $0.60  priced" in lines


def test_a_gap_of_the_built_in_table_comes_with_the_entry_that_closes_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "gpt-4.1-mini", "--input", "100", "--speed", "fast")
    assert "gap     no multiplier for the speed" in lines
    assert '- match: {provider: "openai", model: "gpt-4.1-mini"}' in lines
    assert "        fast: 1" in lines


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        (("gpt-4.1-mini",), "0.0012"),
        (("gpt-4.1-mini", "--service-tier", "default"), "0.0012"),
        (("gpt-4.1-mini", "--output", "1000"), "0.0016"),
        (("whisper-1", "--audio-seconds", "60"), "0.006"),
        (("grok-imagine-image", "--images", "3"), "0.06"),
        (("gpt-6-sol", "--input", "900", "--cache-write-5m", "400", "--cache-write-12h", "500"), "0.0035"),
        (("anthropic/claude-opus-5", "--provider", "openrouter"), "0.0175"),
        (("gemini-2.5-pro", "--input", "300000"), "0.75"),
        (("claude-opus-5@20250929", "--provider", "anthropic"), "0.0175"),
    ],
)
def test_what_people_ask(arguments: tuple[str, ...], total: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, *arguments)
    assert (found["status"], found["total_usd"], found["gaps"]) == ("priced", total, [])


@pytest.mark.usefixtures("own_prices")
def test_the_price_is_that_of_the_day(capsys: pytest.CaptureFixture[str]) -> None:
    totals = {
        on: (found["total_usd"], found["since"], found["line"])
        for on in ("2025-01-01", "2026-11-30", "2026-12-01")
        for found in [told(capsys, "gpt-4.1-mini", "--on", on)]
    }
    assert totals == {
        "2025-01-01": ("0.0012", None, None),
        "2026-11-30": ("0.0012", "2025-04-14", 5),
        "2026-12-01": ("0.0024", "2026-12-01", 11),
    }


@pytest.mark.usefixtures("own_prices")
def test_an_entry_for_all_that_a_provider_has_holds_where_the_provider_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = told(capsys, "qwen3", "--provider", "local")
    assert (found["total_usd"], found["list"], found["path"]) == ("0", "pricing.yaml", "models.1")
    lines = said(capsys, "qwen3", code=1)
    assert "any model has a price with local: name it with --provider" in lines


def test_what_routing_yaml_names_is_known(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "routing.yaml").write_text(
        "version: 1\nproviders: {ours: {preset: mistral, credentials: passthrough}}\n"
        "models: {fast: {target: ours/mistral-large-latest}}\n"
    )
    lines = said(capsys, "fast", code=1)
    assert lines[-1] == "routing.yaml has the name for ours/mistral-large-latest: what answers is what is priced"
    assert told(capsys, "mistral-large-latest", "--provider", "ours")["provider"] == "ours"


def test_a_configuration_with_another_problem_still_prices(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "routing.yaml").write_text("version: 2\n")
    assert main(["price", "gpt-4.1-mini"]) == 0
    printed = capsys.readouterr()
    assert "what routing.yaml names is not known" in printed.err
    assert "gpt-4.1-mini with openai" in printed.out


def test_an_unknown_model_has_near_names_and_an_entry_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "gtp-4.1-mini", "--on", "2026-11-25", code=1)
    assert lines[0] == "no price for `gtp-4.1-mini`"
    assert lines[1].startswith("near: gpt-4.1-mini")
    assert '- match: {provider: "*", model: "gtp-4.1-mini"}' in lines
    found = told(capsys, "gtp-4.1-mini", code=1)
    assert (found["status"], found["near"][0]) == ("unpriced", "gpt-4.1-mini")


def test_a_key_that_was_typed_in_place_of_a_model_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    key = "sk-proj-4f9a8b7c6d5e4f3a2b1c"
    for options in ([], ["--json"]):
        assert main(["price", key, *options]) == 1
        printed = capsys.readouterr()
        assert key not in printed.out + printed.err


@pytest.mark.usefixtures("own_prices")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gpt-4.1", "--provider", "opnai"), "unknown provider `opnai`; did you mean `openai`?"),
        (("gpt-4.1", "--limit", "3"), "--limit: for `promptlane price check` alone"),
        (("check", "--input", "3", "--region", "us"), "--input, --region: for `promptlane price MODEL` alone"),
        (("gpt-4.1", "--input", "10", "--cached", "11"), "these counts contradict each other: cached 11"),
        (("gpt-4.1", "--pricing", "nowhere.yaml"), "nowhere.yaml: there is no such file"),
    ],
)
def test_a_misuse_is_said(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["price", *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, words in printed.err) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: MODEL"),
        (("m", "--input", "-3"), "--input: a whole number, 0 or more"),
        (("m", "--input", "1.5"), "--input: a whole number, 0 or more"),
        (("m", "--audio-seconds", "nan"), "--audio-seconds: a number of seconds, 0 or more"),
        (("m", "--audio-seconds", "long"), "--audio-seconds: a number of seconds, 0 or more"),
        (("m", "--on", "yesterday"), "--on: a date, year first, such as 2026-11-20"),
    ],
)
def test_a_value_that_is_none_is_said(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["price", *arguments])
    assert refused.value.code == 2
    assert words in capsys.readouterr().err


def test_a_broken_price_file_is_told_as_by_check(capsys: pytest.CaptureFixture[str], own_prices: Path) -> None:
    own_prices.write_text("version: 1\nmodels: [{match: {model: m}}]\n")
    assert main(["price", "gpt-4.1"]) == 2
    assert "pricing.yaml:2:10: models.0: give either" in capsys.readouterr().err


@pytest.mark.usefixtures("own_prices")
def test_the_prices_are_held_against_what_is_at_hand(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    row = {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 8e-07,
        "output_cost_per_token": 1.6e-06,
    }
    (tmp_path / "map.json").write_text(json.dumps({"gpt-4.1-mini": row}))
    lines = said(capsys, "check", "--litellm", "map.json", "--on", "2026-11-25")
    assert lines[0].startswith("prices litellm-")
    assert lines[2].startswith("map.json: 2 models compared, 2 rates agree, 2 models differ")
    assert lines[3:] == [
        "  openai",
        "    gpt-4.1-mini",
        "      input_usd_per_mtok                            ours 0.4        theirs 0.8        ×0.5",
        "  pricing.yaml:5",
        "    gpt-4.1-mini",
        "      input_usd_per_mtok                            ours 0.4        theirs 0.8        ×0.5",
    ]
    found = told(capsys, "check", "--litellm", "map.json", "--limit", "1")
    assert [len(source["differences"]) for source in found["sources"]] == [1]


def test_genai_prices_data_and_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["price", "check", "--genai", "--litellm", "nowhere.json", "--limit", "2"]) == 1
    printed = capsys.readouterr()
    assert "genai-prices " in printed.out
    assert "more lines; --limit 0 shows all" in printed.out
    assert printed.err == "promptlane price check: nowhere.json: this cannot be read\n"
