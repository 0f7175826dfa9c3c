"""Server-sent events out of bytes, for any split of the bytes.

Lines end in LF, CR or CRLF and in nothing else; bytes are cut, never text, so that neither a Unicode line
separator nor a character that straddles two chunks can break an event. Only the new chunk is searched for
line ends and what is unfinished grows in place, so the work is linear in the bytes however they come.

At most `window_bytes` of an unfinished event are held. A longer one is cut: its last `TAIL_BYTES` are kept,
because usage stands at the end of the events that carry it, and the framer is in step again at the next
blank line. Unlike a browser, `flush` also gives the event that no blank line has closed: usage is often there.
"""

import re
from typing import NamedTuple

WINDOW_BYTES = 1 << 20
TAIL_BYTES = 32 << 10
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_LIST_SLOT_BYTES = 8


class Event(NamedTuple):
    """`data` is the joined data lines; of an event that `is_cut`, only their end."""

    name: bytes
    data: bytes
    is_cut: bool = False


def _is_one_data_line(chunk: bytes) -> bool:
    """True for one whole event of the usual form, which is what most chunks of a stream are."""
    return (
        chunk.startswith(b"data: ")
        and chunk.endswith(b"\n\n")
        and chunk.find(b"\n") == len(chunk) - 2
        and b"\r" not in chunk
    )


class SseFramer:
    """Feed it chunks; it gives the events that became whole."""

    __slots__ = (
        "_data", "_data_bytes", "_ended_in_cr", "_is_cut", "_is_first_line", "_line", "_name", "_window_bytes",
        "is_between",
    )  # fmt: skip

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self._window_bytes = window_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = b""
        self._is_cut = False
        self._ended_in_cr = False
        self._is_first_line = True
        self.is_between = False
        """Of what came before, nothing is held, and something came."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes."""
        if self.is_between and len(chunk) <= self._window_bytes - _LIST_SLOT_BYTES and _is_one_data_line(chunk):
            return [Event(b"", chunk[6:-2])]
        events = self._feed(chunk)
        self.is_between = not (self._line or self._data or self._name or self._is_cut or self._ended_in_cr)
        return events

    def _feed(self, chunk: bytes) -> list[Event]:
        if not chunk:
            return []
        if self._ended_in_cr and chunk[0] == 0x0A:
            chunk = chunk[1:]
        self._ended_in_cr = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._line or len(line) + self._data_bytes > self._window_bytes:
                self._hold(line)
                line = bytes(self._line)  # noqa: PLW2901 - what was held belongs to this line
                self._line.clear()
            if line:
                self._end_line(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        if rest:
            self._hold(rest)
        return events

    def flush(self) -> Event | None:
        """The body has ended: the event that was not closed, if there is one."""
        if self._line:
            self._end_line(bytes(self._line))
            self._line.clear()
        return self._dispatch()

    def _hold(self, piece: bytes) -> None:
        self._line += piece
        if self._is_cut or len(self._line) + self._data_bytes > self._window_bytes:
            self._is_cut = True
            del self._line[:-TAIL_BYTES]
            self._trim()

    def _end_line(self, line: bytes) -> None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._add(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line == b"data":
            self._add(b"")
        elif self._is_cut and not line.startswith((b":", b"id:", b"retry:")):
            self._add(line)  # the beginning of this data line was dropped

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + _LIST_SLOT_BYTES
        if self._is_cut or self._data_bytes > self._window_bytes:
            self._is_cut = True
            self._trim()

    def _trim(self) -> None:
        if self._data_bytes < 2 * TAIL_BYTES:  # copying 32 KiB for each short line would add up
            return
        kept = b"\n".join(self._data)[-TAIL_BYTES:]
        self._data = [kept] if kept else []
        self._data_bytes = len(kept)

    def _dispatch(self) -> Event | None:
        data, name, is_cut = self._data, self._name, self._is_cut
        self._name = b""
        if not data:
            self._is_cut = False
            return None
        self._data, self._data_bytes, self._is_cut = [], 0, False
        return Event(name, data[0] if len(data) == 1 else b"\n".join(data), is_cut)
