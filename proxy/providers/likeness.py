"""Events of a stream that differ from an earlier one in their text alone, told without a parser.

Most of a stream is one event over and over with another word in it. Once such an event was parsed, and its codec found
that it says nothing but its text, the bytes around the text are known. An event with the same bytes around a string
that has no quote, no escape and nothing unprintable in it can say nothing else. OpenAI also pads each event with a
string of random length, which may differ too.
"""

from proxy.providers.sse import Event

_PADDING = b'"obfuscation":"'


class Likeness:
    """Learns from one event and recognises those that are alike."""

    def __init__(self, text_key: bytes) -> None:
        """`text_key` is the member that holds the text, up to the quote that begins it: `"content":"`."""
        self._text_key = text_key
        self._name = b""
        self._before = b""
        """Empty while nothing was learned."""
        self._after = b""
        self._end: bytes | None = None
        """What follows the padding, whose quote `_after` ends with; None where there is no padding."""

    def text_of(self, event: Event) -> str | None:
        """All that the event says, where it is alike; else None."""
        data, before = event.data, self._before
        if not before or not data.startswith(before) or event.name != self._name or event.is_cut:
            return None
        start = len(before)
        end = data.find(b'"', start)
        if not (self._is_end(data, end) if self._end is None else self._is_padded_end(data, end, self._end)):
            return None
        return _plain(data[start:end])

    def learn(self, event: Event, text: str) -> None:
        """The event says this text and nothing else that adds up."""
        data, key = event.data, self._text_key
        start = data.find(key) + len(key)
        end = data.find(b'"', start)
        if event.is_cut or data.count(key) != 1 or _plain(data[start:end]) != text:
            return
        padding = data.find(_PADDING, end) + len(_PADDING)
        if padding < len(_PADDING):
            after, last = data[end:], None
        elif data.count(_PADDING) != 1 or _plain(data[padding : (stop := data.find(b'"', padding))]) is None:
            return
        else:
            after, last = data[end:padding], data[stop:]
        self._name, self._before, self._after, self._end = event.name, data[:start], after, last

    def _is_end(self, data: bytes, position: int) -> bool:
        return position + len(self._after) == len(data) and data.endswith(self._after)

    def _is_padded_end(self, data: bytes, position: int, last: bytes) -> bool:
        if not data.startswith(self._after, position):
            return False
        padding = position + len(self._after)
        stop = data.find(b'"', padding)
        return stop + len(last) == len(data) and data.endswith(last) and _plain(data[padding:stop]) is not None


def _plain(inner: bytes) -> str | None:
    """A JSON string by what stands between its quotes; None where it takes a parser to tell."""
    if b"\\" in inner:
        return None
    try:
        text = inner.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
