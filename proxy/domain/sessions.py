"""Who may look at the pages: sessions, links and form tokens as signed texts, so that workers share nothing.

A text is `value.value.….signature`. Each kind is signed for its own purpose: a link is no session, and neither is a
form token. All are under one key, which comes from the installation's secret and from the tokens that open the
pages: when one of these changes, everybody has to log in again.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum

SESSION_S = 12 * 3_600
LINK_S = 3_600
"""How long a link that is printed may be followed, once."""


class Role(StrEnum):
    """What somebody may do. A `NOBODY` has a session too: that of the form in which to log in."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Session:
    """`id` is random and safe in a text with dots. `until_unix_s` is exclusive."""

    id: str
    role: Role
    until_unix_s: int


class Seal:
    """Signs, and believes only what it has signed."""

    def __init__(self, secret: bytes, *tokens: str | None) -> None:
        parts = [
            hmac.new(secret, (token or "").encode("utf-8", "surrogateescape"), "sha256").digest() for token in tokens
        ]
        self._key = hmac.new(secret, b"pages\0" + b"".join(parts), "sha256").digest()

    @property
    def cookie_name(self) -> str:
        """Of this installation alone: cookies of one host are not told apart by port."""
        return f"promptlane_{self._signature('cookie', '')[:8]}"

    def sealed(self, session: Session) -> str:
        """The session as a cookie's value."""
        return self._signed("session", f"{session.id}.{session.role}.{session.until_unix_s}")

    def opened(self, text: str, now_unix_s: int) -> Session | None:
        """The session that was sealed; None for anything else, and for one that is over."""
        match self._believed("session", text):
            case [session_id, role, until] if now_unix_s < int(until):
                return Session(session_id, Role(role), int(until))
        return None

    def form_token(self, session: Session) -> str:
        """What each form of the session carries, so that no other page can send one for it."""
        return self._signature("form", session.id)

    def is_form_token(self, text: str, session: Session) -> bool:
        """True for that token alone."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.form_token(session).encode())

    def link(self, link_id: str, now_unix_s: int) -> str:
        """A text that lets an admin in until an hour from now."""
        return self._signed("link", f"{link_id}.{now_unix_s + LINK_S}")

    def link_id(self, text: str, now_unix_s: int) -> str | None:
        """The id of a link that may still be followed, if it has not been yet."""
        match self._believed("link", text):
            case [link_id, until] if now_unix_s < int(until):
                return link_id
        return None

    def _signed(self, purpose: str, value: str) -> str:
        return f"{value}.{self._signature(purpose, value)}"

    def _believed(self, purpose: str, text: str) -> list[str]:
        value, _, signature = text.rpartition(".")
        told = signature.encode("utf-8", "surrogateescape")
        is_ours = hmac.compare_digest(told, self._signature(purpose, value).encode())
        return value.split(".") if is_ours else []

    def _signature(self, purpose: str, value: str) -> str:
        said = f"{purpose}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, said, "sha256").hexdigest()[:40]
