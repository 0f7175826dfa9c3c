import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tools import prices

D = Decimal


def row(provider: str = "openai", /, mode: str = "chat", **rates: object) -> dict[str, object]:
    return {"litellm_provider": provider, "mode": mode, **rates}


def test_rates_are_per_million_tokens_with_their_tiers_and_thresholds() -> None:
    table = prices.convert(
        {
            "gpt-x": row(
                input_cost_per_token=D("4e-07"),
                cache_read_input_token_cost=D("1e-07"),
                output_cost_per_token=D("1.6e-06"),
                input_cost_per_token_flex=D("2e-07"),
                input_cost_per_token_above_272k_tokens=D("8e-07"),
                input_cost_per_token_above_272k_tokens_flex=D("4e-07"),
                search_context_cost_per_query={"low": D("0.01"), "high": D("0.025")},
                input_cost_per_request=D("0.005"),
            )
        }
    )
    calls = {"search": "0.025", "call": "0.005"}
    assert table["openai"]["gpt-x"] == {
        "input": "0.4", "cached": "0.1", "output": "1.6", **calls,
        "tiers": {"flex": {"input": "0.2", **calls}},
        "above": {"272000": {"input": "0.8", **calls, "tiers": {"flex": {"input": "0.4", **calls}}}},
    }  # fmt: skip


def test_a_tiers_one_hour_writes_keep_the_proportion_and_multipliers_are_taken() -> None:
    table = prices.convert(
        {
            "claude-x": row(
                "anthropic",
                input_cost_per_token=D("5e-06"),
                cache_creation_input_token_cost=D("6.25e-06"),
                cache_creation_input_token_cost_above_1hr=D("1e-05"),
                input_cost_per_token_batches=D("2.5e-06"),
                cache_creation_input_token_cost_batches=D("3.125e-06"),
                provider_specific_entry={"us": D("1.1"), "fast": D("2.0")},
            )
        }
    )["anthropic"]["claude-x"]
    assert table["tiers"]["batch"] == {"input": "2.5", "write_5m": "3.125", "write_1h": "5"}
    assert (table["speeds"], table["regions"]) == ({"fast": "2"}, {"us": "1.1"})


def test_a_zero_means_not_known_and_only_moderation_is_free() -> None:
    table = prices.convert(
        {
            "a": row(input_cost_per_token=D(0), output_cost_per_token=D(0)),
            "b": row(input_cost_per_token=D("1e-06"), cache_read_input_token_cost=D(0), output_cost_per_token=D(0)),
            "m": row(mode="moderation", input_cost_per_token=D(0)),
        }
    )
    assert table == {"openai": {"b": {"input": "1"}, "m": {"free": True}}}


def test_audio_and_images() -> None:
    table = prices.convert(
        {
            "whisper": row(
                mode="audio_transcription", input_cost_per_second=D("0.0001"), output_cost_per_second=D("0.0001")
            ),
            "image": row(
                mode="image_generation", input_cost_per_token=D("5e-06"), output_cost_per_image_token=D("4e-05")
            ),
            "gemini/g": row("gemini", input_cost_per_token=D("1e-06")),
        }
    )
    assert table["openai"]["whisper"] == {"audio_in_s": "0.0001"}
    assert table["openai"]["image"] == {"input": "5", "image_out": "40", "output": "40"}
    assert table["google"]["g"] == {"input": "1", "audio_in": "1"}


def test_names_lose_the_providers_prefix_and_regions_are_left_out() -> None:
    rate: dict[str, Any] = {"input_cost_per_token": D("1e-06")}
    table = prices.convert(
        {
            "azure/gpt-x": row("azure", **rate),
            "azure/eu/gpt-x": row("azure", **rate),
            "azure_ai/Other": row("azure_ai", **rate),
            "deepseek-chat": row("deepseek", input_cost_per_token=D("9e-06")),
            "deepseek/deepseek-chat": row("deepseek", **rate),
            "together_ai/meta/Llama": row("together_ai", **rate),
            "bedrock/x": row("bedrock", **rate),
            "video": row(mode="video_generation", **rate),
        }
    )
    assert {label: sorted(models) for label, models in table.items()} == {
        "azure_openai": ["gpt-x", "other"],
        "deepseek": ["deepseek-chat"],
        "together": ["meta/llama"],
    }
    assert table["deepseek"]["deepseek-chat"] == {"input": "1"}


def test_a_rate_in_another_unit_leaves_its_model_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.convert({"x": row(input_cost_per_token=D("0.0032"))}) == {}
    assert capsys.readouterr().err == "left out, a rate is out of range: x\n"


def test_a_map_that_is_not_the_pinned_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr(prices.MEMBER, "{}")
    assert prices.main(["--from", str(tmp_path / "x.whl")]) == 1
    (tmp_path / "litellm").mkdir()
    (tmp_path / prices.MEMBER).write_text("{}")
    assert prices.main(["--from", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count(prices.MAP_SHA256) == 2


def test_the_checked_in_table_is_of_the_pinned_map_and_in_the_renderers_form() -> None:
    text = prices.TARGET.read_text()
    made = json.loads(text)
    assert made["provenance"]["sha256"] == prices.MAP_SHA256
    assert made["provenance"]["version"] == prices.VERSION
    assert prices.render(made["models"], made["provenance"]["taken_on"]) == text
