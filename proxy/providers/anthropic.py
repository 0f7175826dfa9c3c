"""Anthropic's Messages, streamed or whole.

On the wire `input_tokens` leaves the cache out; here it is added in. A stream's `message_start` knows the
input and holds a placeholder for the output, which counts for nothing; each `message_delta` then gives the
output so far, and may repeat or raise the input (server tools read pages). A later value replaces an earlier
one, but a 0 in a delta does not take back input that the start had stated: bridges to other providers send
zeros at one end or the other.
"""

import orjson

from proxy.domain.tool_calls import ToolCallDraft
from proxy.domain.usage import Usage
from proxy.providers.draft import TRACKED_LIMIT, Draft
from proxy.providers.untrusted import Json, count, label, mapping, objects, text

_INPUT_KEYS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_LABEL_KEYS = ("service_tier", "speed", "inference_geo")


class MessagesCodec:
    """Reads message events and `message` objects."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        draft.text_key = b'"text":"'
        self._tally = UsageTally()
        self._calls: dict[int, ToolCallDraft] = {}
        """By position of their block."""

    def on_event(self, name: str, body: Json) -> None:
        """One event; unknown kinds say nothing."""
        kind = body.get("type") or name
        if kind == "content_block_delta":
            self._read_delta(mapping(body.get("delta")), body.get("index"))
        elif kind == "content_block_start":
            self._start_block(body.get("index"), mapping(body.get("content_block")))
        elif kind == "message_start":
            message = mapping(body.get("message"))
            self._draft.identify(message)
            self._tally.take(mapping(message.get("usage")), is_start=True)
        elif kind == "message_delta":
            self._stop(mapping(body.get("delta")))
            self._tally.take(mapping(body.get("usage")))
        elif kind == "message_stop":
            self._draft.is_terminal = True

    def on_document(self, body: Json) -> None:
        """A whole message."""
        self._draft.identify(body)
        for position, block in enumerate(objects(body.get("content"))):
            self._start_block(position, block)
            if given := block.get("input"):
                self._add_arguments(orjson.dumps(given).decode(), position)
        self._stop(body)
        self._tally.take(mapping(body.get("usage")))
        self._draft.is_terminal = True

    def conclude(self) -> None:
        """Add up the usage."""
        self._draft.usage = self._tally.total()

    def _read_delta(self, delta: Json, position: object) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._draft.only_text = text(delta.get("text"))
            self._draft.add_answer(self._draft.only_text)
        elif kind == "input_json_delta":
            self._add_arguments(text(delta.get("partial_json")), position)
        elif kind == "thinking_delta":
            self._draft.add_text(text(delta.get("thinking")))
        elif kind == "citations_delta":
            self._draft.has_citation = True

    def _start_block(self, position: object, block: Json) -> None:
        kind = block.get("type")
        if kind == "tool_use" and isinstance(position, int):
            if position not in self._calls and len(self._calls) < TRACKED_LIMIT:
                self._calls[position] = self._draft.add_tool_call(label(block.get("name")), text(block.get("id")))
            return
        if kind == "server_tool_use":
            self._draft.mark_output()
        self._draft.add_text(text(block.get("thinking")))
        self._draft.add_answer(text(block.get("text")))
        if block.get("citations"):
            self._draft.has_citation = True

    def _add_arguments(self, arguments: str, position: object) -> None:
        self._draft.add_text(arguments)
        if isinstance(position, int) and (call := self._calls.get(position)) is not None:
            call.add_arguments(arguments)

    def _stop(self, delta: Json) -> None:
        reason = label(delta.get("stop_reason"))
        if reason is not None:
            self._draft.finish_reason = reason
            self._draft.has_refusal = self._draft.has_refusal or reason == "refusal"


class UsageTally:
    """Merges the usage objects of one message."""

    def __init__(self) -> None:
        self._inputs: dict[str, int | None] = {}
        self._writes: Json = {}
        self._output_tokens: int | None = None
        self._output_details: Json = {}
        self._searches: int | None = None
        self._labels: dict[str, str] = {}

    def take(self, usage: Json, *, is_start: bool = False) -> None:
        """One usage object; `is_start`: its output count is a placeholder."""
        for key in _INPUT_KEYS:
            value = usage.get(key)
            if value is not None and (value != 0 or not self._inputs.get(key)):
                self._inputs[key] = count(value)
        if writes := mapping(usage.get("cache_creation")):
            self._writes = writes
        for key in _LABEL_KEYS:
            if name := label(usage.get(key)):
                self._labels[key] = name
        self._searches = _later(self._searches, mapping(usage.get("server_tool_use")))
        if not is_start and usage.get("output_tokens") is not None:
            self._output_tokens = count(usage["output_tokens"])
            self._output_details = mapping(usage.get("output_tokens_details"))

    def total(self) -> Usage:
        """All that was said, with the cache as part of the input. `iterations` are not added: they are
        either in the totals already or another model's."""
        read, written, short, long = self._cache()
        uncached = self._inputs.get("input_tokens")
        is_whole = uncached is not None and read is not None and written is not None
        return Usage(
            input_tokens=(uncached or 0) + (read or 0) + (written or 0) if is_whole else None,
            output_tokens=self._output_tokens,
            cached_input_tokens=read if uncached is not None else None,
            cache_creation_input_tokens=written if uncached is not None else None,
            cache_creation_5m_tokens=short,
            cache_creation_1h_tokens=long,
            reasoning_tokens=self._reasoning(),
            web_search_calls=self._searches,
            service_tier=self._labels.get("service_tier"),
            speed=self._labels.get("speed"),
            inference_geo=self._labels.get("inference_geo"),
        )

    def _cache(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Reads, writes, and the writes by lifetime, where those are known and add up."""
        read = self._inputs.get("cache_read_input_tokens", 0)
        short = count(self._writes.get("ephemeral_5m_input_tokens") or 0)
        long = count(self._writes.get("ephemeral_1h_input_tokens") or 0)
        split = short + long if short is not None and long is not None and self._writes else None
        written = self._inputs.get("cache_creation_input_tokens", split or 0)
        if split is None or split != written:
            short = long = None
        return read, written, short, long

    def _reasoning(self) -> int | None:
        thinking = self._output_details.get("thinking_tokens")
        tokens = 0 if thinking is None else count(thinking)
        output = self._output_tokens
        return tokens if tokens is not None and output is not None and tokens <= output else None


def _later(known: int | None, server_tools: Json) -> int | None:
    value = count(server_tools.get("web_search_requests"))
    return known if value is None or (value == 0 and known) else value
