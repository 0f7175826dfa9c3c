"""The pages of one worker: who may see them, and what makes them."""

import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from proxy.app.settings import Settings
from proxy.domain.credentials import Keyring
from proxy.domain.sessions import Seal
from proxy.pages.process import PageProcess
from proxy.pipeline.ports import SharedMemory
from proxy.web.access import Access
from proxy.web.ui import Ui


def ui_of(
    settings: Settings,
    pages: PageProcess,
    shared: SharedMemory,
    keyring: Callable[[], Keyring],
    about: Callable[[], Mapping[str, Any]],
) -> Ui:
    """What the edge shows pages with."""
    access = Access(
        seal=settings.seal,
        admin_token=settings.admin_token,
        viewer_token=settings.viewer_token,
        keyring=keyring,
        is_first_use=lambda link_id: shared.remember(sha256(f"link {link_id}".encode()).digest()[:16], b"used"),
        new_id=lambda: secrets.token_hex(16),
        unix_s=lambda: int(time.time()),
    )
    return Ui(access=access, pages=pages, about=about)


def login_link(address: str, seal: Seal) -> str:
    """An address that lets in whoever opens it first, within an hour, as an admin."""
    return f"{address}/ui/login?link={seal.link(secrets.token_hex(8), int(time.time()))}"
