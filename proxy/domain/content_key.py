"""The keys under which content is encrypted, as the environment holds them."""

import base64

VARIABLE = "PROMPTLANE_CONTENT_KEY"
KEY_BYTES = 32


class BadKey(ValueError):
    """The variable holds no key; `why` quotes nothing of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def keys_of(text: str) -> list[bytes]:
    """The keys in the variable's text: base64, several with commas between. Raises `BadKey`."""
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            key = base64.b64decode(part, validate=True)
        except ValueError:
            raise BadKey("is not base64") from None
        if len(key) != KEY_BYTES:
            raise BadKey(f"holds {len(key)} bytes and must hold {KEY_BYTES}")
        keys.append(key)
    if not keys:
        raise BadKey("is not set or empty")
    return keys
