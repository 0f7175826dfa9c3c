"""What capture has kept of calls, for their spans. Each opening leaves a row, as a person's does.

What cannot be opened, whatever the reason, costs the span its content and nothing else.
"""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import apsw

from proxy.adapters.content.files import content_files
from proxy.adapters.content.opening import SERVICE, TRACES, NoKey, Opener
from proxy.adapters.otel.attributes import Attributes, operation
from proxy.adapters.otel.kept import Record
from proxy.adapters.otel.messages import of_content
from proxy.domain.content_key import VARIABLE, BadKey, keys_of

TOLD = frozenset({"chat", "text_completion", "generate_content"})
"""Operations whose spans have messages, by the conventions."""


class KeptContent:
    """Of one data folder: `with content:` opens its files, once for many calls."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opener: Opener | None = None
        self._leaving = ExitStack()

    def __enter__(self) -> Self:
        self._opener = None
        with suppress(apsw.Error, BadKey):
            keys_of(os.environ.get(VARIABLE, ""))
            if content_files(self._directory):
                self._opener = self._leaving.enter_context(Opener(self._directory, role=SERVICE, who=TRACES))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opener = None
        self._leaving.close()

    def is_kept(self, exchange_id: str) -> bool:
        """It could be told now. Opens nothing."""
        try:
            return self._opener is not None and self._opener.has(exchange_id)
        except apsw.Error:
            return False

    def of(self, record: Record) -> Attributes:
        """What the span of the call's last attempt says; nothing where nothing is kept, or nothing opens."""
        exchange_id, properties = record["exchange_id"], record["properties"]
        if operation(properties["endpoint"]) not in TOLD or not self.is_kept(exchange_id):
            return {}
        assert self._opener is not None
        try:
            found = self._opener.open(exchange_id)
            return of_content(found.document, properties.get("finish_reason")) if found is not None else {}
        except (apsw.Error, NoKey, ValueError, TypeError, RecursionError):
            return {}
