"""Calls of an app's tools as a reply makes them: who is called, and whether it is the same call again.

Of the arguments only a digest is kept, and that never leaves the process as it is.
"""

import re
from dataclasses import dataclass, field
from hashlib import blake2b

MOST_CALLS = 64
"""Of one reply, that are told apart by their ids."""
DIGEST_BYTES = 16
ID_LIMIT_CHARS = 200

CLIENT_TOOL_ITEMS = ("function_call", "custom_tool_call", "computer_call", "local_shell_call", "apply_patch_call")
"""Items of the Responses API that the caller has to run. What OpenAI runs itself (searches, code, MCP) is none of the
app's tools."""


_DRAWN = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{8,}|[A-Za-z0-9]{16,}|[0-9]{10,}", re.ASCII)


def is_drawn(call_id: str) -> bool:
    """True for an id that looks random (`call_7Gk2…`); some servers count instead (`functions.search:0`)."""
    return _DRAWN.search(call_id) is not None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call. The id is the provider's, "" where it gave none; the name is the model's word for a tool."""

    id: str
    name: str
    arguments: bytes = field(repr=False)
    """Digest of the arguments without their white space."""


class ToolCallDraft:
    """A call of which not all has arrived."""

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.name = ""
        self.has_arguments = False
        self._arguments = blake2b(digest_size=DIGEST_BYTES)

    def add_arguments(self, text: str) -> None:
        """A further piece of the arguments."""
        self.has_arguments = self.has_arguments or bool(text)
        self._arguments.update("".join(text.split()).encode("utf-8", "replace"))

    def finished(self) -> ToolCall:
        """The call as it stands."""
        return ToolCall(self.id[:ID_LIMIT_CHARS], self.name, self._arguments.digest())
