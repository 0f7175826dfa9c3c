"""Who may see the pages: a session's cookie, or a token as a bearer's.

A page of another site cannot act here: each form carries a token of its session, must come from this very host, and
the cookie is not even sent along with what another site asks for.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from proxy.domain.credentials import Keyring, authenticate, is_token
from proxy.domain.fields import fields_of
from proxy.domain.sessions import SESSION_S, Role, Seal, Session
from proxy.pages.request import Reader

WRONG_TOKENS, WRONG_TOKENS_S = 10, 60
"""After so many wrong tokens within so many seconds nobody logs in with one for the rest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The tokens that open the pages, and what sessions are made of."""

    seal: Seal = field(repr=False)
    admin_token: str | None = field(repr=False)
    viewer_token: str | None = field(repr=False)
    keyring: Callable[[], Keyring]
    is_first_use: Callable[[str], bool]
    """True, once, for the id of a link."""
    new_id: Callable[[], str]
    unix_s: Callable[[], int]
    wrong_tokens: deque[int] = field(default_factory=lambda: deque(maxlen=WRONG_TOKENS))
    """When they came."""

    def session(self, request: web.BaseRequest) -> Session | None:
        """That of the request's cookie; None for strangers."""
        return self._opened(request.cookies.get(self.seal.cookie_name))

    def form_session(self, request: web.BaseRequest) -> Session | None:
        """That of the form in which to log in. It has a cookie of its own: whoever makes a browser open that form
        must not end a session by it.
        """
        return self._opened(request.cookies.get(f"{self.seal.cookie_name}_form"))

    def _opened(self, text: str | None) -> Session | None:
        return self.seal.opened(text, self.unix_s()) if text else None

    def new_session(self, role: Role) -> Session:
        """One that begins now."""
        return Session(self.new_id(), role, self.unix_s() + SESSION_S)

    def reader(self, request: web.BaseRequest, session: Session | None) -> Reader | None:
        """Who asks; None for strangers. A proxy key sees its own calls."""
        if session is not None:
            return Reader(is_admin=session.role is Role.ADMIN)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not bearer:
            return None
        if (role := self._role_of(bearer)) is not Role.NOBODY:
            return Reader(is_admin=role is Role.ADMIN)
        key = authenticate(fields_of(request.headers.items()), "", self.keyring()).key
        return Reader(is_admin=False, key_alias=key.alias) if key is not None else None

    def role_by_token(self, token: str) -> Role:
        """What a token that somebody types is good for."""
        now_s = self.unix_s()
        if len(self.wrong_tokens) == WRONG_TOKENS and self.wrong_tokens[0] > now_s - WRONG_TOKENS_S:
            return Role.NOBODY
        if (role := self._role_of(token)) is Role.NOBODY:
            self.wrong_tokens.append(now_s)
        return role

    def role_by_link(self, link: str) -> Role:
        """A link is good once."""
        link_id = self.seal.link_id(link, self.unix_s())
        return Role.ADMIN if link_id is not None and self.is_first_use(link_id) else Role.NOBODY

    def _role_of(self, token: str) -> Role:
        is_admin, is_viewer = is_token(token, self.admin_token), is_token(token, self.viewer_token)
        return Role.ADMIN if is_admin else Role.VIEWER if is_viewer else Role.NOBODY


def is_own_form(request: web.BaseRequest, form_token: str, session: Session | None, seal: Seal) -> bool:
    """True for a form that this session was shown on this host."""
    if session is None or not seal.is_form_token(form_token, session):
        return False
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")


def cookie(request: web.BaseRequest, seal: Seal, session: Session | None) -> str:
    """The value of `Set-Cookie`; without a session it takes the cookie away."""
    name = seal.cookie_name + ("_form" if session is not None and session.role is Role.NOBODY else "")
    value, age_s = (seal.sealed(session), SESSION_S) if session is not None else ("", 0)
    is_https = request.scheme == "https" or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    secure = "; Secure" if is_https else ""
    return f"{name}={value}; Path=/ui; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"
