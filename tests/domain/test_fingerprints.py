import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.fingerprints import PromptHashing, inferred_version, normalise_instructions, prompt_hash
from tests.domain.prompt_corpus import MOMENTS, PROMPTS, WITH_NUMBERS, Prompt

SECRET = b"a secret of thirty-two bytes, say"


def plain(text: str, *, ignores_numbers: bool = False) -> str | None:
    return prompt_hash(text, PromptHashing(mode="sha256", secret=SECRET, ignores_numbers=ignores_numbers))


def keyed(text: str, secret: bytes = SECRET) -> str:
    found = prompt_hash(text, PromptHashing(mode="hmac-sha256", secret=secret))
    assert found is not None
    return found


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_one_prompt_has_one_hash_whatever_its_template_fills_in(prompt: Prompt) -> None:
    filled = [prompt.at(moment) for moment in MOMENTS]
    assert len(set(filled)) == len(MOMENTS)
    assert len({plain(text) for text in filled}) == 1, [normalise_instructions(text) for text in filled]


@pytest.mark.parametrize("prompt", [*PROMPTS, *WITH_NUMBERS], ids=lambda prompt: prompt.name)
def test_an_edit_of_a_prompt_gives_another_hash(prompt: Prompt) -> None:
    moment = MOMENTS[0]
    assert plain(prompt.at(moment)) != plain(prompt.edited().at(moment))


def test_no_two_prompts_share_a_hash() -> None:
    texts = [each.at(moment) for prompt in PROMPTS for each in (prompt, prompt.edited()) for moment in MOMENTS]
    assert len({plain(text) for text in texts}) == 2 * len(PROMPTS)


@pytest.mark.parametrize("prompt", WITH_NUMBERS, ids=lambda prompt: prompt.name)
def test_numbers_count_unless_they_are_ignored(prompt: Prompt) -> None:
    filled = [prompt.at(moment) for moment in MOMENTS]
    assert len({plain(text) for text in filled}) == len(MOMENTS)
    assert len({plain(text, ignores_numbers=True) for text in filled}) == 1
    assert plain(filled[0], ignores_numbers=True) != plain(prompt.edited().at(MOMENTS[0]), ignores_numbers=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Now: 2026-06-04T12:00:00Z", "Now: 2026-06-05T00:13:59.123+02:00"),
        ("the 4th of June 2026", "the 21st of May 2027"),
        ("on 6/4/2026.", "on 11/23/2026."),
        ("at 1780000000", "at 1790000000123"),
        ("be  brief\n\n please", "be brief please "),
    ],
)
def test_what_changes_from_call_to_call_is_not_hashed(one: str, other: str) -> None:
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    "text",
    [
        "Use at most 10 bullets, 2000 characters, version 3.11.2, and 24/7 support.",
        "Call search_documents_v2, then base64encode and sha256sum; never gpt-4o-mini or o3.",
        "Step 1: read. Step 2: answer. You may march in the lead; I am sure.",
        "IP 10.10.10.12, ratio 16:9, port 8080, ISO 8601, section 4.2.1",
    ],
)
def test_what_a_prompt_says_stays_as_it_is(text: str) -> None:
    assert normalise_instructions(text) == text


def test_the_hash_says_how_it_was_made() -> None:
    assert plain("be brief") == "sha256:" + hashlib.sha256(b"be brief").hexdigest()
    secretly = keyed("be brief")
    assert secretly.startswith("hmac-sha256:")
    assert len(secretly) == len("hmac-sha256:") + 64
    assert secretly != keyed("be brief", b"another secret")


def test_no_instructions_have_no_hash() -> None:
    assert plain("") is None
    assert plain(" \n") is None


def test_a_remembered_hash_is_the_same_and_others_push_it_out() -> None:
    first = keyed("text 1")
    assert keyed("text 1") == first
    for number in range(1_100):
        keyed(f"word {'x' * number}")
    assert keyed("text 1") == first


def test_instructions_too_long_to_normalise_are_hashed_as_they_are() -> None:
    one, other = "a 2026-06-04 " * 30_000, "a 2026-06-05 " * 30_000
    assert plain(one) == "sha256:" + hashlib.sha256(one.encode()).hexdigest()
    assert plain(one) != plain(other)


@given(st.text(alphabet=st.sampled_from("aB1 -_:/.,T0@9Zé\u202f"), max_size=80))
def test_normalising_twice_changes_nothing_more_and_never_fails(text: str) -> None:
    once = normalise_instructions(text)
    assert normalise_instructions(once) == once


def test_the_inferred_version_is_the_beginning_of_the_hash() -> None:
    found = keyed("be brief")
    assert inferred_version(found) == "fp_" + found.removeprefix("hmac-sha256:")[:12]


def test_a_hash_of_an_apps_own_form_gives_an_id_of_the_same_form() -> None:
    assert inferred_version("v7") == inferred_version("v7") != inferred_version("v8")
    assert inferred_version("sha256:short").startswith("fp_")
    assert len(inferred_version("sha256:short")) == len("fp_") + 12
