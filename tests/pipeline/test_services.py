from dataclasses import replace

from proxy.domain.fingerprints import PromptHashing
from tests.pipeline.fakes import SECRET, snapshot


def test_a_snapshot_says_how_instructions_are_hashed() -> None:
    made = snapshot()
    assert made.hashing == PromptHashing(mode="hmac-sha256", secret=SECRET)
    plain = replace(made.identity, prompt_hash_mode="sha256", prompt_hash_ignores_numbers=True)
    assert replace(made, identity=plain).hashing == PromptHashing(mode="sha256", secret=SECRET, ignores_numbers=True)
