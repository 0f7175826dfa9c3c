"""One attempt as it goes on the wire, always built from the original request."""

from collections.abc import AsyncIterator, Callable

import orjson

from proxy.domain.endpoints import Dialect, with_gemini_model
from proxy.domain.errors import BadRequest
from proxy.domain.headers import upstream_headers, without_key_query
from proxy.domain.json_members import Edit, changed_members, only_text, spliced
from proxy.domain.limits import narrowed_timeouts
from proxy.domain.routing import Provider, Target
from proxy.pipeline.call import Body, Call
from proxy.pipeline.client_body import StreamedBody, WholeBody
from proxy.pipeline.ports import UpstreamRequest
from proxy.providers.include_usage import injection

_TAKES_STREAM_OPTIONS = frozenset({"chat", "completions"})


def wants_injection(call: Call, target: Target) -> bool:
    """True where the client streams without asking for usage and the target is not known to refuse it."""
    model_call = call.exchange.call
    return (
        model_call is not None
        and model_call.stream
        and not model_call.asks_for_usage
        and call.exchange.endpoint.api in _TAKES_STREAM_OPTIONS
        and target.provider.include_usage != "never"
        and target.provider.name not in call.services.refuses_usage
    )


def build_request(
    whole: Body,
    target: Target,
    call: Call,
    *,
    with_usage: bool,
    on_sent: Callable[[], None],
    on_begun: Callable[[], None],
) -> UpstreamRequest:
    """Apply the named edits (model alias, usage injection, credentials) and nothing else."""
    raw, new_name = call.raw, _new_name(call, target)
    body, is_edited = _body(whole, call, new_name, with_usage=with_usage)
    if (tap := call.exchange.tap) is not None and isinstance(whole, WholeBody):
        tap.request = body if is_edited and isinstance(body, bytes) else whole.decoded
    headers = upstream_headers(
        raw.headers,
        provider=target.provider,
        credentials=call.credentials,
        identity_encoding=bool(call.exchange.endpoint.api) or target.provider.api_key is not None,
        is_openai_surface=call.exchange.endpoint.host is not None,
        is_edited=is_edited,
        length_bytes=len(body) if isinstance(body, bytes) else raw.content_length if body is not None else None,
    )
    return UpstreamRequest(
        method=raw.method,
        url=_url(call, target.provider, new_name),
        headers=headers,
        body=body,
        timeouts=narrowed_timeouts(target.provider.timeouts, raw.headers),
        on_sent=on_sent,
        on_begun=on_begun,
    )


def _body(
    body: Body, call: Call, new_name: str | None, *, with_usage: bool
) -> tuple[bytes | AsyncIterator[bytes] | None, bool]:
    """The body, and whether it differs from what the client sent."""
    if isinstance(body, StreamedBody):
        if new_name is not None:
            raise BadRequest(
                "A model alias cannot be used with a multipart body; name the provider's own model.",
                code="alias_needs_json",
            )
        return (aiter(body) if call.raw.has_body else None), False
    edits: list[Edit] = []
    if new_name is not None and call.exchange.endpoint.dialect is not Dialect.GEMINI:
        edits += _renamed(body, new_name, call)
    if with_usage:
        edits += injection(body.decoded, body.members, body.facts.options)
    return (spliced(body.decoded, edits), True) if edits else (body.raw, body.is_edited)


def _renamed(body: WholeBody, new_name: str, call: Call) -> list[Edit]:
    """The body names a model where one was asked for."""
    value = orjson.dumps(new_name)
    is_named = call.exchange.call is not None and call.exchange.call.requested_model is not None
    if is_named and (member := only_text(body.decoded, "model")) is not None:
        return [Edit(member.value_start, member.value_end, value)]
    return changed_members(body.decoded, body.members(), {"model": value})


def _new_name(call: Call, target: Target) -> str | None:
    """What to call the model, where that is not what the client called it."""
    requested = call.exchange.call.requested_model if call.exchange.call else None
    wanted = target.model or call.exchange.asked_model
    return wanted if wanted != requested else None


def _url(call: Call, provider: Provider, new_name: str | None) -> str:
    """The configured base and the client's raw path and query, joined without decoding anything."""
    path, query = call.raw.target.raw_path, call.raw.target.raw_query
    base = provider.base_url
    if provider.dialect is Dialect.OPENAI or base.endswith("/v1"):
        path = path.removeprefix("/v1")
    if new_name is not None and call.exchange.endpoint.dialect is Dialect.GEMINI:
        path = with_gemini_model(path, new_name)
    if query and (call.credentials.spent_query or provider.api_key is not None):
        query = without_key_query(query)
    return f"{base}{path}?{query}" if query else f"{base}{path}"
