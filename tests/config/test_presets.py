import pytest

from proxy.config.addresses import base_address
from proxy.config.presets import PRESETS, ZERO_CONFIGURATION


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_address_is_one_that_a_file_could_hold(name: str) -> None:
    address = PRESETS[name].base_url
    assert address is None or base_address(address) == address


def test_servers_of_ones_own_are_local_and_all_others_encrypted() -> None:
    local = {name for name, preset in PRESETS.items() if preset.base_url and preset.base_url.startswith("http://127.")}
    assert local == {"vllm", "ollama", "llamacpp", "lmstudio"}
    others = [preset.base_url for name, preset in PRESETS.items() if name not in local and preset.base_url]
    assert all(address.startswith("https://") for address in others)


def test_without_a_file_there_is_one_provider_for_each_dialect() -> None:
    assert [PRESETS[name].kind for name in ZERO_CONFIGURATION] == ["openai", "anthropic", "gemini"]
    assert all(PRESETS[name].address_variable for name in ZERO_CONFIGURATION)


def test_hosts_that_report_usage_unasked_are_not_asked() -> None:
    assert {name for name, preset in PRESETS.items() if preset.include_usage == "never"} == {
        "openrouter", "groq", "mistral", "together", "fireworks", "perplexity",
    }  # fmt: skip
