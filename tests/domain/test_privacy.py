import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.privacy import (
    hash_identity,
    is_safe_text,
    looks_like_email,
    looks_like_secret,
    mac,
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


@given(st.binary(max_size=140), st.binary(max_size=200))
def test_a_mac_is_the_hmac_of_the_standard_library(key: bytes, data: bytes) -> None:
    assert mac(key, data) == hmac.digest(key, data, "sha256")
