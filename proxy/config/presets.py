"""Known hosts: what a provider entry need not say. Addresses are as each vendor's own documentation gives them."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["openai", "anthropic", "gemini", "azure_openai"]
IncludeUsage = Literal["auto", "inject", "never"]


@dataclass(frozen=True, slots=True)
class Preset:
    """`label` is what events and prices call the provider. `address_variable` may replace `base_url`."""

    label: str
    kind: Kind
    base_url: str | None
    include_usage: IncludeUsage = "auto"
    """"never" for hosts that always report usage, or that refuse `stream_options`."""
    address_variable: str | None = None


PRESETS: dict[str, Preset] = {
    "openai": Preset("openai", "openai", "https://api.openai.com/v1", address_variable="OPENAI_UPSTREAM_URL"),
    "anthropic": Preset(
        "anthropic", "anthropic", "https://api.anthropic.com", address_variable="ANTHROPIC_UPSTREAM_URL"
    ),
    "gemini": Preset(
        "google", "gemini", "https://generativelanguage.googleapis.com", address_variable="GEMINI_UPSTREAM_URL"
    ),
    "azure_openai": Preset("azure_openai", "azure_openai", None),
    "openrouter": Preset("openrouter", "openai", "https://openrouter.ai/api/v1", "never"),
    "groq": Preset("groq", "openai", "https://api.groq.com/openai/v1", "never"),
    "deepseek": Preset("deepseek", "openai", "https://api.deepseek.com"),
    "mistral": Preset("mistral", "openai", "https://api.mistral.ai/v1", "never"),
    "xai": Preset("xai", "openai", "https://api.x.ai/v1"),
    "together": Preset("together", "openai", "https://api.together.xyz/v1", "never"),
    "fireworks": Preset("fireworks", "openai", "https://api.fireworks.ai/inference/v1", "never"),
    "perplexity": Preset("perplexity", "openai", "https://api.perplexity.ai", "never"),
    "deepinfra": Preset("deepinfra", "openai", "https://api.deepinfra.com/v1/openai"),
    "cerebras": Preset("cerebras", "openai", "https://api.cerebras.ai/v1"),
    "vllm": Preset("vllm", "openai", "http://127.0.0.1:8000/v1"),
    "ollama": Preset("ollama", "openai", "http://127.0.0.1:11434/v1"),
    "llamacpp": Preset("llamacpp", "openai", "http://127.0.0.1:8080/v1"),
    "lmstudio": Preset("lmstudio", "openai", "http://127.0.0.1:1234/v1"),
}

ZERO_CONFIGURATION = ("openai", "anthropic", "gemini")
"""Presets that stand as pass-through providers of the same name where the file lists none."""
