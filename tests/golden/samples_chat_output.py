"""What chat and legacy completions say: answers, tools, refusals, reasoning."""

from tests.golden.wire_forms import (
    DONE,
    MINI,
    UNKNOWN,
    Sample,
    Tokens,
    chunk,
    completion,
    data,
    document,
    extra_chunk,
    role,
    says,
    tool,
    usage,
)

_STOP = chunk(finish="stop")


_TOOLS = [
    Sample(
        "chat-stream-tools-interleaved",
        "chat",
        data(
            role(),
            tool(0, "find_order", call_id="call_1"),
            tool(1, "find_user", call_id="call_2"),
            tool(0, arguments='{"id":'),
            tool(1, arguments='{"mail":"a@b.example"}'),
            tool(0, arguments="7}"),
            chunk(finish="tool_calls"),
            extra_chunk(usage(70, 30)),
        )
        + DONE,
        Tokens(70, 30),
        "Two calls told apart by their index alone.",
        finish="tool_calls",
        tools=2,
        extra={
            "tool_names": ["find_order", "find_user"],
            "first_output_event": 1,
            "category": "tool_call",
        },
    ),
    Sample(
        "chat-stream-tools-same-index",
        "chat",
        data(
            tool(0, "north", '{"n":1}', "call_n"),
            tool(0, "south", '{"s":1}', "call_s"),
            chunk(finish="tool_calls"),
        )
        + DONE,
        UNKNOWN,
        "A server that numbers every parallel call 0: another id with a name is another call.",
        finish="tool_calls",
        tools=2,
        extra={"tool_names": ["north", "south"]},
    ),
    Sample(
        "chat-stream-tools-unnumbered",
        "chat",
        data(
            tool(None, "east", "{}", "fc-1"),
            tool(None, "west", "{}", "fc-2"),
            chunk(finish="stop", usage=usage(11, 8)),
        )
        + DONE,
        Tokens(11, 8),
        "No index at all, whole calls; the finish reason does not mention tools.",
        tools=2,
    ),
    Sample(
        "chat-stream-tools-id-repeated",
        "chat",
        data(
            tool(0, "look_up", '{"q"', "call_9"),
            tool(0, "look_up", ":1}", "call_9"),
            chunk(finish="tool_calls"),
        )
        + DONE,
        UNKNOWN,
        "Name and id on every piece of one call: still one call.",
        finish="tool_calls",
        tools=1,
    ),
    Sample(
        "chat-stream-function-legacy",
        "chat",
        data(
            chunk({"role": "assistant", "content": None, "function_call": {"name": "get", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
            chunk(finish="function_call"),
        )
        + DONE,
        UNKNOWN,
        "The deprecated function_call is one tool call.",
        finish="function_call",
        tools=1,
    ),
    Sample(
        "chat-json-tools-custom",
        "chat",
        completion(
            {
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}},
                    {"id": "c2", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
                    {"id": "c3", "type": "function", "function": {"name": "add", "arguments": "{}"}},
                ],
            },
            "tool_calls",
            usage=usage(120, 44),
            service_tier="flex",
        ),
        Tokens(120, 44),
        "Custom tools count; a tool called twice is two calls and one name.",
        finish="tool_calls",
        tools=3,
        extra={"service_tier": "flex", "tool_names": ["add", "shell"]},
    ),
]

_OUTPUT = [
    Sample(
        "chat-stream-reasoning-content",
        "chat",
        data(
            chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            chunk({"reasoning_content": "Sum them"}),
            says("12"),
            _STOP,
            extra_chunk(usage(18, 40, completion_tokens_details={"reasoning_tokens": 37})),
        )
        + DONE,
        Tokens(18, 40, reasoning=37),
        "Reasoning is the first output.",
        extra={"first_output_event": 1, "text": "12"},
    ),
    Sample(
        "chat-stream-reasoning-twice",
        "chat",
        data(
            chunk({"reasoning": "abc", "reasoning_details": [{"type": "reasoning.text", "text": "abc"}]}),
            says("d"),
            _STOP,
        )
        + DONE,
        UNKNOWN,
        "The same thought in two fields is counted once.",
        extra={"output_chars": 4},
    ),
    Sample(
        "chat-stream-content-parts",
        "chat",
        data(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            chunk({"content": [{"type": "text", "text": "oui"}]}),
            _STOP,
        )
        + DONE,
        UNKNOWN,
        "Content as a list of parts, of which one is thinking.",
        extra={"text": "oui", "output_chars": 5},
    ),
    Sample(
        "chat-stream-two-choices",
        "chat",
        data(
            says("A"),
            says("B", index=1),
            chunk(finish="length", index=1),
            _STOP,
            extra_chunk(usage(5, 2)),
        )
        + DONE,
        Tokens(5, 2),
        "Two choices: the reported finish reason is the first choice's.",
    ),
    Sample(
        "chat-stream-two-choices-cut",
        "chat",
        data(says("A"), says("B", index=1), _STOP),
        UNKNOWN,
        "One of two choices never finished, and nothing said that the stream was whole.",
        end="truncated",
    ),
    Sample(
        "chat-stream-refusal",
        "chat",
        data(role(), chunk({"refusal": "I will not"}), chunk({"refusal": " do that."}), _STOP) + DONE,
        UNKNOWN,
        "A refusal is output though it is no content.",
        extra={"has_refusal": True, "first_output_event": 1, "category": "refusal"},
    ),
    Sample(
        "chat-stream-length",
        "chat",
        data(says("It was a"), chunk(finish="length", usage=usage(3, 3))) + DONE,
        Tokens(3, 3),
        "Cut by the token limit, and yet a whole reply on the wire.",
        finish="length",
        extra={"category": "truncated"},
    ),
    Sample(
        "chat-stream-content-filter",
        "chat",
        data(says("First"), chunk(finish="content_filter"), extra_chunk(usage(30, 2))) + DONE,
        Tokens(30, 2),
        "Filtered after some output.",
        finish="content_filter",
        extra={"category": "blocked"},
    ),
    Sample(
        "chat-stream-azure-filters",
        "chat",
        data(
            {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []},
            says("Da"),
            _STOP,
            {**_STOP, "choices": [{"index": 0, "content_filter_offsets": {"end_offset": 2}}]},
            extra_chunk(usage(17, 1)),
        )
        + DONE,
        Tokens(17, 1),
        "Azure: an empty head first, and a filter verdict without a delta after the finish.",
        extra={"first_output_event": 1},
    ),
    Sample(
        "chat-stream-fenced-code",
        "chat",
        data(says("```py"), says("\nprint(1)\n```"), _STOP) + DONE,
        UNKNOWN,
        "An answer that starts with a fence is code.",
        extra={"category": "code"},
    ),
    Sample(
        "chat-json-plain",
        "chat",
        completion({"content": "It is open.", "refusal": None}, usage=usage(14, 4), service_tier="default"),
        Tokens(14, 4),
        "A document with no surprises.",
        extra={"service_tier": "default", "text": "It is open.", "category": "answer"},
    ),
    Sample(
        "chat-json-annotations",
        "chat",
        completion(
            {"content": "See there.", "annotations": [{"type": "url_citation", "url_citation": {}}]},
            usage=usage(14, 4),
        ),
        Tokens(14, 4),
        "Annotations are citations.",
        extra={"has_citation": True, "category": "answer_with_citation"},
    ),
    Sample(
        "chat-json-object",
        "chat",
        completion({"content": '{"ok": true}'}, usage=usage(14, 4)),
        Tokens(14, 4),
        "The whole answer parses as JSON.",
        extra={"category": "json"},
    ),
    Sample(
        "chat-json-empty-answer",
        "chat",
        completion({"content": ""}, usage=usage(14, 0)),
        Tokens(14, 0),
        "Nothing was said.",
        extra={"category": "empty"},
    ),
    Sample(
        "chat-json-finish-null",
        "chat",
        document({"model": MINI, "choices": [{"index": 0, "message": {"content": "x"}}]}),
        UNKNOWN,
        "A whole document without finish reason or usage is complete all the same.",
        finish=None,
    ),
    Sample(
        "completions-stream",
        "completions",
        data(
            {"id": "cmpl-1", "model": MINI, "choices": [{"text": "Up", "index": 0, "finish_reason": None}]},
            {"id": "cmpl-1", "model": MINI, "choices": [{"text": "", "index": 0, "finish_reason": "stop"}]},
            {"id": "cmpl-1", "model": MINI, "usage": usage(2, 1), "choices": []},
        )
        + DONE,
        Tokens(2, 1),
        "Legacy completions have text beside the index.",
        extra={"text": "Up", "first_output_event": 0},
    ),
    Sample(
        "completions-stream-unasked",
        "completions",
        data({"model": MINI, "choices": [{"text": "Up", "index": 0, "finish_reason": "length"}]}) + DONE,
        UNKNOWN,
        "No usage on a legacy stream.",
        finish="length",
    ),
    Sample(
        "completions-json-two",
        "completions",
        document(
            {
                "object": "text_completion",
                "model": MINI,
                "choices": [
                    {"text": " a", "index": 0, "finish_reason": "stop"},
                    {"text": " b", "index": 1, "finish_reason": "length"},
                ],
                "usage": usage(3, 4),
            }
        ),
        Tokens(3, 4),
        "Two legacy choices in a document.",
    ),
]

CHAT_OUTPUT = [*_TOOLS, *_OUTPUT]
