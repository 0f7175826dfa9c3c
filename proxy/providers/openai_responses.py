"""The Responses API: named events that end in one with the whole response, or that response as a document.

Usage and status stand only in the terminal response. Items are known by their position in `output`, so that
an item seen in the stream and again in the terminal response is one item. There is no `[DONE]`.
"""

from dataclasses import replace

from proxy.domain.tool_calls import CLIENT_TOOL_ITEMS, ToolCallDraft
from proxy.providers.draft import TRACKED_LIMIT, Draft
from proxy.providers.openai_usage import read_usage
from proxy.providers.untrusted import Json, count, label, mapping, objects, text

_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_ANSWER_DELTAS = frozenset({"response.output_text.delta", "response.audio.transcript.delta"})
_MEDIA_DELTAS = frozenset({"response.audio.delta", "response.output_audio.delta"})


class ResponsesCodec:
    """Reads response events and `response` objects."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._calls: dict[int, ToolCallDraft] = {}
        """By position in `output`."""

    def on_event(self, name: str, body: Json) -> None:
        """One event; unknown kinds say nothing."""
        kind = text(body.get("type")) or name
        if kind.endswith(".delta"):
            self._read_delta(kind, body)
        elif kind in _TERMINAL:
            response = mapping(body.get("response"))
            self._close(response, label(response.get("status")) or _TERMINAL[kind])
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            self._note_item(body.get("output_index"), mapping(body.get("item")))
        elif kind.endswith("partial_image"):
            self._draft.add_media()
        elif kind == "response.output_text.annotation.added":
            self._draft.has_citation = True
        elif "response" in body:
            self._draft.identify(mapping(body["response"]))

    def on_document(self, body: Json) -> None:
        """A whole response."""
        self._close(body, label(body.get("status")))

    def conclude(self) -> None:
        """Nothing is left to tell: the terminal response said it all."""

    def _read_delta(self, kind: str, body: Json) -> None:
        delta = text(body.get("delta"))
        if not delta:
            return
        if kind in _ANSWER_DELTAS:
            self._draft.add_answer(delta)
        elif kind in _MEDIA_DELTAS:
            self._draft.add_media()
        elif kind == "response.refusal.delta":
            self._draft.add_refusal(delta)
        else:
            self._draft.add_text(delta)

    def _note_item(self, position: object, item: Json) -> None:
        """Tell a call of the client's tool, once; its arguments are whole in the last item that tells of it."""
        kind = text(item.get("type"))
        if kind not in CLIENT_TOOL_ITEMS or not isinstance(position, int):
            return
        call = self._calls.get(position)
        if call is None:
            if len(self._calls) >= TRACKED_LIMIT:
                return
            name = label(item.get("name")) or kind.removesuffix("_call")
            call = self._calls[position] = self._draft.add_tool_call(name, text(item.get("call_id")))
        if not call.has_arguments:
            call.add_arguments(text(item.get("arguments")) or text(item.get("input")))

    def _close(self, response: Json, status: str | None) -> None:
        draft = self._draft
        draft.identify(response)
        draft.finish_reason = status
        draft.incomplete_reason = label(mapping(response.get("incomplete_details")).get("reason"))
        draft.is_pending = status in {"queued", "in_progress"}
        draft.is_terminal = not draft.is_pending and status != "cancelled"
        if status == "failed":
            draft.fail(mapping(response.get("error")))
        output = objects(response.get("output"))
        is_new_text = draft.output_chars == 0
        for position, item in enumerate(output):
            self._note_item(position, item)
            self._read_item(item, is_new_text=is_new_text)
        if usage := mapping(response.get("usage")):
            draft.usage = replace(read_usage(usage), web_search_calls=_searches(response, output))

    def _read_item(self, item: Json, *, is_new_text: bool) -> None:
        draft = self._draft
        if item.get("type") == "image_generation_call" and item.get("result"):
            draft.add_media()
        for part in objects(item.get("content")):
            if part.get("annotations"):
                draft.has_citation = True
            if is_new_text:
                self._read_part(part)
        if is_new_text:
            for thought in objects(item.get("summary")):
                draft.add_text(text(thought.get("text")))
            draft.add_text(text(item.get("arguments")) or text(item.get("input")))

    def _read_part(self, part: Json) -> None:
        self._draft.add_refusal(text(part.get("refusal")))
        if part.get("type") == "reasoning_text":
            self._draft.add_text(text(part.get("text")))
        else:
            self._draft.add_answer(text(part.get("text")))


def _searches(response: Json, output: list[Json]) -> int | None:
    """Billable web searches: as stated, else the search items (opening a page is free)."""
    stated = mapping(mapping(response.get("tool_usage")).get("web_search")).get("num_requests")
    if stated is not None:
        return count(stated)
    actions = [mapping(item.get("action")) for item in output if item.get("type") == "web_search_call"]
    return len([action for action in actions if action.get("type") == "search"])
