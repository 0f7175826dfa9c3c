import time

import pytest

from proxy.domain.linear_patterns import BadPattern
from proxy.domain.redaction import BUILT_IN, Redaction, checked

ALL = Redaction(BUILT_IN, {"ticket": r"TICKET-\d+"})


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("my key is sk-proj-Abcd1234efgh5678, thanks", "my key is [keys], thanks"),
        ("\nplk_0123456789abcdef\n", "\n[keys]\n"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: [keys]"),
        ("AKIAABCDEFGHIJKLMNOP", "[keys]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_1", "[keys]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[keys]"),
        ("write to ada.o'neil+x@mail.example.co.uk or jürgen@müller.de!", "write to [emails] or [emails]!"),
        ("?to=ada%40example.org", "?to=[emails]"),
        ("4111 1111 1111 1111 expires", "[cards] expires"),
        ("see TICKET-77 and TICKET-", "see [ticket] and TICKET-"),
        ("nothing @ all, 12 monkeys, task-oriented, a@b", "nothing @ all, 12 monkeys, task-oriented, a@b"),
    ],
)
def test_what_a_rule_finds_is_replaced_by_its_name(text: str, redacted: str) -> None:
    assert ALL.of_text(text) == redacted


def test_only_rules_that_are_asked_for_hold() -> None:
    assert Redaction((), {}).of_text("a@b.de sk-proj-Abcd1234efgh5678") == "a@b.de sk-proj-Abcd1234efgh5678"


def test_every_text_of_a_value_is_read() -> None:
    told = {"a@b.de": [{"x": "a@b.de"}, 7, None, True], "y": {"z": "to a@b.de"}}
    assert ALL.of(told) == {"[emails]": [{"x": "[emails]"}, 7, None, True], "y": {"z": "to [emails]"}}


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time_here() -> None:
    text = "a" * 200_000 + "!"
    began_s = time.process_time()
    assert Redaction((), {"slow": r"(a+)+b"}).of_text(text) == text
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize(("pattern", "why"), [("(?<!a)b", "no look-around"), ("x*", "where there is nothing")])
def test_a_pattern_that_cannot_be_used_says_why(pattern: str, why: str) -> None:
    with pytest.raises(BadPattern, match=why):
        checked(pattern)
