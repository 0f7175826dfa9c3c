"""One prompt version with changing texts, through the whole pipeline."""

from collections.abc import Sequence
from dataclasses import replace

from proxy.domain.prompt_drift import TELLINGS_A_DAY
from proxy.domain.prompts import ManagedPrompt, PromptBook, PromptVersion
from tests.pipeline.fakes import CHAT, World, call, plain, request, snapshot, world

AUTH = ("Authorization", "Bearer sk-theirs")
DAY_US = 86_400_000_000


async def ask(made: World, system: str, *headers: tuple[str, str], day: int = 0) -> None:
    messages = [{"role": "system", "content": system}, *CHAT["messages"]]
    asked = request({**CHAT, "messages": messages}, headers=(AUTH, *headers))
    await call(made, replace(asked, received_unix_us=asked.received_unix_us + day * DAY_US))


def a_world(count: int) -> World:
    return world(*(plain() for _ in range(count)))


def told(made: World) -> Sequence[tuple[str, str]]:
    """(version, mark) of each drift that was told."""
    return [
        (event["properties"]["prompt_version_id"], "volatile" if event["properties"].get("prompt_is_volatile") else "")
        for event in made.journal.events("llm_prompt_drifted")
    ]


V1, V2, NAME = ("X-Prompt-Version", "pv_1"), ("X-Prompt-Version", "pv_2"), ("X-Prompt-Name", "support")


async def test_another_text_under_the_same_version_is_told_once() -> None:
    made = a_world(5)
    for system in ("Be kind. Today is 2026-06-04.", "Be kind. Today is 2026-06-05."):
        await ask(made, system, V1)
    assert told(made) == []
    for system in ("Be terse.", "Be terse.", "Be kind. Today is 2026-06-06."):
        await ask(made, system, V1)
    assert told(made) == [("pv_1", "")]
    (event,) = made.journal.events("llm_prompt_drifted")
    first, second = (made.journal.events("llm_request_started")[n]["properties"] for n in (0, 2))
    assert event["properties"]["first_prompt_hash"] == first["prompt_hash"]
    assert event["properties"]["prompt_hash"] == second["prompt_hash"]
    assert event["properties"]["exchange_id"] == second["exchange_id"]


async def test_another_version_or_another_prompt_begins_anew() -> None:
    made = a_world(3)
    await ask(made, "One.", V1)
    await ask(made, "Two.", V2)
    await ask(made, "Three.", V1, NAME)
    assert told(made) == []


async def test_calls_that_name_no_version_do_not_drift() -> None:
    made = a_world(2)
    await ask(made, "One.")
    await ask(made, "Two.")
    assert told(made) == []


async def test_a_text_that_changes_at_every_call_is_told_a_few_times_a_day_and_is_not_remembered() -> None:
    count = 3 * TELLINGS_A_DAY
    made = a_world(2 * count)
    for number in range(count):
        await ask(made, f"You serve {'x' * number}.", V1)
    assert told(made) == [("pv_1", "")] * (TELLINGS_A_DAY - 1) + [("pv_1", "volatile")]
    shared = made.services.shared
    assert isinstance(shared, dict)
    known = len(shared)
    await ask(made, "One more.", V1)
    assert len(shared) == known
    await ask(made, "And tomorrow another.", V1, day=1)
    assert len(told(made)) == TELLINGS_A_DAY + 1


async def test_a_managed_prompt_is_what_its_version_holds_and_not_what_it_was_filled_in_with() -> None:
    text = PromptVersion(id="pv_1", text="Help {{who}}.", content_hash="sha256:one")
    prompt = ManagedPrompt(name="support", versions={"pv_1": text}, default="pv_1", variables={"who": "them"})
    edited = replace(prompt, versions={"pv_1": replace(text, text="Serve {{who}}.", content_hash="sha256:two")})
    made = world(plain(), plain(), plain())
    for managed, who in ((prompt, "Ada"), (prompt, "Bob"), (edited, "Ada")):
        book = replace(snapshot(), prompts=PromptBook(prompts={"support": managed}))
        made.services.snapshot = lambda book=book: book  # type: ignore[misc]
        await call(made, request({**CHAT, "prompt_variables": {"who": who}}, headers=(AUTH, NAME)))
    (event,) = made.journal.events("llm_prompt_drifted")
    assert event["properties"]["first_prompt_hash"] == "sha256:one"
    assert event["properties"]["prompt_hash"] == "sha256:two"


async def test_what_was_forgotten_is_no_drift() -> None:
    made = a_world(2)
    await ask(made, "One.", V1)
    assert isinstance(made.services.shared, dict)
    made.services.shared.clear()
    await ask(made, "Two.", V1)
    assert told(made) == []


async def test_what_was_looked_up_this_minute_is_not_looked_up_again_and_then_it_is() -> None:
    made = a_world(3)
    shared = made.services.shared
    assert isinstance(shared, dict)
    await ask(made, "One.", V1)
    known = dict(shared)
    for day, is_remembered in ((0, False), (1, True)):
        for key in made.services.first_texts:
            shared.pop(key, None)
        await ask(made, "One.", V1, day=day)
        assert (known.keys() <= shared.keys()) is is_remembered
