"""Seeded traffic of many conversations at once, of which is known which call belongs to which.

A script is a generator: it yields what its app sends and is given the model's reply, or None where the call failed.
Every app does something that makes joining hard: greetings that all users share, models that always answer the same,
ids that a server counts up, histories that are cut, forks, retries, answers that are asked for again, examples that an
app puts before each request. `play` lets many scripts run at once and asks `serve` for each call.
"""

import random
import string
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Message = Json

GREETINGS = ("hi", "Hello!", "hey, can you help me?", "I have a question", "Good morning")
SAME_ANSWERS = {text: f"Hello! How can I help you today? ({number})" for number, text in enumerate(GREETINGS)}
NIGHTLY = "Run the nightly report and tell me what is unusual."
TEMPLATE_USES = 40
TOOLS = ("get_weather", "search_orders", "read_file", "run_query")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of an app."""

    conversation: int
    path: str
    body: Json
    credential: str
    user: str | None
    retries: int = 0
    """As the SDK's header tells it."""


Script = Generator[Sent, Json | None, None]


@dataclass(slots=True)
class App:
    """One deployment: a key, and ways of its own."""

    dice: random.Random
    number: int
    credential: str
    knows_users: bool
    counts_ids: bool
    """Its server numbers tool calls by conversation instead of drawing ids."""
    is_deterministic: bool
    history: str
    """all, window, or summary."""
    tells_time: bool

    def user(self) -> str | None:
        return f"user-{self.dice.randrange(200)}" if self.knows_users else None

    def words(self, count: int) -> str:
        return " ".join("".join(self.dice.choices(string.ascii_lowercase, k=6)) for _ in range(count))

    def call_id(self, name: str, position: int) -> str:
        if self.counts_ids:
            return f"functions.{name}:{position}"
        return "call_" + "".join(self.dice.choices(string.ascii_letters + string.digits, k=24))

    def system(self) -> Message:
        clock = f" It is {self.dice.randrange(24)}:{self.dice.randrange(60):02}." if self.tells_time else ""
        return {"role": "system", "content": f"You are bot {self.number}.{clock}"}

    def shown(self, history: list[Message]) -> list[Message]:
        """What of the history the app still sends."""
        if self.history == "window" and len(history) > 6:
            return history[-5:]
        if self.history == "summary" and len(history) > 8:
            return [{"role": "user", "content": f"So far: {self.words(3)}"}, *history[-3:]]
        return history


def apps(seed: int, count: int) -> list[App]:
    dice = random.Random(seed)
    return [
        App(
            dice=random.Random(dice.random()),
            number=number,
            credential=f"sk-{number % (count // 2)}",
            knows_users=dice.random() < 0.5,
            counts_ids=dice.random() < 0.15,
            is_deterministic=dice.random() < 0.5,
            history=dice.choices(["all", "window", "summary"], [8, 1, 1])[0],
            tells_time=dice.random() < 0.5,
        )
        for number in range(count)
    ]


def _asked(sent: Sent, dice: random.Random) -> Generator[Sent, Json | None, Json]:
    """Send until there is a reply; now and then the first attempt fails, and the SDK tries again."""
    reply = yield sent
    retries = 0
    while reply is None:
        retries += 1
        reply = yield Sent(sent.conversation, sent.path, sent.body, sent.credential, sent.user, retries)
    if dice.random() < 0.03:  # the user wants another answer
        again = yield sent
        reply = again or reply
    return reply


def chat(app: App, number: int, user: str | None, turns: int) -> Script:
    """A support chat: the first words are everybody's."""
    history: list[Message] = []
    if app.number % 5 == 0:
        history.append({"role": "assistant", "content": "Welcome! What can I do for you?"})  # the app's own words
    text = app.dice.choice(GREETINGS) if app.dice.random() < 0.6 else f"My order {app.words(2)} is late"
    for _ in range(turns):
        history.append({"role": "user", "content": text})
        body = {"model": "gpt-4.1-mini", "messages": [app.system(), *app.shown(history)]}
        reply = yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)
        history.append({"role": "assistant", "content": reply["choices"][0]["message"]["content"]})
        text = f"And what about {app.words(3)}?" if app.dice.random() < 0.9 else "thanks"


def _openai_results(app: App, calls: list[Json]) -> list[Message]:
    return [{"role": "tool", "tool_call_id": call["id"], "content": app.words(5)} for call in calls]


