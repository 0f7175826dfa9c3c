"""Events of a stream that differ from an earlier one in their text alone, told without a parser.

Most of a stream is one event over and over with another word in it. Once such an event was parsed, and its codec found
that it says nothing but its text, the bytes around the text are known. Events with the same bytes around a JSON string
can say nothing else; a run of them is read in one go. OpenAI also pads each event with a string of random length, which
may differ too.
"""

from collections.abc import Sequence

import orjson

MOST_AT_ONCE = 16
"""Events of one run. Where a string of a run is none after all, its first event is parsed and the next run tried."""
_PADDING = b'"obfuscation":"'


class Likeness:
    """Learns from one event and recognises those that are alike, by their bytes on the wire."""

    __slots__ = ("_head", "_padded_tail", "_tail", "_text_key")

    def __init__(self, text_key: bytes) -> None:
        """`text_key` is the member that holds the text, up to the quote that begins it: `"content":"`."""
        self._text_key = text_key
        self._head = b""
        """Of an event, up to its text; empty while nothing was learned."""
        self._tail = b""
        """From the quote behind the text to the event's end, or to the quote that begins the padding."""
        self._padded_tail = b""
        """From the quote behind the padding to the event's end; empty where there is no padding."""

    def run(self, data: bytes, start: int) -> tuple[str, int]:
        """What is said by the events from `start` on that are alike, and where they end: at `start` if none is."""
        head, tail, padded_tail = self._head, self._tail, self._padded_tail
        head_bytes, tail_bytes, padded_tail_bytes = len(head), len(tail), len(padded_tail)
        strings: list[bytes] = []
        end, text = start, start + head_bytes
        while head and data[end:text] == head and len(strings) < MOST_AT_ONCE:
            quote = data.find(b'"', text)
            event_end = quote + tail_bytes
            if data[quote:event_end] != tail:
                break
            if padded_tail:
                padding, padding_quote = event_end, data.find(b'"', event_end)
                event_end = padding_quote + padded_tail_bytes
                if data[padding_quote:event_end] != padded_tail:
                    break
                strings.append(data[padding:padding_quote])
            strings.append(data[text:quote])
            end, text = event_end, event_end + head_bytes
        texts = _parsed(strings)
        return ("".join(texts[1::2] if padded_tail else texts), end) if texts else ("", start)

    def learn(self, event: bytes, text: str) -> None:
        """The event, with the blank line that ends it, says this text and nothing else that adds up."""
        key = self._text_key
        start = event.find(key) + len(key)
        quote = event.find(b'"', start)
        if event.count(key) != 1 or _parsed([event[start:quote]]) != [text]:
            return
        padding = event.find(_PADDING, quote) + len(_PADDING)
        if padding < len(_PADDING):
            tail, padded_tail = event[quote:], b""
        elif event.count(_PADDING) != 1:
            return
        else:
            padding_quote = event.find(b'"', padding)
            if not _parsed([event[padding:padding_quote]]):
                return
            tail, padded_tail = event[quote:padding], event[padding_quote:]
        self._head, self._tail, self._padded_tail = event[:start], tail, padded_tail


def _parsed(strings: Sequence[bytes]) -> list[str]:
    """JSON strings by what stands between their quotes, which holds no quote; none where one of them is invalid.

    A line feed is allowed between strings and not in one: what would run on into the next is invalid, too.
    """
    try:
        parsed: list[str] = orjson.loads(b'["%b"]' % b'"\n,"'.join(strings)) if strings else []
    except orjson.JSONDecodeError:
        return []
    return parsed
