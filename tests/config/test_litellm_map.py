"""litellm's map as rows of the base table: what is taken, in which unit, and what is left out."""

import json
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.config.base_table import price_of
from proxy.config.litellm_map import MEMBER, NotAMap, convert, installed_map, parse_map, read_map

D = Decimal


def models(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return convert(rows).models


def row(provider: str = "openai", /, mode: str = "chat", **rates: object) -> dict[str, object]:
    return {"litellm_provider": provider, "mode": mode, **rates}


def test_rates_are_per_million_tokens_with_their_tiers_and_thresholds() -> None:
    table = models(
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
    table = models(
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
    table = models(
        {
            "a": row(input_cost_per_token=D(0), output_cost_per_token=D(0)),
            "b": row(input_cost_per_token=D("1e-06"), cache_read_input_token_cost=D(0), output_cost_per_token=D(0)),
            "m": row(mode="moderation", input_cost_per_token=D(0)),
        }
    )
    assert table == {"openai": {"b": {"input": "1"}, "m": {"free": True}}}


def test_audio_and_images() -> None:
    table = models(
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
    table = models(
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


def test_a_rate_in_another_unit_leaves_its_model_out() -> None:
    assert convert({"x": row(input_cost_per_token=D("0.0032"))}) == ({}, ["x"])


def test_cache_writes_of_each_time_to_live_and_of_each_length() -> None:
    """Where only the default's rate is listed, the longer ones keep the proportion."""
    table = models(
        {
            "gpt-x": row(
                input_cost_per_token=D("4e-06"),
                cache_creation_input_token_cost=D("5e-06"),
                cache_creation_input_token_cost_above_12hr=D("1e-05"),
                input_cost_per_token_above_272k_tokens=D("8e-06"),
                cache_creation_input_token_cost_above_272k_tokens=D("1e-05"),
            )
        }
    )["openai"]["gpt-x"]
    assert (table["write_5m"], table["write_12h"]) == ("5", "10")
    assert table["above"]["272000"] == {"input": "8", "write_5m": "10", "write_12h": "20"}


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"output_cost_per_image": D("0.04")}, {"image": "0.04"}),
        ({"input_cost_per_image": D("0.02")}, {"image": "0.02"}),
        (
            {"output_cost_per_image": D("0.04"), "output_cost_per_image_token": D("4e-05")},
            {"image_out": "40", "output": "40"},
        ),
        ({"input_cost_per_token": D("4e-08"), "output_cost_per_token": D("4e-08")}, None),
    ],
    ids=["each", "each by its other name", "by tokens", "images that are called tokens"],
)
def test_images_by_their_tokens_else_each(fields: dict[str, Decimal], made: dict[str, str] | None) -> None:
    assert models({"img": row(mode="image_generation", **fields)}) == ({"openai": {"img": made}} if made else {})


def test_sizes_of_an_image_model_are_left_out() -> None:
    fields = {"input_cost_per_image": D("0.04")}
    rows = {"low/1024-x-1024/grok": row("xai", mode="image_generation", **fields)}
    assert models(rows) == {}


def test_what_is_no_number_is_not_taken_for_one() -> None:
    odd = row(
        input_cost_per_token="0.1",
        output_cost_per_token=D("1e-06"),
        cache_read_input_token_cost=D("-1"),
        input_cost_per_request=True,
        search_context_cost_per_query=[1],
        provider_specific_entry="fast",
    )
    assert models({"x": odd}) == {"openai": {"x": {"output": "1"}}}


def test_every_name_of_a_row_is_a_rate_of_a_price() -> None:
    made = models(
        {
            "gpt-x": row(
                input_cost_per_token=D("4e-06"),
                cache_creation_input_token_cost_above_12hr=D("1e-05"),
                input_cost_per_request=D("0.1"),
            ),
            "img": row(mode="image_generation", output_cost_per_image=D("0.04")),
        }
    )["openai"]
    rates = price_of(made["gpt-x"]).card.standard
    assert (rates.input_usd_per_mtok, rates.cache_write_12h_usd_per_mtok, rates.usd_per_call) == (D(4), D(10), D("0.1"))
    assert price_of(made["img"]).card.standard.usd_per_image == D("0.04")


def test_a_map_is_read_from_a_file_a_wheel_and_a_folder_and_its_numbers_exactly(tmp_path: Path) -> None:
    raw = b'{"sample_spec": 1, "m": {"litellm_provider": "openai", "input_cost_per_token": 1.1e-07}}'
    (tmp_path / "map.json").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "litellm-1.whl", "w") as wheel:
        wheel.writestr(MEMBER, raw)
    (tmp_path / "litellm").mkdir()
    (tmp_path / MEMBER).write_bytes(raw)
    for source in (tmp_path / "map.json", tmp_path / "litellm-1.whl", tmp_path):
        assert read_map(source) == raw
    assert parse_map(raw) == {"m": {"litellm_provider": "openai", "input_cost_per_token": D("1.1e-07")}}


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[" * 100_000, b"[]", b'{"a": {}}', b'{"m": 1}'])
def test_another_file_is_no_map(raw: bytes) -> None:
    with pytest.raises(NotAMap):
        parse_map(raw)


def test_an_installed_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_map() is None
    (tmp_path / MEMBER).write_text(json.dumps({}))
    assert installed_map() == tmp_path / MEMBER
    assert "litellm" not in sys.modules
