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


@dataclass(frozen=True, slots=True)
class Account:
    """What to look for in an environment: a key of the host in one of the variables, the first of them counts."""

    preset: str
    key_variables: tuple[str, ...]
    example_model: str
    """One that the built-in prices know, for the entries and examples of a new file."""
    address_variable: str | None = None
    """Holds the address of a host that has no public one."""


ACCOUNTS = (
    Account("openai", ("OPENAI_API_KEY",), "gpt-4.1-mini"),
    Account("anthropic", ("ANTHROPIC_API_KEY",), "claude-haiku-4-5"),
    Account("gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "gemini-2.5-flash"),
    Account("azure_openai", ("AZURE_OPENAI_API_KEY",), "gpt-4.1-mini", "AZURE_OPENAI_ENDPOINT"),
    Account("openrouter", ("OPENROUTER_API_KEY",), "openai/gpt-4.1-mini"),
    Account("groq", ("GROQ_API_KEY",), "openai/gpt-oss-120b"),
    Account("deepseek", ("DEEPSEEK_API_KEY",), "deepseek-chat"),
    Account("mistral", ("MISTRAL_API_KEY",), "mistral-small-latest"),
    Account("xai", ("XAI_API_KEY",), "grok-4.20"),
    Account("together", ("TOGETHER_API_KEY",), "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    Account("fireworks", ("FIREWORKS_API_KEY",), "accounts/fireworks/models/llama-v3p3-70b-instruct"),
    Account("perplexity", ("PERPLEXITY_API_KEY",), "sonar"),
    Account("deepinfra", ("DEEPINFRA_API_KEY",), "meta-llama/Llama-3.3-70B-Instruct"),
    Account("cerebras", ("CEREBRAS_API_KEY",), "gpt-oss-120b"),
)
"""Known hosts with accounts, in the order in which one of them is preferred as the default of its dialect."""
