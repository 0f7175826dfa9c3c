"""Errors, impossible counts and odd framings, in the chat dialect unless the point is another's."""

from tests.golden.wire_forms import (
    DONE,
    UNKNOWN,
    Sample,
    Tokens,
    chunk,
    comment,
    completion,
    data,
    document,
    dump,
    extra_chunk,
    role,
    says,
    usage,
)

_STOP = chunk(finish="stop")
_PLAIN = [role(), says("left"), says(" right"), _STOP, extra_chunk(usage(7, 2))]
_PLAIN_TOKENS = Tokens(7, 2)


def _chat(name: str, body: bytes, tokens: Tokens, why: str, **more: object) -> Sample:
    return Sample(name, "chat", body, tokens, why, **more)  # type: ignore[arg-type]


def _error(name: str, status: int, body: bytes, why: str, code: str | None, **more: object) -> Sample:
    parts = {"finish": None, "model": None, "end": "error", "status": status, "extra": {"error_code": code}}
    return Sample(name, "chat", body, UNKNOWN, why, **{**parts, **more})  # type: ignore[arg-type]


_ERRORS = [
    _error(
        "error-json-401",
        401,
        document({"error": {"message": "Bad key", "type": "invalid_request_error", "code": "invalid_api_key"}}),
        "OpenAI's envelope: the code says more than the type.",
        "invalid_api_key",
    ),
    _error(
        "error-json-number",
        429,
        document({"error": {"message": "Slow", "type": None, "code": 429}}),
        "A bare number is the only code there is.",
        "429",
    ),
    _error(
        "error-json-number-and-type",
        503,
        document({"error": {"message": "Down", "type": "server_error", "code": 503}}),
        "A word says more than a number that repeats the status.",
        "server_error",
    ),
    _error(
        "error-json-flat",
        422,
        document({"object": "error", "message": "Extra field", "type": "BadRequestError", "code": 422}),
        "A flat error object, as older servers send it.",
        "BadRequestError",
    ),
    _error(
        "error-json-array",
        400,
        document([{"error": {"code": 400, "message": "No", "status": "INVALID_ARGUMENT"}}]),
        "An error wrapped in an array.",
        "INVALID_ARGUMENT",
    ),
    _error(
        "error-json-string",
        404,
        document({"error": "model 'x' not found"}),
        "The error is a sentence: there is no code, and the sentence is not one.",
        None,
    ),
    _error(
        "error-json-long-code",
        400,
        document({"error": {"code": "x" * 101, "type": "invalid_request_error"}}),
        "A code of more than 100 characters is no code.",
        "invalid_request_error",
    ),
    _error("error-json-empty", 503, b"", "An error without a body.", None),
    _error(
        "error-json-page",
        502,
        b"<html><title>Bad gateway</title></html>",
        "A gateway's page.",
        None,
        content_type="text/html",
    ),
    _error(
        "error-json-at-200",
        200,
        document({"error": {"message": "Overloaded", "type": "server_error", "code": None}}),
        "An error body at 200 is an error.",
        "server_error",
    ),
    _error(
        "error-json-as-event-type",
        200,
        document({"error": {"message": "No", "type": "invalid_request_error"}}),
        "A JSON error under an event-stream type.",
        "invalid_request_error",
        content_type="text/event-stream",
    ),
    _chat(
        "error-stream-midway",
        data(says("Par"), {"error": {"message": "It broke", "type": "server_error", "code": None}}),
        UNKNOWN,
        "An error event after output.",
        finish=None,
        end="error",
        extra={"error_code": "server_error", "category": "truncated"},
    ),
    _chat(
        "error-stream-then-done",
        data(says("Par"), {"error": {"message": "EngineDead", "type": "InternalServerError"}}) + DONE,
        UNKNOWN,
        "[DONE] after an error makes no success of it.",
        finish=None,
        end="error",
        extra={"error_code": "InternalServerError"},
    ),
    _chat(
        "error-stream-named",
        data(says("Par")) + b'event: error\ndata: {"message":"Tool use failed","code":"tool_use_failed"}\n\n',
        UNKNOWN,
        "Only the event's name tells that it is an error.",
        finish=None,
        end="error",
        extra={"error_code": "tool_use_failed"},
    ),
    _chat(
        "error-stream-in-choice",
        data(
            says("Par"),
            {
                **chunk(finish="error"),
                "choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502}}],
            },
        )
        + DONE,
        UNKNOWN,
        "The error sits in the choice.",
        finish="error",
        end="error",
        extra={"error_code": "502"},
    ),
    _chat(
        "error-stream-by-finish-alone",
        data(says("Par"), chunk(finish="error")) + DONE,
        UNKNOWN,
        "Nothing but the finish reason says that the upstream failed.",
        finish="error",
        end="error",
    ),
    _chat(
        "error-stream-after-finish",
        data(says("All"), _STOP, {"error": {"type": "server_error"}}),
        UNKNOWN,
        "An error after the finish is still an error.",
        end="error",
    ),
]

