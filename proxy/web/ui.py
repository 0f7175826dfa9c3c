"""/ui: lets in who may, and passes on what the pages' process has made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlencode

from aiohttp import web

from proxy.domain.endpoints import Dialect
from proxy.domain.errors import BadRequest, Unauthenticated
from proxy.domain.paths import RequestTarget
from proxy.domain.sessions import Role, Session
from proxy.pages import static
from proxy.pages.request import HTML, About, PageReply, PageRequest
from proxy.web.access import Access, cookie, is_own_form
from proxy.web.errors import MethodRefused, error_response

PREFIX = "/ui"
OF_KEYS = ("/ui/traces", "/ui/trace", "/ui/live")
"""Where the paths begin that a proxy key opens, to see its own calls."""
FORM_LIMIT_BYTES = 16_384
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "promptlane",
}
KEPT_FOR_EVER = "private, max-age=31536000, immutable"


class PageSource(Protocol):
    """Makes pages."""

    async def answer(self, request: PageRequest) -> PageReply:
        """One page; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ui:
    """What the pages are shown with."""

    access: Access
    pages: PageSource
    about: Callable[[], About]
    """What only this process knows."""


def is_ours(target: RequestTarget) -> bool:
    """True for the paths of pages."""
    return target.raw_path == PREFIX or target.raw_path.startswith(f"{PREFIX}/")


async def serve(request: web.BaseRequest, target: RequestTarget, ui: Ui) -> web.Response:
    """One request to a page. Raises Unauthenticated and BadRequest for those that are no browser's."""
    path = unquote(target.raw_path)
    if request.method in ("GET", "HEAD"):
        if path.startswith(static.PREFIX):
            return _static(path)
        session = ui.access.session(request)
        if path == "/ui/login":
            return await _login_page(request, target, ui, session)
        return await _page(request, path, target.raw_query, ui, session)
    if request.method != "POST":
        raise MethodRefused("Use GET.", code="method_not_allowed")
    form = await _form(request)
    session = ui.access.form_session(request) if path == "/ui/login" else ui.access.session(request)
    if not is_own_form(request, form.get("form_token", ""), session, ui.access.seal):
        return _html(403, await asyncio.to_thread(_rendered, "trouble.html", {"why": "form"}))
    if path in _FORMS:
        return await _FORMS[path](request, ui, form)
    assert session is not None
    reader = ui.access.reader(request, session)
    assert reader is not None
    asked = PageRequest(path=path, query=target.raw_query, reader=reader, about=ui.about(), form=form)
    return await _passed_on(await ui.pages.answer(asked))


async def _page(request: web.BaseRequest, path: str, raw_query: str, ui: Ui, session: Session | None) -> web.Response:
    reader = ui.access.reader(request, session)
    if reader is None:
        return _stranger(request, path, raw_query)
    if reader.key_alias is not None and not path.startswith(OF_KEYS):
        return _html(403, b"A proxy key opens the traces of its own calls, and no other page.")
    reply = await ui.pages.answer(
        PageRequest(
            path=path,
            query=raw_query,
            reader=reader,
            form_token=ui.access.seal.form_token(session) if session is not None else "",
            about=ui.about(),
        )
    )
    return await _passed_on(reply)


async def _passed_on(reply: PageReply) -> web.Response:
    if reply.status >= 500:
        return await _trouble(reply)
    headers = {**HEADERS, "Content-Type": reply.content_type}
    if reply.location is not None:
        headers["Location"] = reply.location
    if reply.file_name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{reply.file_name}"'
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def _trouble(reply: PageReply) -> web.Response:
    """The page that stands in for one that cannot be had now; where it can be soon, it asks again by itself."""
    told = await asyncio.to_thread(_rendered, "trouble.html", {"why": "starting" if reply.status == 503 else "failed"})
    response = _html(reply.status, told)
    if reply.status == 503:
        response.headers["Retry-After"] = "2"
    return response


