"""Calls that one of PostHog's own AI wrappers captures as well, as far as the wire shows it.

The wrappers of `@posthog/ai` for OpenAI and Azure are subclasses of the vendor's client, whose SDK sends the name of
its class: `PostHogOpenAI/JS 6.49.0`. So did Anthropic's SDK for a long time. That is the one certain trace, compared
request by request with unwrapped calls. Python's wrappers, the callbacks for LangChain, `withTracing` for Vercel's AI
SDK and the wrappers for Gemini send what the plain client would send.
"""

import re
from typing import Final

from proxy.domain.fields import Fields

SOURCE: Final = "user-agent"
REASON: Final = "posthog_wrapper"
WARNING = f"{SOURCE}:{REASON}"
"""How it stands in the warnings of a call."""

_WRAPPER = re.compile(r"PostHog[A-Za-z]+/JS ")


def is_wrapped_by_posthog(headers: Fields) -> bool:
    """True where the client names itself as a wrapper. False says nothing."""
    agent = headers.first(SOURCE)
    return agent is not None and _WRAPPER.match(agent) is not None
