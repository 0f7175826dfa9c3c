"""Embeddings, images, speech and transcriptions: usage and little else."""

from dataclasses import replace

from proxy.providers.draft import Draft
from proxy.providers.openai_usage import read_usage
from proxy.providers.untrusted import Json, mapping, text


class EmbeddingsCodec:
    """A list of vectors, which are not looked at."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def on_event(self, _name: str, body: Json) -> None:
        """Embeddings are not streamed; a server that does so anyway sends documents."""
        self.on_document(body)

    def on_document(self, body: Json) -> None:
        """A whole reply."""
        self._draft.identify(body)
        self._draft.is_terminal = True
        if usage := mapping(body.get("usage")):
            read = read_usage(usage)
            if read.input_tokens is not None and read.output_tokens is None:
                read = replace(read, output_tokens=0, reasoning_tokens=0)
            self._draft.usage = read

    def conclude(self) -> None:
        """Nothing is left to tell."""


class ImagesCodec:
    """Generated or edited images. All output tokens are image tokens unless the usage splits them."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._completed = 0

    def on_event(self, name: str, body: Json) -> None:
        """A partial image, or the completed one with its usage."""
        kind = text(body.get("type")) or name
        if kind.endswith((".partial_image", ".completed")):
            self._draft.add_media()
        if kind.endswith(".completed"):
            self._completed += 1
            self._close(body, self._completed)

    def on_document(self, body: Json) -> None:
        """A whole reply."""
        images = body.get("data")
        self._draft.has_media = bool(images)
        self._close(body, len(images) if isinstance(images, list) else None)

    def conclude(self) -> None:
        """Nothing is left to tell."""

    def _close(self, body: Json, images: int | None) -> None:
        self._draft.identify(body)
        self._draft.is_terminal = True
        if usage := mapping(body.get("usage")):
            read = read_usage(usage)
            tokens = read.output_tokens if read.image_output_tokens is None else read.image_output_tokens
            self._draft.usage = replace(read, image_output_tokens=tokens)
        self._draft.usage = replace(self._draft.usage, output_images=images)


class AudioCodec:
    """Speech as events, and transcriptions as events or a document."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def on_event(self, name: str, body: Json) -> None:
        """A piece of audio or text, or the end with its usage."""
        kind = text(body.get("type")) or name
        if kind == "transcript.text.delta":
            self._draft.add_answer(text(body.get("delta")))
        elif kind == "speech.audio.delta":
            self._draft.add_media()
        elif kind in {"transcript.text.done", "speech.audio.done"}:
            self._close(body)
            if kind == "speech.audio.done":
                usage = self._draft.usage
                self._draft.usage = replace(usage, audio_output_tokens=usage.output_tokens)

    def on_document(self, body: Json) -> None:
        """A whole transcription."""
        self._draft.add_answer(text(body.get("text")))
        self._close(body)

    def conclude(self) -> None:
        """Nothing is left to tell."""

    def _close(self, body: Json) -> None:
        self._draft.identify(body)
        self._draft.is_terminal = True
        if usage := mapping(body.get("usage")):
            self._draft.usage = read_usage(usage)