def _stranger(request: web.BaseRequest, path: str, raw_query: str) -> web.Response:
    """To the form where a browser asks for a page; a refusal for all others.

    A browser that comes from another site does not send the cookie along. A page of our own that asks again at once
    makes it do so.
    """
    if "Authorization" in request.headers or "text/html" not in request.headers.get("Accept", ""):
        refused = Unauthenticated(
            "Send the token in PROMPTLANE_ADMIN_TOKEN or PROMPTLANE_VIEWER_TOKEN, or a proxy key, as a bearer token.",
            code="token_required",
        )
        return error_response(refused, Dialect.OPENAI)
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return _html(200, b'<!doctype html><title>Promptlane</title><meta http-equiv="refresh" content="0">')
    wanted = path + (f"?{raw_query}" if raw_query else "")
    return _see("/ui/login?" + urlencode({"next": wanted}))


async def _login_page(request: web.BaseRequest, target: RequestTarget, ui: Ui, session: Session | None) -> web.Response:
    told = parse_qs(target.raw_query)
    link = next(iter(told.get("link", ())), None)
    wanted = _local(next(iter(told.get("next", ())), PREFIX))
    if link is None:
        return await _login(request, ui, wanted, None)
    if session is not None and session.role is Role.ADMIN:
        return _see(wanted)  # followed twice
    if request.method == "HEAD":  # whoever only looks whether there is something must not use it up
        return _html(200, b"")
    if (role := ui.access.role_by_link(link)) is Role.NOBODY:
        return await _login(request, ui, wanted, "This link has been used, or is over an hour old.", status=403)
    return _logged_in(request, ui, role, wanted)


async def _login(
    request: web.BaseRequest, ui: Ui, wanted: str, problem: str | None, *, status: int = 200
) -> web.Response:
    """The form, with a session of its own, so that its token is this browser's alone."""
    session = ui.access.new_session(Role.NOBODY)
    values = {
        "form_token": ui.access.seal.form_token(session),
        "next": wanted,
        "problem": problem,
        "takes_tokens": bool(ui.access.admin_token or ui.access.viewer_token),
    }
    response = _html(status, await asyncio.to_thread(_rendered, "login.html", values))
    response.headers["Set-Cookie"] = cookie(request, ui.access.seal, session)
    return response


async def _take_token(request: web.BaseRequest, ui: Ui, form: Mapping[str, str]) -> web.Response:
    wanted = _local(form.get("next", PREFIX))
    if (role := ui.access.role_by_token(form.get("token", ""))) is Role.NOBODY:
        return await _login(request, ui, wanted, "This token opens nothing here.", status=403)
    return _logged_in(request, ui, role, wanted)


async def _log_out(request: web.BaseRequest, ui: Ui, _: Mapping[str, str]) -> web.Response:
    response = _see("/ui/login")
    response.headers["Set-Cookie"] = cookie(request, ui.access.seal, None)
    return response


_FORMS: Mapping[str, Callable[[web.BaseRequest, Ui, Mapping[str, str]], Awaitable[web.Response]]] = {
    "/ui/login": _take_token,
    "/ui/logout": _log_out,
}


def _logged_in(request: web.BaseRequest, ui: Ui, role: Role, wanted: str) -> web.Response:
    response = _see(wanted)
    response.headers["Set-Cookie"] = cookie(request, ui.access.seal, ui.access.new_session(role))
    return response


def _local(path: str) -> str:
    """A path of the pages, whatever somebody put into an address."""
    is_safe = path.startswith(f"{PREFIX}/") and path.isprintable() and "\\" not in path and path.isascii()
    return path if is_safe and not path.startswith("/ui/log") else PREFIX


async def _form(request: web.BaseRequest) -> dict[str, str]:
    if request.content_length is None or request.content_length > FORM_LIMIT_BYTES:
        raise BadRequest("The form is too large, or of unknown size.", code="bad_form")
    told = parse_qs((await request.read()).decode("utf-8", "replace"))
    return {name: values[0] for name, values in told.items()}


def _static(path: str) -> web.Response:
    name = path.rpartition("/")[2]
    if name not in static.TYPES or path != static.path_of(name):
        return _html(404, b"There is no such file.")
    headers = {**HEADERS, "Content-Type": static.TYPES[name], "Cache-Control": KEPT_FOR_EVER}
    return web.Response(body=static.content(name), headers=headers)


def _html(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, headers={**HEADERS, "Content-Type": HTML})


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={**HEADERS, "Location": path})


def _rendered(template: str, values: Mapping[str, Any]) -> bytes:
    """The templates' engine is loaded with the first page; it blocks."""
    from proxy.pages.render import render

    return render(template, **values)