_COUNTS = [
    _chat(
        "counts-json-negative",
        completion({"content": "x"}, usage=usage(-7, 3)),
        Tokens(None, 3, None, None, 0, "partial"),
        "A negative count is unknown; the other stands.",
    ),
    _chat(
        "counts-json-huge",
        completion({"content": "x"}, usage=usage(9223372036854775808, 3)),
        Tokens(None, 3, None, None, 0, "partial"),
        "2^63 is no count.",
    ),
    _chat(
        "counts-json-text",
        completion({"content": "x"}, usage={"prompt_tokens": "7", "completion_tokens": "3"}),
        UNKNOWN,
        "Counts as text are not guessed at.",
    ),
    _chat(
        "counts-json-whole-floats",
        completion({"content": "x"}, usage={"prompt_tokens": 7.0, "completion_tokens": 3.0}),
        Tokens(7, 3),
        "Whole numbers written as floats are counts.",
    ),
    _chat(
        "counts-json-contradictory",
        completion(
            {"content": "x"},
            usage=usage(
                10,
                5,
                prompt_tokens_details={"cached_tokens": 40},
                completion_tokens_details={"reasoning_tokens": 6},
            ),
        ),
        Tokens(10, 5, None, 0, None),
        "A part that is more than its whole is unknown; nothing becomes negative.",
    ),
    _chat(
        "counts-json-total-too-small",
        completion({"content": "x"}, usage=usage(10, 5, 3)),
        Tokens(10, 5),
        "A total below its parts is passed over.",
    ),
    _chat(
        "counts-json-wrong-shapes",
        document({"model": 5, "choices": {"0": None}, "usage": [1], "id": None}),
        UNKNOWN,
        "Every member has another type than it should.",
        finish=None,
        model=None,
    ),
    _chat(
        "counts-stream-null-members",
        data({"choices": None, "usage": None, "model": None}, says("x"), _STOP, extra_chunk(usage(1, 1))) + DONE,
        Tokens(1, 1),
        "Nulls everywhere.",
    ),
]

