"""`outcomes:` of analytics.yaml: who may tell what came of calls, besides those who have a proxy key."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from proxy.config.document import Document
from proxy.config.fields import Matching, Name, Section
from proxy.domain.policy import OutcomePolicy, PublishableKey

_HOUR_S = 3600

PublishableText = Annotated[
    str,
    Matching(
        "publishable key",
        r"plp_[A-Za-z0-9_-]{12,64}",
        "a publishable key is plp_ and 12 to 64 letters, digits, `_` and `-` that you choose; it is no secret",
    ),
]
Origin = Annotated[
    str,
    Matching(
        "origin",
        r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?",
        "an origin is scheme, host and port as a browser sends them, such as https://app.example.com: in lower case, "
        "without a path, and without `*`",
    ),
]


class PublishableKeySection(Section):
    """A key that may stand in a page for all to see. It sends feedback, and nothing else."""

    key: PublishableText
    """The key itself, which is no secret: `plp_` and 12 to 64 letters and digits that you choose."""
    alias: Name
    """The proxy key, by its alias, whose calls may be rated with it. Calls without a proxy key may be, too."""


class OutcomesSection(Section):
    """Feedback from pages. Apps with a proxy key need nothing of this."""

    feedback_token_hours: Annotated[Decimal, Field(gt=0, le=8760, title="hours")] | None = None
    """How long the `X-LLM-Feedback-Token` of a reply lets its holder rate the call. Default: replies carry none."""
    publishable_keys: Annotated[tuple[PublishableKeySection, ...], Field(max_length=100)] = ()
    """Keys that may stand in a page."""
    origins: Annotated[tuple[Origin, ...], Field(max_length=100)] = ()
    """The web origins whose pages may send feedback, with a publishable key or a feedback token."""


def compile_outcomes(document: Document, section: OutcomesSection) -> OutcomePolicy:
    """The policy; problems go to the document."""
    keys = [entry.key for entry in section.publishable_keys]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            document.report(("outcomes", "publishable_keys", index, "key"), "this key stands above already")
    hours = section.feedback_token_hours
    return OutcomePolicy(
        feedback_token_s=None if hours is None else int(hours * _HOUR_S),
        publishable_keys=tuple(PublishableKey(entry.key, entry.alias) for entry in section.publishable_keys),
        origins=frozenset(section.origins),
    )
