import base64

import pytest

from proxy.domain.content_key import BadKey, keys_of

OLD, NEW = bytes(32), bytes(range(32))


def text_of(*keys: bytes) -> str:
    return ", ".join(base64.b64encode(key).decode() for key in keys)


def test_keys_stand_in_order() -> None:
    assert keys_of(text_of(NEW, OLD)) == [NEW, OLD]


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "is not set or empty"), (" , ", "is not set"), ("secret!", "is not base64"), (text_of(b"short"), "5 bytes")],
)
def test_what_is_no_key_is_told_without_quoting_it(text: str, why: str) -> None:
    with pytest.raises(BadKey, match=why) as raised:
        keys_of(text)
    assert not text.strip(" ,") or text not in str(raised.value)
