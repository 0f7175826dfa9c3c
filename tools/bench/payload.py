"""What goes over the wire: requests and the replies that are scripted for them, so that every byte can be checked.

A request names its script in the model: `bench-NAME`, or `app-bench-NAME`, which a gateway may take for an alias. The
text of a streamed event is a stamp, which the upstream fills with the time of sending: see `rig/http.h`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.demo.answers import Answer
from proxy.demo.wire import Head, chat, chat_frames

STREAM_EVENTS = 50
UNSTAMPED_EVENTS = 4
"""Role, finish, usage and [DONE]."""
STAMP = " @" + "0" * 19
MODEL = "gpt-4.1-mini"
KEY = "pl_bench_0123456789abcdefghijklmnopq"
"""The key that callers present; a proxy key where the gateway knows it as one."""
_HEAD = Head(token="0" * 24, model=MODEL, created=1_700_000_000)
_SENTENCE = "Where is my order? It was promised for Monday, and the page shows nothing but a spinner. "
_BOUNDARY = "0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A request's body and the reply that the upstream gives to it. `gap_us` 0: the events come without pause."""

    name: str
    reply: bytes
    body: bytes
    gap_us: int = 0
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @property
    def stamped_events(self) -> int:
        """Events of the reply that carry the time of their sending."""
        return self.reply.count(b"@")

    def request(self, extra: Mapping[str, str]) -> bytes:
        """The whole request as one write, with the headers that an app would send to Promptlane."""
        headers = {
            "Host": "127.0.0.1",
            "Authorization": f"Bearer {KEY}",
            **self.headers,
            "Accept": "application/json",
            "User-Agent": "promptlane-bench",
            "X-Prompt-Version": "pv_bench_001",
            "X-Prompt-Name": "bench",
            "X-PostHog-Distinct-Id": "user_bench",
            "Content-Length": str(len(self.body)),
            **extra,
        }
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""Any 200 will do for it."""


def plain(name: str, *, request_bytes: int = 600, reply_bytes: int = 800) -> Script:
    """A call with one JSON reply, of about these sizes."""
    answer = Answer(tokens=[" word"] * 60, input_tokens=64)
    padding = max(0, reply_bytes - len(json.dumps(chat(_HEAD, answer))))
    padded = Answer(tokens=[" word"] * (60 + padding // len(" word")), input_tokens=64)
    return Script(name=name, reply=json.dumps(chat(_HEAD, padded)).encode(), body=_body(name, request_bytes))


def stream(name: str, *, events: int = STREAM_EVENTS, gap_us: int = 0) -> Script:
    """A call with a stream of so many events, usage and [DONE] among them."""
    answer = Answer(tokens=[STAMP] * (events - UNSTAMPED_EVENTS), input_tokens=64, with_usage=True)
    reply = b"".join(data for _, data in chat_frames(_HEAD, answer))
    return Script(name=name, reply=reply, body=_body(name, 600, stream=True), gap_us=gap_us)


def upload(name: str, *, file_bytes: int) -> Script:
    """A transcription: a file in a multipart form, and a short reply."""
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{MODEL}-bench-{name}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    body = parts.encode() + bytes(range(256)) * (file_bytes // 256) + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Script(
        name=name,
        reply=b'{"text":"Where is my order?","usage":{"type":"duration","seconds":12}}',
        body=body,
        path="/v1/audio/transcriptions",
        headers={"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
    )


def _body(name: str, size_bytes: int, *, stream: bool = False) -> bytes:
    question = _SENTENCE * (size_bytes // len(_SENTENCE) + 1)
    messages = [
        {"role": "system", "content": "You answer support questions. Be correct and brief."},
        {"role": "user", "content": question[: max(1, size_bytes - 200)]},
    ]
    asked: dict[str, object] = {"model": f"app-bench-{name}", "messages": messages}
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(asked, separators=(",", ":")).encode()
