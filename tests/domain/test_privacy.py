import hashlib
import hmac

import pytest

from proxy.domain.privacy import (
    hash_identity,
    is_safe_text,
    looks_like_email,
    looks_like_secret,
    prompt_hash,
    purpose_key,
)

SECRET = b"a secret of thirty-two bytes, say"


@pytest.mark.parametrize("value", ["a\0b", "a\nb", "a\tb", "\x7f", "\x85", "a\u2028b", "\udc80", "\x1b[2J"])
def test_control_characters_and_broken_utf8_are_unsafe(value: str) -> None:
    assert not is_safe_text(value)


@pytest.mark.parametrize("value", ["", "a b", "ünïcode", "日本", "👩‍💻", "nb\u00a0sp"])
def test_words_of_any_script_are_safe(value: str) -> None:
    assert is_safe_text(value)


@pytest.mark.parametrize("value", ["ada@example.com", "mailto:ada@example.com", "Ada <a@b.co>", "ada%40example.com"])
def test_emails_are_recognised(value: str) -> None:
    assert looks_like_email(value)


@pytest.mark.parametrize("value", ["user_8f3a", "@ada", "ada@host", "a.b", "@.com", ""])
def test_other_ids_are_not_emails(value: str) -> None:
    assert not looks_like_email(value)


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-abcdEFGH1234567890",
        "sk-ant-api03-abcdefgh12345678",
        "user:sk-abcdefgh12345678",
        "plk_abcdefgh",
        "phc_abcdefghijklmnop1234",
        "ghp_abcdefghijklmnop1234",
        "xoxb-1234567890-abc",
        "AKIAABCDEFGHIJKLMNOP",
        "AIza" + "a" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
        "Bearer abcdefgh12345678",
    ],
)
def test_keys_and_tokens_are_recognised(value: str) -> None:
    assert looks_like_secret(value)


@pytest.mark.parametrize(
    "value",
    ["pv_2026_06_04_003", "task-sk-1", "support_answer", "sk-learn", "trace_01J7ZP8E9K4VQ2", "risk-assessment-v2"],
)
def test_common_ids_are_not_secrets(value: str) -> None:
    assert not looks_like_secret(value)


def test_each_purpose_has_its_own_key() -> None:
    assert purpose_key(SECRET, "identity") != purpose_key(SECRET, "prompt hash")
    assert purpose_key(SECRET, "identity") != purpose_key(b"another", "identity")


def test_an_identity_hash_is_plain_hmac_so_that_apps_can_make_it() -> None:
    assert hash_identity("ada", b"salt") == hmac.new(b"salt", b"ada", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Today is 2026-06-04.", "Today is 2026-11-23."),
        ("Now: 2026-06-04T12:00:00Z", "Now: 2026-06-05T00:13:59.123+02:00"),
        ("It is Thursday, June 4, 2026, 2:30 PM.", "It is Monday, November 23, 2026, 11:05 AM."),
        ("Date: Thu, 04 Jun 2026 12:00:00 GMT", "Date: Mon, 23 Nov 2026 01:02:03 GMT"),
        ("the 4th of June 2026", "the 21st of May 2027"),
        ("session 0198c0de-0000-7000-8000-000000000abc", "session 0198C0DE-1111-7000-8000-00000000FFFF"),
        ("build deadbeefdeadbeef01", "build 0123456789abcdef99"),
        ("at 1780000000", "at 1790000000123"),
        ("be  brief\n\n please", "be brief please "),
    ],
)
def test_what_changes_from_call_to_call_is_not_hashed(one: str, other: str) -> None:
    assert prompt_hash(one, "sha256", SECRET) == prompt_hash(other, "sha256", SECRET)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Answer briefly.", "Answer at length."),
        ("Use at most 100 words.", "Use at most 200 words."),
        ("You run gpt-4.1", "You run gpt-5.1"),
        ("temperature 0.25", "temperature 0.75"),
    ],
)
def test_what_a_prompt_says_is_hashed(one: str, other: str) -> None:
    assert prompt_hash(one, "sha256", SECRET) != prompt_hash(other, "sha256", SECRET)


def test_the_hash_says_how_it_was_made() -> None:
    plain = prompt_hash("be brief", "sha256", SECRET)
    assert plain == "sha256:" + hashlib.sha256(b"be brief").hexdigest()
    keyed = prompt_hash("be brief", "hmac-sha256", SECRET)
    assert keyed is not None
    assert keyed.startswith("hmac-sha256:")
    assert len(keyed) == len("hmac-sha256:") + 64
    assert keyed != prompt_hash("be brief", "hmac-sha256", b"another secret")


def test_no_instructions_have_no_hash() -> None:
    assert prompt_hash("", "sha256", SECRET) is None
    assert prompt_hash(" \n", "sha256", SECRET) is None


def test_a_remembered_hash_is_the_same_and_others_push_it_out() -> None:
    first = prompt_hash("text 1", "hmac-sha256", SECRET)
    assert prompt_hash("text 1", "hmac-sha256", SECRET) == first
    for number in range(1_100):
        prompt_hash(f"word {'x' * number}", "hmac-sha256", SECRET)
    assert prompt_hash("text 1", "hmac-sha256", SECRET) == first


def test_instructions_too_long_to_normalise_are_hashed_as_they_are() -> None:
    one, other = "a 2026-06-04 " * 30_000, "a 2026-06-05 " * 30_000
    assert prompt_hash(one, "sha256", SECRET) == "sha256:" + hashlib.sha256(one.encode()).hexdigest()
    assert prompt_hash(one, "sha256", SECRET) != prompt_hash(other, "sha256", SECRET)
