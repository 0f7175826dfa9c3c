"""Names of the GenAI semantic conventions, and what metrics say of an attempt by them; `kept` has what spans say.

The conventions' names stand here as text, because their home moves between packages. Ours begin with `promptlane.`.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from proxy.domain.ai_properties import error_of
from proxy.domain.call_properties import NO_CALL, NO_USAGE
from proxy.domain.errors import ErrorType
from proxy.domain.exchange import Attempt, Exchange
from proxy.domain.usage import Usage, UsageSource

Value = str | bool | int | float | tuple[str, ...]
Attributes = dict[str, Value]

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a name of the conventions
ERROR_TYPE = "error.type"
HTTP_STATUS = "http.response.status_code"
TARGET = "promptlane.target"

OPERATIONS = {
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "complete": "text_completion",
    "embed_content": "embeddings",
}
"""Endpoints whose operation has another name in the conventions."""
PROVIDERS = {
    "google": "gcp.gemini",
    "azure_openai": "azure.ai.openai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Labels of providers that have another name in the conventions."""
_INT64 = range(-(2**63), 2**63)


def operation(endpoint: str) -> str:
    """`gen_ai.operation.name` of an endpoint's name; from a closed list."""
    return OPERATIONS.get(endpoint, endpoint)


def of_target(exchange: Exchange, attempt: Attempt) -> Attributes:
    """Closed lists and configuration, nothing that came from outside: so the model is that of the target, if any."""
    provider = attempt.target.provider
    address, port = host_and_port(provider.base_url)
    return known(
        {
            OPERATION: operation(exchange.endpoint.name),
            PROVIDER: PROVIDERS.get(provider.label, provider.label),
            REQUEST_MODEL: attempt.target.model,
            "server.address": address,
            "server.port": port,
            TARGET: attempt.target.label,
            ERROR_TYPE: failure(error_of(exchange, attempt)[0]),
        }
    )


def failure(error_type: str | None) -> str | None:
    """`error.type`. A client that leaves has not failed, and nobody has failed it."""
    return None if error_type is None or error_type == ErrorType.CLIENT_DISCONNECT else str(error_type)


def first_chunk_s(exchange: Exchange, attempt: Attempt) -> float | None:
    """From the request's sending to the first bytes of a streamed reply."""
    if attempt.first_byte_ns is None or not (exchange.call or NO_CALL).stream:
        return None
    return (attempt.first_byte_ns - (attempt.sent_ns or attempt.started_ns)) / 1e9


def reported_usage(attempt: Attempt) -> Usage:
    """The tokens that the provider itself reported; where some are our estimate, none."""
    reading = attempt.reading
    is_reported = reading is not None and reading.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL)
    return reading.usage if reading is not None and is_reported else NO_USAGE


def known(values: Mapping[str, object]) -> Attributes:
    """Without what is not known, or is too large to encode; a member of an enumeration becomes plain text."""
    return {
        name: str(value) if isinstance(value, str) else value  # type: ignore[misc]
        for name, value in values.items()
        if value is not None and not (isinstance(value, int) and value not in _INT64)
    }


@lru_cache(maxsize=256)
def host_and_port(base_url: str) -> tuple[str | None, int]:
    """Of a provider's address; nothing else of it is for others."""
    parts = urlsplit(base_url)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
