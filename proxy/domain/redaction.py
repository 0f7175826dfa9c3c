"""Named rules that take secrets and personal data out of texts before they are kept.

No pattern of an operator's can hold the child up: they run in RE2.
A rule that finds nothing proves nothing: what must not be kept at all is a matter of `capture: none`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.domain.linear_patterns import BadPattern, compiled

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "keys": (
        r"\b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{12,}",
        r"\bplk_[A-Za-z0-9_-]{8,}",
        r"\b(?:ph[cxs]|gsk|hf|r8|xai|pplx|nvapi|fw|gh[pousr]|github_pat)[-_][A-Za-z0-9_-]{16,}",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"\bA(?:KIA|SIA)[0-9A-Z]{16}\b",
        r"\bAIza[A-Za-z0-9_-]{30,}",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        r"(?i)\b(?:bearer|basic) +[A-Za-z0-9._~+/=-]{8,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    ),
    "emails": (r"[\pL\pN._%+'-]{1,64}(?:@|%40)[\pL\pN-]{1,63}(?:\.[\pL\pN-]{1,63})+",),
    "cards": (r"\b(?:\d[ -]?){12,18}\d\b",),
}
"""What a name in `redact:` stands for. `cards` also takes other numbers of 13 to 19 digits."""


class Redaction:
    """The rules of one configuration."""

    def __init__(self, built_in: Iterable[str], patterns: Mapping[str, str]) -> None:
        self._rules = [(f"[{name}]", checked(each)) for name in built_in for each in BUILT_IN[name]]
        self._rules += [(f"[{name}]", checked(pattern)) for name, pattern in patterns.items()]

    def of_text(self, text: str) -> str:
        """Each finding is replaced by the rule's name in brackets."""
        for put, pattern in self._rules:
            text = pattern.sub(lambda _, put=put: put, text)
        return text

    def of(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """The same of all texts in a JSON value, names of members too."""
        if isinstance(value, str):
            return self.of_text(value)
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self.of_text(name): self.of(inner) for name, inner in value.items()}
        return value


def checked(pattern: str) -> Any:  # noqa: ANN401 - the package has no types
    """The pattern of a rule, ready to search. Raises BadPattern, also for one that would match everywhere."""
    made = compiled(pattern)
    if made.search("") is not None:
        raise BadPattern("it matches where there is nothing")
    return made