def agent(app: App, number: int, user: str | None, steps: int) -> Script:
    """Chat completions with tools; several such agents often have the very same task."""
    task = NIGHTLY if app.dice.random() < 0.4 else f"Find out about {app.words(3)}"
    history: list[Message] = [{"role": "user", "content": task}]
    for step in range(steps):
        wanted = 0 if step == steps - 1 else app.dice.randrange(1, 4)
        body = {"model": "gpt-4.1", "messages": [app.system(), *history], "wanted": wanted}
        reply = yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)
        message = reply["choices"][0]["message"]
        history.append({"role": "assistant", **message})
        history.extend(_openai_results(app, message.get("tool_calls") or []))
    if app.dice.random() < 0.3:  # a person goes on with it
        history.append({"role": "user", "content": f"Now {app.words(2)}"})
        body = {"model": "gpt-4.1", "messages": [app.system(), *app.shown(history)], "wanted": 0}
        yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)


def claude(app: App, number: int, user: str | None, steps: int) -> Script:
    """Messages with tools; the app moves its cache marks with each request."""
    history: list[Message] = [{"role": "user", "content": f"{NIGHTLY} {app.words(1)}"}]
    for step in range(steps):
        wanted = 0 if step == steps - 1 else app.dice.randrange(1, 3)
        last = history[-1]["content"]
        parts = [{"type": "text", "text": last}] if isinstance(last, str) else last
        marked = [*parts[:-1], {**parts[-1], "cache_control": {"type": "ephemeral"}}]
        body = {"model": "claude-sonnet-5-5", "max_tokens": 64, "wanted": wanted}
        body["messages"] = [*history[:-1], {"role": "user", "content": marked}]
        reply = yield from _asked(Sent(number, "/v1/messages", body, app.credential, user), app.dice)
        history.append({"role": "assistant", "content": reply["content"]})
        calls = [block["id"] for block in reply["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call, "content": app.words(4)} for call in calls]
        history.append({"role": "user", "content": results or "go on"})


def responses(app: App, number: int, user: str | None, turns: int) -> Script:
    """The Responses API: what was said stays at the provider, or is sent again as items."""
    is_stored = app.dice.random() < 0.6
    items: list[Json] = [{"role": "user", "content": app.dice.choice(GREETINGS)}]
    previous: str | None = None
    for turn in range(turns):
        body: Json = {"model": "gpt-5", "input": list(items), "wanted": turn % 2}
        if previous is not None:
            body["previous_response_id"] = previous
        reply = yield from _asked(Sent(number, "/v1/responses", body, app.credential, user), app.dice)
        calls = [item for item in reply["output"] if item["type"] == "function_call"]
        new: list[Json] = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": app.words(3)} for call in calls
        ] or [{"role": "user", "content": f"What about {app.words(2)}?"}]
        if is_stored:
            previous, items = reply["id"], new
        else:
            items = [*items, *reply["output"], *new]


def batch(app: App, number: int, user: str | None, examples: list[Message]) -> Script:
    """One question that stands alone, after the same examples as all others."""
    text = f"Classify: {app.words(1)}" if app.dice.random() < 0.7 else "Classify: refund"
    body = {"model": "gpt-4.1-nano", "messages": [*examples, {"role": "user", "content": text}]}
    yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)


def template(app: App, number: int, uses: Iterator[int]) -> tuple[Script, list[Callable[[], Script]]]:
    """An answer that becomes the example before questions that have nothing to do with it, nor with one another."""
    history: list[Message] = [{"role": "user", "content": f"Translate: {app.words(4)}"}]

    def first() -> Script:
        body = {"model": "gpt-4.1", "messages": list(history)}
        reply = yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, None), app.dice)
        history.append({"role": "assistant", "content": reply["choices"][0]["message"]["content"]})

    return first(), [lambda use=use: batch(app, use, None, history) for use in uses]  # type: ignore[misc]


def forked(app: App, number: int, user: str | None) -> tuple[Script, list[Callable[[], Script]]]:
    """A conversation, and two others that go on from its first reply: all three are one."""
    history: list[Message] = [{"role": "user", "content": f"Plan {app.words(3)}"}]

    def begin() -> Script:
        body = {"model": "gpt-4.1", "messages": list(history)}
        reply = yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)
        history.append({"role": "assistant", "content": reply["choices"][0]["message"]["content"]})

    def branch(direction: str) -> Script:
        body = {"model": "gpt-4.1", "messages": [*history, {"role": "user", "content": direction}]}
        yield from _asked(Sent(number, "/v1/chat/completions", body, app.credential, user), app.dice)

    return begin(), [lambda: branch("cheaper"), lambda: branch("faster")]


