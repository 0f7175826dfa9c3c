"""Where LiteLLM's provider prefixes lead: a preset of ours, an address, or nowhere, and why."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.config.presets import PRESETS, Kind
from proxy.config.problems import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What stands behind a prefix. Without a preset it is any host that speaks OpenAI's dialect.

    `key_variable` and `address_variable` are what LiteLLM reads where the file gives no key or no address.
    """

    preset: str | None
    key_variable: str
    address_variable: str | None = None
    needs_key: bool = True
    """False for servers of one's own, which mostly ask for none."""

    @property
    def kind(self) -> Kind:
        """The wire dialect that apps will speak to it."""
        return PRESETS[self.preset].kind if self.preset and self.preset != "gemini" else "openai"


_OLLAMA = Host(preset="ollama", key_variable="OLLAMA_API_KEY", needs_key=False)
_ANY = Host(preset=None, key_variable="OPENAI_LIKE_API_KEY", address_variable="OPENAI_LIKE_API_BASE", needs_key=False)
_AZURE = Host(preset="azure_openai", key_variable="AZURE_API_KEY", address_variable="AZURE_API_BASE")
_OPENAI = Host(preset="openai", key_variable="OPENAI_API_KEY")

HOSTS = {
    "openai": _OPENAI,
    "text-completion-openai": _OPENAI,
    "azure": _AZURE,
    "azure_text": _AZURE,
    "anthropic": Host(preset="anthropic", key_variable="ANTHROPIC_API_KEY"),
    "gemini": Host(preset="gemini", key_variable="GEMINI_API_KEY"),
    "groq": Host(preset="groq", key_variable="GROQ_API_KEY"),
    "deepseek": Host(preset="deepseek", key_variable="DEEPSEEK_API_KEY"),
    "mistral": Host(preset="mistral", key_variable="MISTRAL_API_KEY"),
    "xai": Host(preset="xai", key_variable="XAI_API_KEY"),
    "together_ai": Host(preset="together", key_variable="TOGETHERAI_API_KEY"),
    "fireworks_ai": Host(preset="fireworks", key_variable="FIREWORKS_AI_API_KEY"),
    "perplexity": Host(preset="perplexity", key_variable="PERPLEXITYAI_API_KEY"),
    "deepinfra": Host(preset="deepinfra", key_variable="DEEPINFRA_API_KEY"),
    "cerebras": Host(preset="cerebras", key_variable="CEREBRAS_API_KEY"),
    "openrouter": Host(preset="openrouter", key_variable="OPENROUTER_API_KEY"),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    "hosted_vllm": Host(
        preset="vllm", key_variable="HOSTED_VLLM_API_KEY", address_variable="HOSTED_VLLM_API_BASE", needs_key=False
    ),
    "lm_studio": Host(
        preset="lmstudio", key_variable="LM_STUDIO_API_KEY", address_variable="LM_STUDIO_API_BASE", needs_key=False
    ),
    "llamafile": Host(preset="llamacpp", key_variable="LLAMAFILE_API_KEY", needs_key=False),
    "openai_like": _ANY,
    "custom_openai": _ANY,
    "litellm_proxy": Host(preset=None, key_variable="LITELLM_PROXY_API_KEY", address_variable="LITELLM_PROXY_API_BASE"),
}
_GEMINI_OPENAI_SURFACE = "https://generativelanguage.googleapis.com/v1beta/openai"

_BEDROCK = "Bedrock speaks no dialect that this version passes through; Claude is also at Anthropic's own API"
_VERTEX = "Vertex AI takes short-lived tokens of Google Cloud; Gemini and Claude are also at their makers' own APIs"
_SAGEMAKER = "SageMaker speaks no dialect that this version passes through"
_REASONS = {
    "bedrock": _BEDROCK,
    "bedrock_converse": _BEDROCK,
    "vertex_ai": _VERTEX,
    "vertex_ai_beta": _VERTEX,
    "sagemaker": _SAGEMAKER,
    "sagemaker_chat": _SAGEMAKER,
}
_OWN_NAMES = (
    ("anthropic", re.compile(r"claude-")),
    (
        "openai",
        re.compile(r"gpt-|chatgpt-|o[134](-|$)|text-embedding-|omni-|dall-e|whisper-|tts-|davinci-|babbage-|ft:"),
    ),
    ("vertex_ai", re.compile(r"gemini-")),
)
"""Names that LiteLLM knows without a prefix."""


def prefix_of(model: str, declared: str | None) -> tuple[str | None, str]:
    """The prefix of a model and the name that the provider gets; None where nothing says the provider."""
    prefix, slash, rest = model.partition("/")
    if slash and (prefix in HOSTS or prefix in _REASONS or declared in (None, prefix)):
        return prefix, rest
    if declared:
        return declared, model
    return next((name for name, own in _OWN_NAMES if own.match(model)), None), model


def why_not(prefix: str | None, model: str) -> str:
    """Why a prefix leads nowhere, and what to do instead; the same for all models of it, so that they share a line."""
    if prefix is None and model == "*":
        return "any model of any provider: write one entry for each provider, such as `openai/*`"
    if prefix is None:
        return "nothing says which provider the model is of: write it before the name, as in `openai/…`"
    return _REASONS.get(prefix) or (
        f"no host of the prefix {shown(prefix)} is known here; if it speaks OpenAI's dialect, add a provider with "
        "`kind: openai`, its `base_url` and a `key_env`"
    )


def own_address(host: Host) -> str:
    """The public address of a host that has one."""
    if host.preset == "gemini":
        return _GEMINI_OPENAI_SURFACE
    return (PRESETS[host.preset].base_url if host.preset else None) or ""


def provider_address(preset: str | None, api_base: str) -> str:
    """LiteLLM's address of a host as our `base_url`."""
    base = api_base.rstrip("/")
    if preset == "azure_openai":
        base = re.sub(r"/openai(/v1|/deployments/.*)?$", "", base)
        return f"{base}/openai/v1"
    if preset == "anthropic":
        return base.removesuffix("/v1/messages").removesuffix("/v1")
    if preset == "ollama":
        return f"{base.removesuffix('/v1')}/v1"
    return base


def provider_model(prefix: str, model: str) -> str:
    """LiteLLM's name of a model as the provider has it."""
    if prefix == "fireworks_ai" and not model.startswith("accounts/") and "*" not in model:
        return f"accounts/fireworks/models/{model}"
    if prefix in ("azure", "azure_text", "openai"):
        return re.sub(r"^(o_series|gpt5_series|responses)/", "", model)
    return model


def name_of_host(base_url: str) -> str:
    """A provider's name for an address without a preset: `example` of llm.example.com, `local` of an IP address."""
    if "${" in base_url:
        return "custom"
    labels = (urlsplit(base_url).hostname or "").split(".")
    label = re.sub(r"[^a-z0-9_-]", "", max(labels[:-1] or labels, key=len))[:40]
    return label if label[:1].isalpha() and label != "localhost" else "local"
