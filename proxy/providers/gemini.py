"""Gemini's generateContent, streamed or whole, and its embeddings.

Each event repeats the usage so far: the last one counts. The prompt's count includes what came from the cache and
leaves out what tools read; the candidates' count leaves out thoughts. Counts of 0 are left out of the JSON, so that a
missing part is 0 where another part or the total says what there was. Calls of tools come whole, and their finish
reason is `STOP` all the same. There is no `[DONE]`.
"""

import orjson

from proxy.domain.usage import Usage
from proxy.providers.draft import TRACKED_LIMIT, Draft
from proxy.providers.untrusted import Json, count, label, mapping, objects, part, text

_BILLED_BY_PROMPT = ("gemini-1", "gemini-2")
"""Models of which a grounded answer costs the same however often they searched; later ones are billed by the search."""


class GenerateContentCodec:
    """Reads `GenerateContentResponse` objects."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._finish_reasons: dict[int, str | None] = {}
        """By candidate; None while it is still being written."""
        self._block_reason: str | None = None
        self._usage: Json = {}
        self._searches = 0
        self._is_document = False

    def on_event(self, _name: str, body: Json) -> None:
        """What has come since the last event."""
        self._draft.identify({"model": body.get("modelVersion"), "id": body.get("responseId")})
        for candidate in objects(body.get("candidates")):
            self._read_candidate(candidate)
        self._block_reason = label(mapping(body.get("promptFeedback")).get("blockReason")) or self._block_reason
        if usage := mapping(body.get("usageMetadata")):
            self._usage = usage

    def on_document(self, body: Json) -> None:
        """A whole reply, or one of the array in which a stream comes that nobody asked for as SSE."""
        self.on_event("", body)
        self._is_document = True

    def conclude(self) -> None:
        """Settle what only the end can tell."""
        draft, reasons = self._draft, [self._finish_reasons[index] for index in sorted(self._finish_reasons)]
        given = [reason for reason in reasons if reason]
        draft.finish_reason = given[0] if given else self._block_reason
        draft.is_terminal = self._is_document or bool(self._block_reason) or (bool(given) and given == reasons)
        draft.choice_count = len(reasons) or 1
        is_by_prompt = (draft.model or "").startswith(_BILLED_BY_PROMPT)
        draft.usage = _usage(self._usage, min(self._searches, 1) if is_by_prompt else self._searches)

    def _read_candidate(self, candidate: Json) -> None:
        position = candidate.get("index")
        index = position if type(position) is int else 0
        for one in objects(mapping(candidate.get("content")).get("parts")):
            self._read_part(one)
        if index in self._finish_reasons or len(self._finish_reasons) < TRACKED_LIMIT:
            reason = label(candidate.get("finishReason"))
            self._finish_reasons[index] = reason or self._finish_reasons.get(index)
        grounding = mapping(candidate.get("groundingMetadata"))
        if queries := grounding.get("webSearchQueries"):
            self._searches = max(self._searches, len(queries) if type(queries) is list else 0)
        if grounding.get("groundingChunks") or mapping(candidate.get("citationMetadata")):
            self._draft.has_citation = True

    def _read_part(self, one: Json) -> None:
        """A part has no type: its members tell what it is. What the provider runs by itself is no call of a tool."""
        draft = self._draft
        if one.get("thought") is True:
            draft.add_text(text(one.get("text")))
        else:
            draft.add_answer(text(one.get("text")))
        if call := mapping(one.get("functionCall")):
            self._read_call(call)
        if one.get("inlineData"):
            draft.add_media()
        draft.add_text(text(mapping(one.get("executableCode")).get("code")))

    def _read_call(self, call: Json) -> None:
        known = self._draft.add_tool_call(label(call.get("name")), text(call.get("id")))
        if given := call.get("args"):
            arguments = orjson.dumps(given).decode()
            self._draft.add_text(arguments)
            known.add_arguments(arguments)


class GeminiEmbeddingsCodec:
    """Vectors, which are not looked at. Most hosts report no usage with them."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def on_event(self, _name: str, body: Json) -> None:
        """Embeddings are not streamed; a server that does so anyway sends documents."""
        self.on_document(body)

    def on_document(self, body: Json) -> None:
        """A whole reply."""
        self._draft.is_terminal = True
        if usage := mapping(body.get("usageMetadata")):
            tokens = count(usage.get("promptTokenCount"))
            self._draft.usage = Usage() if tokens is None else Usage(tokens, 0, 0, 0, reasoning_tokens=0)

    def conclude(self) -> None:
        """Nothing is left to tell."""


def _usage(usage: Json, searches: int) -> Usage:
    """The counts of one `usageMetadata`, inclusive; unknown where they are missing or impossible."""
    prompt, read_by_tools = count(usage.get("promptTokenCount")), count(usage.get("toolUsePromptTokenCount", 0))
    input_tokens = None if prompt is None or read_by_tools is None else prompt + read_by_tools
    output_tokens, thoughts = _output(usage, input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=part(usage.get("cachedContentTokenCount", 0), input_tokens),
        cache_creation_input_tokens=part(0, input_tokens),
        reasoning_tokens=part(thoughts, output_tokens),
        audio_input_tokens=part(_of_media(usage, "AUDIO"), input_tokens),
        audio_output_tokens=part(_listed(usage, "candidatesTokensDetails", "AUDIO"), output_tokens),
        image_input_tokens=part(_of_media(usage, "IMAGE"), input_tokens),
        image_output_tokens=part(_listed(usage, "candidatesTokensDetails", "IMAGE"), output_tokens),
        web_search_calls=searches or None,
        service_tier=label(usage.get("trafficType")),
    )


def _output(usage: Json, input_tokens: int | None) -> tuple[int | None, int | None]:
    """All that went out, and the thoughts in it. Where neither is named, the total has to say how much it was."""
    said, thoughts = usage.get("candidatesTokenCount"), count(usage.get("thoughtsTokenCount", 0))
    if said is None and "thoughtsTokenCount" not in usage:
        total = count(usage.get("totalTokenCount"))
        is_told = total is not None and input_tokens is not None and total >= input_tokens
        return (total or 0) - (input_tokens or 0) if is_told else None, thoughts
    answered = count(0 if said is None else said)
    return None if answered is None or thoughts is None else answered + thoughts, thoughts


def _of_media(usage: Json, modality: str) -> int | None:
    """Input of this kind, but for what came from the cache: that is billed as such, whatever it was."""
    told = _listed(usage, "promptTokensDetails", modality)
    read_by_tools = _listed(usage, "toolUsePromptTokensDetails", modality)
    cached = _listed(usage, "cacheTokensDetails", modality)
    if told is None and read_by_tools is None:
        return None
    return max(0, (told or 0) + (read_by_tools or 0) - (cached or 0))


def _listed(usage: Json, name: str, modality: str) -> int | None:
    """The count of one kind in a list of counts; None where the list does not name it."""
    found = [told for told in objects(usage.get(name)) if told.get("modality") == modality]
    return count(found[0].get("tokenCount")) if found else None
