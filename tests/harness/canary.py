"""Canaries: one random token in every place where content or a credential can stand, and a search for all of them.

`SLOTS` is the register. A template names a slot as `«user_text»`; planting an unregistered name is an error, so a
new field that may carry content must be entered here before a test can use it. Every token has the mark `qz` at each
eighth character: any 12 characters of it hold a whole mark, so that pieces of a token are found by looking at the
marks alone. The search ignores case and also reads each text as URL-encoded, JSON-escaped, hexadecimal, base64 and
compressed data, one inside the other, to a small depth.
"""

import base64
import binascii
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import zstandard

TOKEN_CHARS = 24
GRAM_CHARS = 12
"""The shortest piece of a token that counts as a leak."""
_MARK = b"qz"
_MARK_EVERY = 8
_ALPHABET = "abcdefghijklmnoprstuvwxy0123456789"  # without the letters of the mark
_MAX_DEPTH = 3
_MAX_INFLATED_BYTES = 32 << 20
_MIN_ENCODED_CHARS = 16

REQUEST_SLOTS = (
    "system_text", "developer_text", "user_text", "assistant_text", "part_text", "message_name", "prefill_text",
    "tool_call_id", "tool_arguments", "tool_result", "tool_description", "tool_parameter", "tool_enum",
    "image_url", "image_base64", "file_name", "file_id", "file_base64", "audio_base64",
    "metadata_key", "metadata_value", "user_email", "safety_identifier_email", "anthropic_user_email",
    "prompt_cache_key", "stop_sequence", "schema_name", "schema_description", "schema_property", "prediction_text",
    "instructions", "prompt_variable", "previous_response_id", "web_location", "unknown_field", "unknown_type",
    "suffix_text", "completion_prompt", "embeddings_input", "moderation_input", "speech_input", "image_prompt",
    "multipart_file", "multipart_file_name", "multipart_field", "batch_line", "gemini_text", "document_text",
    "requested_model", "tool_name", "malformed_json", "duplicate_model_text",
    "truncated_body", "oversize_text", "deep_text",
)  # fmt: skip
HEADER_SLOTS = (
    "unknown_header", "unknown_header_name", "user_agent", "cookie", "referer", "query_value", "query_name",
    "path_segment", "method", "host", "forwarded_for", "malformed_properties", "unlisted_property",
    "unlisted_property_name", "malformed_flag", "oversize_prompt_version", "baggage", "proxy_authorization",
)  # fmt: skip
CREDENTIAL_SLOTS = (
    "bearer_key", "x_api_key", "api_key_header", "goog_api_key", "query_key", "unknown_proxy_key", "basic_password",
    "malformed_header_key", "malformed_target_key", "provider_key", "proxy_key",
    "collector_token",
)  # fmt: skip
REPLY_SLOTS = (
    "output_text", "output_reasoning", "output_refusal", "output_logprob", "output_tool_arguments", "output_citation",
    "output_transcript", "output_image", "output_fingerprint", "output_unknown_field", "output_response_id",
    "output_finish_reason", "output_model", "plain_output_text", "anthropic_output_text", "anthropic_thinking",
    "anthropic_tool_input", "responses_output_text", "responses_arguments", "completion_text",
    "error_message", "error_code", "error_type", "error_param", "error_html", "stream_error_message",
    "stream_error_code", "sse_comment", "sse_event_name", "malformed_sse", "malformed_reply_json", "reply_header",
    "reply_header_name", "reply_reason", "redirect_location", "malformed_reply_header", "quoted_credential",
)  # fmt: skip
SLOTS = frozenset(REQUEST_SLOTS + HEADER_SLOTS + CREDENTIAL_SLOTS + REPLY_SLOTS)

_TEMPLATE = re.compile("«([^»]*)»")


class UnknownSlot(Exception):
    """A template names a slot that is not in the register."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A token, or a piece of one, where it must not be."""

    slot: str
    where: str
    form: str
    """How it was written: `plain`, or the encodings around it from the outside in."""

    def __str__(self) -> str:
        return f"{self.slot} in {self.where} ({self.form})"


def _token() -> str:
    blocks = TOKEN_CHARS // _MARK_EVERY
    rest = _MARK_EVERY - len(_MARK)
    return "".join(_MARK.decode() + "".join(secrets.choice(_ALPHABET) for _ in range(rest)) for _ in range(blocks))