_FRAMING = [
    _chat("framing-crlf", data(*_PLAIN, "[DONE]", end="\r\n"), _PLAIN_TOKENS, "CRLF line ends."),
    _chat("framing-cr", data(*_PLAIN, "[DONE]", end="\r"), _PLAIN_TOKENS, "CR line ends."),
    _chat(
        "framing-mixed",
        data(*_PLAIN[:3], end="\r\n") + data(*_PLAIN[3:], end="\r") + DONE,
        _PLAIN_TOKENS,
        "Line ends change midway.",
    ),
    _chat("framing-bom", b"\xef\xbb\xbf" + data(*_PLAIN) + DONE, _PLAIN_TOKENS, "A byte order mark first."),
    _chat(
        "framing-no-space",
        (data(*_PLAIN) + DONE).replace(b"data: ", b"data:"),
        _PLAIN_TOKENS,
        "No space after the colon.",
    ),
    _chat(
        "framing-lines",
        data(*_PLAIN[:4])
        + b'data: {"choices": [],\ndata:  "usage":\ndata:  {"prompt_tokens": 7,\ndata:   "completion_tokens": 2}}\n\n'
        + DONE,
        _PLAIN_TOKENS,
        "One event over several data lines.",
    ),
    _chat(
        "framing-fields",
        b"retry: 1500\n\nevent: ping\n\nid: 4\n" + data(*_PLAIN) + b"unknown\nother: field\n\n" + DONE,
        _PLAIN_TOKENS,
        "Fields other than data dispatch nothing by themselves.",
    ),
    _chat(
        "framing-comments",
        comment("hello") + data(_PLAIN[0]) + b": in the block\n" + data(*_PLAIN[1:]) + comment("bye") + DONE,
        _PLAIN_TOKENS,
        "Comments between and within blocks.",
    ),
    _chat(
        "framing-blank-lines",
        b"\n\n" + data(*_PLAIN).replace(b"\n\n", b"\n\n\n\n") + DONE,
        _PLAIN_TOKENS,
        "More blank lines than needed.",
    ),
    _chat(
        "framing-no-done",
        data(*_PLAIN),
        _PLAIN_TOKENS,
        "No [DONE]: the finish reason is the mark of a whole reply.",
    ),
    _chat(
        "framing-dangling-usage",
        data(*_PLAIN).removesuffix(b"\n\n"),
        _PLAIN_TOKENS,
        "No line end after the last event, which holds the usage.",
    ),
    _chat(
        "framing-done-alone",
        data(role(), says("le")) + DONE,
        UNKNOWN,
        "[DONE] without a finish reason: not a whole reply.",
        finish=None,
        end="truncated",
    ),
    _chat(
        "framing-done-decorated",
        data(*_PLAIN) + b"data: [DONE] bye\n\n",
        _PLAIN_TOKENS,
        "[DONE] with something behind it.",
    ),
    _chat(
        "framing-cut-event",
        data(role(), says("le")) + f"data: {dump(says('ft'))}".encode()[:-9],
        UNKNOWN,
        "Cut within an event.",
        finish=None,
        end="truncated",
        extra={"malformed_events": 1, "text": "le"},
    ),
    _chat(
        "framing-cut-character",
        data(says("Grüß")) + f"data: {dump(says('ü'))}".encode().partition("ü".encode())[0] + b"\xc3",
        UNKNOWN,
        "Cut within a character.",
        finish=None,
        end="truncated",
        extra={"malformed_events": 1, "text": "Grüß"},
    ),
    _chat(
        "framing-bad-json",
        data(role(), "{oops", says("le"), "12", _STOP, extra_chunk(usage(7, 1))) + DONE,
        Tokens(7, 1),
        "Events that are no JSON objects are counted and passed over.",
        extra={"malformed_events": 2, "text": "le"},
    ),
    _chat(
        "framing-bad-utf8",
        data(role()) + b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n' + data(_STOP) + DONE,
        UNKNOWN,
        "An event with bytes that are no text.",
        extra={"malformed_events": 1},
    ),
    _chat(
        "framing-line-separator",
        data(says("one\u2028two\u0085three"), _STOP, extra_chunk(usage(7, 4))) + DONE,
        Tokens(7, 4),
        "Unicode line separators end no line.",
        extra={"text": "one\u2028two\u0085three"},
    ),
    _chat(
        "framing-usage-in-text",
        data(says('"usage":{"prompt_tokens":999}'), _STOP, extra_chunk(usage(7, 4))) + DONE,
        Tokens(7, 4),
        "The answer talks about usage.",
    ),
    _chat(
        "framing-stream-as-json",
        data(*_PLAIN) + DONE,
        _PLAIN_TOKENS,
        "An event stream under a JSON type.",
        content_type="application/json",
    ),
    _chat("framing-empty-json", b"", UNKNOWN, "No body at 200.", finish=None, model=None, end="truncated"),
    _chat(
        "framing-blanks-json",
        b"\n\n   \r\n" + completion({"content": "ok"}, usage=usage(2, 1)) + b"\n",
        Tokens(2, 1),
        "Blank lines keep a connection alive before the document.",
    ),
    _chat(
        "framing-cut-json",
        completion({"content": "never whole"}, usage=usage(2, 1))[:-20],
        UNKNOWN,
        "A document that stops.",
        finish=None,
        model=None,
        end="truncated",
        extra={"malformed_events": 1},
    ),
]

EDGES = [*_ERRORS, *_COUNTS, *_FRAMING]
