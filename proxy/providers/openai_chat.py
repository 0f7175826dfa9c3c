"""Chat completions and legacy completions, streamed or whole, of OpenAI and all who speak its dialect.

A chunk's `delta` and a document's `message` have the same shape. Usage may stand beside empty or non-empty
choices, once or on every chunk: the last one wins. A choice is whole when it has a finish reason; `[DONE]`
alone proves nothing, since some servers send it after an error.
"""

from proxy.domain.tool_calls import ToolCallDraft
from proxy.domain.usage import Usage
from proxy.providers.draft import TRACKED_LIMIT, Draft
from proxy.providers.openai_usage import read_timings, read_usage
from proxy.providers.untrusted import Json, label, mapping, objects, text

_REASONING = frozenset({"reasoning_content", "reasoning", "reasoning_details"})
_MEDIA = frozenset({"audio", "images"})
_SOURCES = frozenset({"citations", "search_results"})


class ChatCodec:
    """Reads `chat.completion.chunk`, `chat.completion` and `text_completion` objects."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        draft.text_key = b'"content":"'
        self._finish_reasons: dict[int, str | None] = {}
        """By choice; None while it is still being written."""
        self._calls: dict[tuple[int, object], ToolCallDraft] = {}
        """By choice and position (or id, where a server leaves the position out)."""
        self._usage: Json = {}
        self._vendor_usage: Json = {}
        self._timings: Json = {}
        self._is_document = False

    def on_event(self, _name: str, body: Json) -> None:
        """One chunk."""
        self._read(body, "delta")
        if self._draft.only_text and len(body["choices"]) != 1:
            self._draft.only_text = ""

    def on_document(self, body: Json) -> None:
        """A whole reply."""
        self._read(body, "message")
        self._is_document = True

    def conclude(self) -> None:
        """Settle what only the end can tell."""
        draft = self._draft
        draft.usage = self._best_usage()
        by_choice = self._finish_reasons
        reasons = [by_choice[choice] for choice in sorted(by_choice)]
        given = reasons if all(reasons) else list(filter(None, reasons))
        draft.finish_reason = given[0] if given else None
        draft.is_terminal = self._is_document or (bool(given) and (draft.saw_done or given == reasons))
        draft.choice_count = len(reasons) or 1
        draft.has_error = draft.has_error or "error" in given

    def _read(self, body: Json, message_key: str) -> None:
        self._draft.identify(body)
        for choice in objects(body.get("choices")):
            self._read_choice(choice, message_key)
        if usage := mapping(body.get("usage")):
            self._usage = usage
        if "x_groq" in body:
            self._vendor_usage = mapping(mapping(body["x_groq"]).get("usage")) or self._vendor_usage
        if "timings" in body:
            self._timings = mapping(body["timings"])
        if not _SOURCES.isdisjoint(body) and (body.get("citations") or body.get("search_results")):
            self._draft.has_citation = True

    def _best_usage(self) -> Usage:
        if self._usage or self._vendor_usage:
            return read_usage(self._usage or self._vendor_usage, self._draft.service_tier)
        return read_timings(self._timings)

    def _read_choice(self, choice: Json, message_key: str) -> None:
        position, message = choice.get("index"), choice.get(message_key)
        index = position if type(position) is int else 0
        if type(message) is dict:
            self._read_message(index, message)
        elif "text" in choice:
            self._draft.add_answer(text(choice["text"]))
        if index not in self._finish_reasons and len(self._finish_reasons) < TRACKED_LIMIT:
            self._finish_reasons[index] = None
        reason = choice.get("finish_reason")
        if reason and index in self._finish_reasons:
            self._finish_reasons[index] = label(reason) or self._finish_reasons[index]
        if "usage" in choice:
            self._vendor_usage = mapping(choice["usage"]) or self._vendor_usage
        if choice.get("error"):
            self._draft.fail(choice)

    def _read_message(self, choice: int, message: Json) -> None:
        draft = self._draft
        content = message.get("content")
        if type(content) is str:
            draft.add_answer(content)
            if len(message) == 1:  # the usual delta
                draft.only_text = content
                return
        elif content:
            self._read_parts(content)
        self._read_beside(choice, message)

    def _read_beside(self, choice: int, message: Json) -> None:
        """What a message may have beside its content."""
        if refusal := message.get("refusal"):
            self._draft.add_refusal(text(refusal))
        if not _REASONING.isdisjoint(message):
            self._read_reasoning(message)
        if calls := message.get("tool_calls"):
            for call in objects(calls):
                self._read_call(choice, call)
        if "function_call" in message and isinstance(function := message["function_call"], dict):
            self._read_call(choice, {"index": "function_call", "function": function})
        if message.get("annotations"):
            self._draft.has_citation = True
        if not _MEDIA.isdisjoint(message):
            self._read_media(message)

    def _read_parts(self, content: object) -> None:
        for part in objects(content):
            self._draft.add_answer(text(part.get("text")))
            for thought in objects(part.get("thinking")):
                self._draft.add_text(text(thought.get("text")))

    def _read_reasoning(self, message: Json) -> None:
        """Servers that send more than one of these fields repeat the same text in them."""
        for key in ("reasoning_content", "reasoning"):
            if thought := text(message.get(key)):
                self._draft.add_text(thought)
                return
        for detail in objects(message.get("reasoning_details")):
            self._draft.add_text(text(detail.get("text")) or text(detail.get("summary")))

    def _read_media(self, message: Json) -> None:
        audio = message.get("audio")
        if isinstance(audio, dict):
            if audio.get("data"):
                self._draft.add_media()
            self._draft.add_answer(text(audio.get("transcript")))
        if message.get("images"):
            self._draft.add_media()

    def _read_call(self, choice: int, call: Json) -> None:
        """One tool call or a further piece of it. Some servers number every parallel call 0, some none."""
        body = mapping(call.get("function")) or mapping(call.get("custom"))
        name, call_id = label(body.get("name")), text(call.get("id"))
        position = call.get("index")
        if position is None:
            position = call_id or (f"unnumbered {len(self._calls)}" if name else None)
        key = (choice, position if isinstance(position, int | str) else None)
        known = self._calls.get(key)
        is_other = bool(known and known.id and call_id and name and call_id != known.id)
        if (known is None or is_other) and len(self._calls) < TRACKED_LIMIT and position is not None:
            known = self._calls[key] = self._draft.add_tool_call(None, call_id)
        elif known and not known.id:
            known.id = call_id
        if name and known and not known.name:
            self._draft.name_tool(name, known)
        if arguments := text(body.get("arguments")) or text(body.get("input")):
            self._draft.add_text(arguments)
            if known:
                known.add_arguments(arguments)
