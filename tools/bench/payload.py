"""What goes over the wire: two requests and their replies, fixed, so that every byte can be checked."""

import json
from dataclasses import dataclass

from proxy.demo.answers import Answer
from proxy.demo.wire import Head, chat, chat_frames

EVENTS_PER_STREAM = 50
PACED_MODEL = "gpt-4.1-mini-paced"
_HEAD = Head(token="0" * 24, model="gpt-4.1-mini", created=1_700_000_000)
_ANSWER = Answer(
    tokens=[f" word{number}" for number in range(EVENTS_PER_STREAM - 4)],  # beside them: role, finish, usage, [DONE]
    input_tokens=64,
    with_usage=True,
)
JSON_REPLY = json.dumps(chat(_HEAD, _ANSWER)).encode()
EVENTS = tuple(data for _, data in chat_frames(_HEAD, _ANSWER))
_QUESTION = "Where is my order? It was promised for Monday, and the page shows nothing but a spinner. " * 4


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request's body, and the body that must come back."""

    body: bytes
    reply: bytes

    def request(self, host: str) -> bytes:
        """The whole request as one write."""
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer sk-bench\r\n"
            "Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: promptlane-bench\r\n"
            "X-Prompt-Version: pv_bench_001\r\nX-Prompt-Name: bench\r\nX-PostHog-Distinct-Id: user_bench\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def _body(model: str, *, stream: bool) -> bytes:
    messages = [
        {"role": "system", "content": "You answer support questions. Be correct and brief."},
        {"role": "user", "content": _QUESTION},
    ]
    asked: dict[str, object] = {"model": model, "messages": messages}
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(asked, separators=(",", ":")).encode()


PLAIN = Exchange(_body("gpt-4.1-mini", stream=False), JSON_REPLY)
STREAM = Exchange(_body("gpt-4.1-mini", stream=True), b"".join(EVENTS))
PACED_STREAM = Exchange(_body(PACED_MODEL, stream=True), b"".join(EVENTS))
