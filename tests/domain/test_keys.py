import hashlib
import hmac

from proxy.domain.identity import VirtualKey
from proxy.domain.keys import HashedKey, HashedKeys, key_hash

SECRET = b"0123456789abcdef"
WEB, BATCH = VirtualKey(alias="web"), VirtualKey(alias="batch")


def hashed(text: str, key: VirtualKey) -> HashedKey:
    return HashedKey(digest=bytes.fromhex(key_hash(text, SECRET).removeprefix("hmac-sha256:")), key=key)


KEYS = HashedKeys([hashed("plk_one", WEB), hashed("plk_two", BATCH)], SECRET)


def test_a_hash_is_plain_hmac_sha256() -> None:
    assert key_hash("plk_one", SECRET) == "hmac-sha256:" + hmac.new(SECRET, b"plk_one", hashlib.sha256).hexdigest()


def test_a_key_is_found_by_its_text_alone() -> None:
    assert KEYS.find("plk_one") is WEB
    assert KEYS.find("plk_two") is BATCH
    assert KEYS.find("plk_three") is None
    assert KEYS.find("") is None
    assert KEYS.find("schl\u00fcssel\udcff") is None


def test_another_secret_knows_no_key() -> None:
    assert HashedKeys([hashed("plk_one", WEB)], b"another secret of 16").find("plk_one") is None


def test_a_digest_is_in_no_repr() -> None:
    entry = hashed("plk_one", WEB)
    assert repr(entry.digest) not in repr(entry)
