from io import BytesIO

from proxy.adapters.body_reader import Question, answer, framed, outcome_of, read_frame
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit
from proxy.domain.request_facts import read_all_facts

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
HASHING = PromptHashing(mode="sha256", secret=b"0123456789abcdef")
READ = Question(CHAT, HASHING)
BODIES = [b'{"model":"m","messages":[]}', b'{"model":"a","model":"b"}', b'{"model":"n"}']


def test_it_answers_each_body_in_order_until_there_are_no_more() -> None:
    questions = b"".join(framed((READ, len(body))) + body for body in BODIES)
    answers = BytesIO()
    answer(BytesIO(questions), answers)
    answers.seek(0)
    told = [read_frame(answers) for _ in range(4)]
    assert [repr(one) for one in told[:3]] == [repr(outcome_of(body, READ)) for body in BODIES]
    assert told[3] is None


def test_an_outcome_is_facts_or_what_the_caller_is_told() -> None:
    assert outcome_of(BODIES[0], READ) == read_all_facts(BODIES[0], CHAT, HASHING)
    refused = outcome_of(BODIES[1], READ)
    assert isinstance(refused, BadRequest)
    assert (refused.public_message, refused.code) == ("The body names `model` more than once.", "duplicate_model")


def test_an_edited_body_comes_with_its_own_facts_or_not_at_all() -> None:
    question = Question(CHAT, HASHING, PromptEdit(mode="replace", text="Be kind."))
    body = b'{"model":"m","messages":[{"role":"system","content":"Be kind."}]}'
    assert outcome_of(BODIES[0], question) == (body, read_all_facts(body, CHAT, HASHING))
    assert isinstance(outcome_of(BODIES[2], question), NoPlaceError)
