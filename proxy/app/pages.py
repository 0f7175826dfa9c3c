"""The pages of one worker: who may see them, and what makes them."""

import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from proxy import __version__
from proxy.app.flags import FlagSwitch
from proxy.app.settings import Settings
from proxy.config import Configuration
from proxy.domain.credentials import Keyring
from proxy.domain.prompts import ManagedPrompt
from proxy.domain.sessions import Seal
from proxy.pages.process import PageProcess
from proxy.pages.request import About, PromptFacts
from proxy.pipeline.ports import SharedMemory
from proxy.web.access import Access
from proxy.web.ui import Ui


def ui_of(
    settings: Settings,
    pages: PageProcess,
    shared: SharedMemory,
    keyring: Callable[[], Keyring],
    about: Callable[[], About],
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


def about(configuration: Configuration, problems: Sequence[str], flags: FlagSwitch) -> About:
    """What pages tell of a worker and of what it runs with."""
    destination = configuration.destination
    providers = ", ".join(configuration.routing.providers)
    flag_state = "none asked for" if flags.service is None else "out of date" if flags.is_alarming else "fresh"
    return About(
        facts=(
            ("version", __version__),
            ("configuration", configuration.digest),
            ("providers", providers),
            ("events go to", destination.host if destination.api_key is not None else "nowhere: no POSTHOG_API_KEY"),
            ("flags of PostHog", flag_state),
        ),
        problems=problems,
        prompts=tuple(_facts_of(prompt) for prompt in configuration.prompts.prompts.values()),
    )


def _facts_of(prompt: ManagedPrompt) -> PromptFacts:
    rollout = prompt.rollout
    if rollout is None:
        return PromptFacts(name=prompt.name)
    control = {rollout.default: prompt.variants[rollout.default]} if rollout.default in prompt.variants else {}
    return PromptFacts(
        name=prompt.name,
        flag=rollout.flag,
        shares=dict(rollout.split.shares) if rollout.split is not None else None,
        variants={**control, **prompt.variants},
        experiment=prompt.experiment,
    )


def login_link(address: str, seal: Seal) -> str:
    """An address that lets in whoever opens it first, within an hour, as an admin."""
    return f"{address}/ui/login?link={seal.link(secrets.token_hex(8), int(time.time()))}"