class Model:
    """Answers every request, in the dialect of its path; a deterministic one the same words to the same question."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._count = 0

    def reply(self, sent: Sent, app: App) -> Json:
        self._count += 1
        reply_id = f"{self._count:06}-{self._dice.getrandbits(64):016x}"
        wanted = int(sent.body.get("wanted", 0))
        known = sum(len(message.get("tool_calls") or ()) for message in sent.body.get("messages", ()))
        names = [self._dice.choice(TOOLS) for _ in range(wanted)]
        calls = [(app.call_id(name, known + place), name) for place, name in enumerate(names)]
        if sent.path == "/v1/messages":
            return self._message(reply_id, calls, app)
        if sent.path == "/v1/responses":
            return self._response(reply_id, calls, app)
        return self._chat(reply_id, calls, sent, app)

    def _chat(self, reply_id: str, calls: list[tuple[str, str]], sent: Sent, app: App) -> Json:
        last = sent.body["messages"][-1].get("content")
        answer = SAME_ANSWERS.get(last) if app.is_deterministic else None
        message: Json = {"role": "assistant", "content": None if calls else answer or app.words(12)}
        if calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"q": 1}'}}
                for call_id, name in calls
            ]
        reason = "tool_calls" if calls else "stop"
        return {"id": f"chatcmpl-{reply_id}", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}

    def _message(self, reply_id: str, calls: list[tuple[str, str]], app: App) -> Json:
        blocks: list[Json] = [{"type": "text", "text": "Let me look." if calls else app.words(12)}]
        blocks += [{"type": "tool_use", "id": f"toolu_{call}", "name": name, "input": {}} for call, name in calls]
        return {"type": "message", "id": f"msg_{reply_id}", "content": blocks, "stop_reason": "end_turn"}

    def _response(self, reply_id: str, calls: list[tuple[str, str]], app: App) -> Json:
        text = [{"type": "output_text", "text": app.words(10)}]
        output: list[Json] = [{"type": "reasoning", "id": f"rs_{reply_id}", "summary": []}]
        if not calls:
            output.append({"type": "message", "role": "assistant", "content": text})
        for call_id, name in calls:
            output.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"})
        return {"id": f"resp_{reply_id}", "object": "response", "status": "completed", "output": output}


def scripts(seed: int, count: int) -> Iterator[tuple[App, Script, list[Callable[[], Script]]]]:
    """(app, script, what begins when it has ended): so many conversations."""
    dice = random.Random(seed)
    all_apps = apps(seed, 24)
    examples = {app.number: [{"role": "user", "content": f"Classify: {app.words(1)}"}] for app in all_apps}
    for messages in examples.values():
        messages.append({"role": "assistant", "content": "billing"})
    for number in range(count):
        app = dice.choice(all_apps)
        user = app.user()
        kind = dice.choices(["chat", "agent", "claude", "responses", "batch", "fork"], [40, 22, 14, 10, 10, 4])[0]
        after: list[Callable[[], Script]] = []
        if number == 0:
            script, after = template(app, number, iter(range(count, count + TEMPLATE_USES)))
        elif kind == "fork":
            script, after = forked(app, number, user)
        elif kind == "batch":
            script = batch(app, number, user, examples[app.number])
        else:
            make = {"chat": chat, "agent": agent, "claude": claude, "responses": responses}[kind]
            script = make(app, number, user, dice.randrange(2, 7))
        yield app, script, after


@dataclass(slots=True)
class Tally:
    """What became of the calls. A call is joined wrongly if its trace was begun by another conversation."""

    calls: int = 0
    joined: int = 0
    wrong: int = 0
    missed: int = 0
    """Calls that are not the first of their conversation and began a trace all the same."""
    sources: dict[str, int] = field(default_factory=dict)
    _owners: dict[str, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def take(self, conversation: int, trace_id: str, source: str) -> None:
        self.calls += 1
        self.sources[source] = self.sources.get(source, 0) + 1
        if source == "new":
            self._owners[trace_id] = conversation
            self.missed += conversation in self._seen
        else:
            self.joined += 1
            self.wrong += self._owners[trace_id] != conversation
        self._seen.add(conversation)


Serve = Callable[[Sent, Json | None], tuple[str, str]]
"""Takes a request and the reply that it will get (None: it fails); gives its trace and how that was found."""


def play(seed: int, conversations: int, serve: Serve, *, at_once: int = 60) -> Tally:
    """Let them run, `at_once` of them at any time, in an order that the seed decides."""
    dice, model, tally = random.Random(seed), Model(seed), Tally()
    waiting = scripts(seed, conversations)
    running: list[tuple[App, Script, Json | None, list[Callable[[], Script]]]] = []
    while True:
        while len(running) < at_once and (new := next(waiting, None)) is not None:
            running.append((new[0], new[1], None, new[2]))
        if not running:
            return tally
        app, script, reply, after = running.pop(dice.randrange(len(running)))
        try:
            sent = script.send(reply)
        except StopIteration:
            running.extend((app, begin(), None, []) for begin in after)
            continue
        reply = None if dice.random() < 0.04 else model.reply(sent, app)
        tally.take(sent.conversation, *serve(sent, reply))
        running.append((app, script, reply, after))
