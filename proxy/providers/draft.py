"""What has been learned so far of one reply: the codecs write here, the decoder turns it into a `Reading`, of which it
has all the fields.

Memory is bounded whatever a provider sends: text, names and the number of things told apart have limits;
base64 of audio and images is never kept.
"""

from io import SEEK_END, StringIO

from proxy.domain.meter import ANSWER_HEAD_LIMIT_CHARS, OUTPUT_TEXT_LIMIT_CHARS, StreamEnd
from proxy.domain.tool_calls import MOST_CALLS, ToolCall, ToolCallDraft
from proxy.domain.usage import Usage, UsageSource
from proxy.providers.untrusted import LABEL_LIMIT_CHARS, Json, mapping

TOOL_NAMES_LIMIT = 100
TRACKED_LIMIT = 1000
"""How many choices and tool calls of one reply are told apart."""
_CODE_LIMIT_CHARS = 100
_UNKNOWN_USAGE = Usage()


class Draft:
    """The mutable beginning of a `Reading`. `at_ns` is when the bytes now being read arrived; None in a
    document, whose parts have no times of their own."""

    at_ns: int | None = None
    first_token_ns: int | None = None
    usage = _UNKNOWN_USAGE
    usage_source = UsageSource.NONE
    stream_end = StreamEnd.TRUNCATED
    """Like the source of the usage, told at the end."""
    service_tier: str | None = None
    finish_reason: str | None = None
    incomplete_reason: str | None = None
    model: str | None = None
    response_id: str | None = None
    tool_call_count = 0
    output_chars = 0
    _text = ""
    """All of it, while it is one piece, as in most documents."""
    _pieces: StringIO | None = None
    """All of it, once there was a second piece."""
    _answer: StringIO | None = None
    """The answer by itself, once there was other output; until then it is all the text."""
    _other_chars = 0
    choice_count = 1
    has_refusal = False
    has_citation = False
    has_media = False
    has_error = False
    error_code: str | None = None
    saw_done = False
    """The stream said `[DONE]`; by itself that is no success."""
    is_terminal = False
    """The dialect's own mark of a whole reply was seen."""
    is_pending = False
    malformed_events = 0
    only_text = ""
    """All that the event just read has to say, where that is a text of the answer; set by codecs that know."""
    text_key = b""
    """How the member begins on the wire in which such a text stands, up to its quote."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._calls: list[ToolCallDraft] = []

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Those of the client's tools that were called, each once."""
        return tuple(self._names)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """As far as they have come."""
        return tuple([call.finished() for call in self._calls]) if self._calls else ()

    @property
    def output_text(self) -> str:
        """The text kept so far; asked for at the end, and by whom the answer is told apart."""
        if self._pieces is not None:
            self._text, self._pieces = self._pieces.getvalue(), None
        return self._text

    @property
    def answer_text(self) -> str:
        """The answer alone, kept so far."""
        return self.output_text if self._answer is None else self._answer.getvalue()

    @property
    def answer_head(self) -> str:
        """How it begins."""
        return self.answer_text[:ANSWER_HEAD_LIMIT_CHARS]

    @property
    def answer_chars(self) -> int:
        """Length of all of the answer, also of what was not kept."""
        return self.output_chars - self._other_chars

    def identify(self, body: Json, id_key: str = "id") -> None:
        """Note model, id and tier; the last non-empty word wins."""
        model, reply_id, tier = body.get("model"), body.get(id_key), body.get("service_tier")
        if type(model) is str and model:
            self.model = model[:LABEL_LIMIT_CHARS]
        if type(reply_id) is str and reply_id:
            self.response_id = reply_id[:LABEL_LIMIT_CHARS]
        if type(tier) is str and tier:
            self.service_tier = tier[:LABEL_LIMIT_CHARS]

    def mark_output(self) -> None:
        """The bytes now being read hold output."""
        if self.first_token_ns is None:
            self.first_token_ns = self.at_ns

    def add_answer(self, text: str) -> None:
        """Visible text of the answer."""
        if self._answer is not None and (room := OUTPUT_TEXT_LIMIT_CHARS - self.answer_chars) > 0:
            self._answer.write(text[:room])
        self._keep(text)

    def add_refusal(self, text: str) -> None:
        """Text in which the model refuses."""
        if text:
            self.has_refusal = True
            self.add_text(text)

    def add_text(self, text: str) -> None:
        """Output that is counted as tokens and is no answer: reasoning, tool arguments, a refusal."""
        if self._answer is None and text:
            self._answer = _begun_with(self.output_text)
        self._other_chars += len(text)
        self._keep(text)

    def _keep(self, text: str) -> None:
        if not text:
            return
        if self.first_token_ns is None:
            self.first_token_ns = self.at_ns
        room = OUTPUT_TEXT_LIMIT_CHARS - self.output_chars
        if room > 0 and not self._text:
            self._text = text[:room]
        elif room > 0:
            if self._pieces is None:
                self._pieces = _begun_with(self._text)
            self._pieces.write(text[:room])
        self.output_chars += len(text)

    def add_media(self) -> None:
        """A piece of audio or an image."""
        self.has_media = True
        self.mark_output()

    def add_tool_call(self, name: str | None, call_id: str = "") -> ToolCallDraft:
        """One more call of a client's tool; the name may follow by `name_tool`, and the arguments by the call's own."""
        self.tool_call_count += 1
        self.mark_output()
        call = ToolCallDraft(call_id)
        if len(self._calls) < MOST_CALLS:
            self._calls.append(call)
        if name:
            self.name_tool(name, call)
        return call

    def name_tool(self, name: str, call: ToolCallDraft) -> None:
        """The name of a tool that was called."""
        call.name = name
        self.add_text(name)
        if len(self._names) < TOOL_NAMES_LIMIT:
            self._names[name] = None

    def fail(self, body: Json) -> None:
        """The reply says that it failed. Of the error only its code is kept; its message may quote content."""
        self.has_error = True
        self.error_code = _error_code(body) or self.error_code


def _begun_with(text: str) -> StringIO:
    begun = StringIO(text)
    begun.seek(0, SEEK_END)
    return begun


def _error_code(body: Json) -> str | None:
    """The error's `code`, else its `type` or `status`; a bare number only where there is no word."""
    error = mapping(body.get("error")) or body
    values = [error.get("code"), error.get("type"), error.get("status")]
    words = [v for v in values if isinstance(v, str) and 0 < len(v) <= _CODE_LIMIT_CHARS and v != "error"]
    if words:
        return words[0]
    code = values[0]
    return str(code) if isinstance(code, int) and 0 <= code <= 99_999 else None