@dataclass
class Canaries:
    """The tokens of one run. What was planted is remembered, so that a slot that no traffic uses is noticed."""

    planted: set[str] = field(default_factory=set)
    _tokens: dict[str, str] = field(default_factory=lambda: {slot: _token() for slot in SLOTS})

    def token(self, slot: str) -> str:
        """The token of a slot. Raises UnknownSlot."""
        if slot not in SLOTS:
            raise UnknownSlot(f"{slot!r} is not registered in tests/harness/canary.py")
        self.planted.add(slot)
        return self._tokens[slot]

    def plant(self, template: str) -> str:
        """The template with a token for each `«slot»`."""
        return _TEMPLATE.sub(lambda found: self.token(found[1]), template)

    def plant_json(self, template: object) -> bytes:
        """A JSON value whose strings and keys are templates, as bytes."""
        return self.plant(orjson.dumps(template).decode()).encode()

    @property
    def idle(self) -> frozenset[str]:
        """Registered slots that nothing was planted in."""
        return SLOTS - self.planted

    def scan(
        self,
        *,
        paths: Iterable[Path] = (),
        texts: Mapping[str, bytes] | None = None,
        events: Iterable[Mapping[str, Any]] = (),
        allowed: Mapping[str, frozenset[str]] | None = None,
    ) -> list[Hit]:
        """Search files (folders wholly), named texts and events.

        `allowed` names, for a slot, the event properties and the texts in which its token is documented to appear;
        such a slot is looked for everywhere else but in `paths`, where events lie in one piece.
        """
        allowed = allowed or {}
        seeker = _Seeker({slot: token for slot, token in self._tokens.items() if slot in self.planted})
        hits: list[Hit] = []
        for where, data in (texts or {}).items():
            hits += [hit for hit in seeker.hits(where, data) if where not in allowed.get(hit.slot, frozenset())]
        for path in _files(paths):
            hits += [hit for hit in seeker.hits(str(path), path.read_bytes()) if hit.slot not in allowed]
        for event in events:
            for where, data in _event_values(event):
                property_name = where.rpartition(".")[2]
                found = seeker.hits(where, data)
                hits += [hit for hit in found if property_name not in allowed.get(hit.slot, frozenset())]
        return sorted(set(hits), key=str)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file())
        elif path.is_file():
            yield path


def _event_values(event: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    name = str(event.get("event", "event"))
    properties = event.get("properties") or {}
    for key, value in properties.items():
        yield f"{name}.{key}", orjson.dumps([key, value])
    for key, value in event.items():
        if key != "properties":
            yield f"{name}.{key}", orjson.dumps(value)


class _Seeker:
    """Finds pieces of tokens in bytes, in whatever known form they stand."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._slot_of: dict[bytes, str] = {}
        for slot, token in tokens.items():
            raw = token.encode()
            for at in range(len(raw) - GRAM_CHARS + 1):
                self._slot_of[raw[at : at + GRAM_CHARS]] = slot

    def hits(self, where: str, data: bytes) -> Iterator[Hit]:
        for form, view in _views(data, "", 0):
            for slot in self._slots_in(view):
                yield Hit(slot, where, form or "plain")

    def _slots_in(self, data: bytes) -> set[str]:
        lowered = data.lower()
        found: set[str] = set()
        at = lowered.find(_MARK)
        while at >= 0:
            for start in range(max(0, at - GRAM_CHARS + len(_MARK)), at + 1):
                slot = self._slot_of.get(lowered[start : start + GRAM_CHARS])
                if slot is not None:
                    found.add(slot)
            at = lowered.find(_MARK, at + 1)
        return found


def _views(data: bytes, form: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves, and what they say when read in each known encoding."""
    yield form, data
    if depth == _MAX_DEPTH:
        return
    for name, decode in _DECODERS.items():
        for view in decode(data):
            yield from _views(view, f"{form}>{name}" if form else name, depth + 1)


def _url_decoded(data: bytes) -> Iterator[bytes]:
    if re.search(rb"%[0-9A-Fa-f]{2}", data):
        yield unquote_to_bytes(data)


def _json_unescaped(data: bytes) -> Iterator[bytes]:
    if b"\\u00" in data:
        yield re.sub(rb"\\+u00([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), data)


def _unhexed(data: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"[0-9A-Fa-f]{24,}", data):
        run = found[0]
        for shift in (0, 1):
            part = run[shift:]
            yield binascii.unhexlify(part[: len(part) // 2 * 2])


def _unbased(data: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"[A-Za-z0-9+/_-]{%d,}" % _MIN_ENCODED_CHARS, data):
        run = found[0].replace(b"-", b"+").replace(b"_", b"/")
        for shift in range(4):
            part = run[shift:]
            yield base64.b64decode(part[: len(part) // 4 * 4])


def _inflated(magic: bytes, wbits: int) -> Callable[[bytes], Iterator[bytes]]:
    def views(data: bytes) -> Iterator[bytes]:
        at = data.find(magic)
        while at >= 0:
            with suppress(zlib.error):
                view = zlib.decompressobj(wbits).decompress(data[at:], _MAX_INFLATED_BYTES)
                if len(view) >= GRAM_CHARS:
                    yield view
            at = data.find(magic, at + 1)

    return views


def _unzstd(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\x28\xb5\x2f\xfd")
    while at >= 0:
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
        at = data.find(b"\x28\xb5\x2f\xfd", at + 1)


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "url": _url_decoded,
    "json": _json_unescaped,
    "hex": _unhexed,
    "base64": _unbased,
    "gzip": _inflated(b"\x1f\x8b\x08", 31),
    "zlib": _inflated(b"\x78\x9c", 15),
    "zstd": _unzstd,
}
