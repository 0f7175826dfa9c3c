"""Embeddings, images and audio: what no recorded reply shows."""

from typing import Any

import pytest

from proxy.domain.usage import Usage
from proxy.providers.draft import Draft
from proxy.providers.openai_media import AudioCodec, EmbeddingsCodec, ImagesCodec


def test_an_embedding_without_input_count_has_no_output_count_either() -> None:
    draft = Draft()
    EmbeddingsCodec(draft).on_document({"model": "e", "usage": {"prompt_tokens": "x"}})
    assert (draft.usage.input_tokens, draft.usage.output_tokens, draft.is_terminal) == (None, None, True)


def test_image_tokens_that_are_split_stay_split() -> None:
    draft = Draft()
    usage = {"input_tokens": 5, "output_tokens": 100, "output_tokens_details": {"image_tokens": 90, "text_tokens": 10}}
    ImagesCodec(draft).on_document({"data": [{"b64_json": "A"}], "usage": usage})
    assert (draft.usage.image_output_tokens, draft.has_media) == (90, True)


@pytest.mark.parametrize(
    ("body", "images"), [({"data": [{}, {}]}, 2), ({"data": []}, 0), ({"data": "x"}, None), ({}, None)]
)
def test_images_of_a_whole_reply_are_counted(body: dict[str, Any], images: int | None) -> None:
    """Models that are billed by the image report no usage."""
    draft = Draft()
    ImagesCodec(draft).on_document(body)
    assert draft.usage == Usage(output_images=images)


def test_images_of_a_stream_are_counted_as_they_are_completed() -> None:
    draft = Draft()
    codec = ImagesCodec(draft)
    for kind in ("partial_image", "completed", "completed"):
        codec.on_event(f"image_generation.{kind}", {"b64_json": "A", "usage": {"input_tokens": 5, "output_tokens": 9}})
    assert (draft.usage.output_images, draft.usage.image_output_tokens) == (2, 9)


def test_only_images_are_images() -> None:
    draft = Draft()
    codec = ImagesCodec(draft)
    codec.on_event("error", {"error": {"code": "x"}})
    assert (draft.has_media, draft.is_terminal) == (False, False)
    codec.on_event("image_edit.completed", {"b64_json": "A"})
    assert (draft.has_media, draft.is_terminal) == (True, True)


def test_a_transcription_without_usage_is_whole_and_uncounted() -> None:
    draft = Draft()
    AudioCodec(draft).on_document({"text": "hello"})
    assert (draft.is_terminal, draft.answer_head, draft.usage.input_tokens) == (True, "hello", None)
