import orjson
import pytest

from proxy.domain.endpoints import Dialect
from proxy.domain.judges import MAX_TOKENS, SHOWN_QUESTION_CHARS, Judge, Verdict, question_of, request_body, verdict_of

JUDGE = Judge(
    name="helpful", model="strong", criteria="Says when it ships.", sample=0.1, per_minute=6, reasons=("wrong", "vague")
)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"passed": true, "score": 0.9, "reason": "none"}', Verdict(True, 0.9, None)),
        ('{"passed": false, "score": 0, "reason": "vague"}', Verdict(False, 0.0, "vague")),
        ('```json\n{"passed": false}\n```', Verdict(False, None, "other")),
        ('Here it is: {"passed": true, "score": 7}', Verdict(True, None, None)),
        ('{"passed": false, "reason": "The user Ada asked for her address"}', Verdict(False, None, "other")),
        ('{"passed": true, "score": true}', Verdict(True, None, None)),
        ('{"passed": "yes"}', None),
        ('{"passed": true', None),
        ("[true]", None),
        ("I would say it passed.", None),
        ("} {", None),
        ("", None),
    ],
)
def test_of_what_a_judge_says_only_the_closed_parts_are_kept(text: str, verdict: Verdict | None) -> None:
    assert verdict_of(text, JUDGE) == verdict


def test_a_judge_is_asked_in_the_dialect_of_its_model() -> None:
    chat = orjson.loads(request_body(JUDGE, Dialect.OPENAI, "When?", "Tomorrow."))
    assert chat["model"] == "strong"
    assert [message["role"] for message in chat["messages"]] == ["system", "user"]
    messages = orjson.loads(request_body(JUDGE, Dialect.ANTHROPIC, "When?", "Tomorrow."))
    assert (messages["max_tokens"], messages["messages"]) == (MAX_TOKENS, chat["messages"][1:])
    assert messages["system"] == chat["messages"][0]["content"]
    assert "Says when it ships." in messages["system"]
    assert '"wrong" or "vague" or "other" or "none"' in messages["system"]


def test_of_a_long_question_the_end_is_shown() -> None:
    body = request_body(JUDGE, Dialect.OPENAI, "a" * SHOWN_QUESTION_CHARS + "the end", "Tomorrow.")
    (_, shown) = orjson.loads(body)["messages"]
    assert "the end\n</question>" in shown["content"]
    assert len(shown["content"]) < SHOWN_QUESTION_CHARS + 200


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"system": "Be kind.", "messages": [{"role": "user", "content": "When?"}]}, "system: Be kind.\n\nuser: When?"),
        ({"instructions": "Be kind.", "input": "When?"}, "system: Be kind.\n\nuser: When?"),
        ({"prompt": "Once"}, "user: Once"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
            "user: a",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, ""),
    ],
)
def test_the_question_is_what_was_said_by_whom(body: object, question: str) -> None:
    assert question_of(orjson.dumps(body)) == question
