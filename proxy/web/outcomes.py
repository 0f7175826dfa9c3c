"""/analytics/v1/…: what came of calls, told by apps and, where the configuration names their origins, by pages.

A page's origin is compared as a whole. A request that names another one is refused, also where no key is needed: a
strange page must not speak for the user of this machine. For the same reason the body must be declared as JSON, which a
browser sends to another origin only after it has asked.
"""

import logging
from collections.abc import Awaitable, Coroutine, Set
from typing import Any, Protocol, TypeVar

import orjson
from aiohttp import web

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import Forbidden, NotFound, ProxyError, UnsupportedEncoding
from proxy.domain.outcomes import Verb
from proxy.domain.paths import RequestTarget
from proxy.pipeline.outcome import OutcomeServices, hear, tell
from proxy.web.errors import MethodRefused, error_response
from proxy.web.gateway import raw_request

log = logging.getLogger(__name__)

PATH = "/analytics/v1/"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-LLM-Context, X-LLM-Feedback-Token,"
    " X-Promptlane-Key",
    "Access-Control-Max-Age": "7200",
}
"""For two hours, after which every browser asks again anyway."""
T = TypeVar("T")


class GoOn(Protocol):
    """What the edge does with work that is to be finished."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Have it finished, also when whoever waits for it is cancelled."""


async def take(
    request: web.BaseRequest, target: RequestTarget, services: OutcomeServices, go_on: GoOn
) -> web.StreamResponse:
    """Answer one request. Raises ProxyError for what is no outcome call, or comes from a page that may not."""
    verb = _verb_of(target)
    allowed = _for_page(request, verb, services.services.snapshot().outcomes.origins)
    if request.method == "OPTIONS" and allowed:
        return web.Response(status=204, headers={**allowed, **_PREFLIGHT})
    if request.method != "POST":
        raise MethodRefused("Use POST.", code="method_not_allowed")
    try:
        response = await _answer(request, target, verb, services, go_on)
    except ProxyError as error:
        response = _refused(error, verb, services)
    except ConnectionError:
        raise
    except Exception:
        log.exception("a bug while taking an outcome")
        public = ProxyError("The proxy failed to take the outcome. Quote the incident id to its operator.")
        response = _refused(public, verb, services)
    response.headers.update(allowed)
    if not request.content.at_eof():
        response.force_close()
    return response


def _verb_of(target: RequestTarget) -> Verb:
    name = target.raw_path.removeprefix(PATH)
    if name not in set(Verb):
        raise NotFound(f"Not found. Outcomes go to {PATH} and one of {', '.join(Verb)}.", code="not_found")
    return Verb(name)


def _for_page(request: web.BaseRequest, verb: Verb, origins: Set[str]) -> dict[str, str]:
    """The headers that let a page read the answer; none where no page asks. Raises Forbidden."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    if verb is not Verb.FEEDBACK or origin not in origins:
        raise Forbidden(
            "Pages may send feedback alone, from an origin under outcomes.origins of analytics.yaml.",
            code="origin_not_allowed",
        )
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Idempotent-Replayed, X-Request-Id",
        "Vary": "Origin",
    }


async def _answer(
    request: web.BaseRequest, target: RequestTarget, verb: Verb, services: OutcomeServices, go_on: GoOn
) -> web.Response:
    if request.content_type != "application/json":
        raise UnsupportedEncoding("Send JSON, with Content-Type: application/json.", code="json_required")
    if "Content-Encoding" in request.headers:
        raise UnsupportedEncoding("Send the body without a Content-Encoding.", code="unsupported_encoding")
    heard = await hear(raw_request(request, target, services.services), verb, services)
    receipt = await go_on(tell(heard, services))
    body = orjson.dumps({"uuids": receipt.uuids, "context_found": receipt.context_found})
    response = web.Response(status=202, body=body, content_type="application/json")
    if receipt.is_repeated:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _refused(error: ProxyError, verb: Verb, services: OutcomeServices) -> web.Response:
    services.count(verb, "refused")
    return error_response(error, Dialect.OPENAI)
