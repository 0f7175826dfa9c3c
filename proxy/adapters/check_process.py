"""Looks at answers for the proxy, in a process of its own: see `adapters.checker`, which starts it.

JSON Schemas can be written so that they take for ever, and a language model of 97 languages takes memory: neither has
a place beside calls. Regular expressions, those within schemas too, are RE2's, whose time grows with the text and no
faster. A schema that refers to something outside of itself finds nothing: no file is opened and no host is asked.

As a program it answers on standard output what it is given on standard input, until that ends. Both ways a frame is
four bytes with its length, big-endian, and a pickle: of the rules and the text; of a finding for each rule, or None
for one that it cannot look at.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from proxy.adapters.body_reader import framed, read_frame
from proxy.domain.checks import PASSED, CheckReason, Finding, HeavyRule, InLanguage, Matches, MatchesSchema
from proxy.domain.linear_patterns import compiled

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
"""What is written in no language."""
_pattern = lru_cache(maxsize=1024)(compiled)
_FEWEST_LETTERS = 12
_SURELY, _HARDLY = 0.8, 0.05
"""Probabilities from which another language was surely used, and up to which an allowed one hardly was."""

Findings = list[Finding | None]


def finding(rule: HeavyRule, text: str) -> Finding:
    """What one rule comes to."""
    match rule:
        case MatchesSchema():
            return _schema_finding(rule.schema, text)
        case Matches():
            is_found = _pattern(rule.pattern).search(text) is not None
            if is_found is rule.wanted:
                return PASSED
            return Finding(False, CheckReason.NO_MATCH if rule.wanted else CheckReason.FORBIDDEN_MATCH)
        case InLanguage():
            return _language_finding(rule.languages, text)


def _schema_finding(schema: str, text: str) -> Finding:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Finding(False, CheckReason.NOT_JSON)
    return PASSED if _validator(schema).is_valid(value) else Finding(False, CheckReason.SCHEMA_MISMATCH)


@lru_cache(maxsize=256)
def _validator(schema: str) -> "Validator":
    from jsonschema import validators
    from referencing import Registry

    parsed = orjson.loads(schema)
    draft = validators.validator_for(parsed, default=validators.Draft202012Validator)
    rules = {"pattern": _match_pattern, "patternProperties": _match_pattern_properties}
    linear = validators.extend(draft, rules)  # type: ignore[no-untyped-call]
    made: Validator = linear(parsed, registry=Registry())
    return made


def _match_pattern(_: "Validator", pattern: str, instance: object, __: object) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and _pattern(pattern).search(instance) is None:
        yield ValidationError("pattern")


def _match_pattern_properties(
    validator: Any,  # noqa: ANN401
    patterns: Mapping[str, Any],
    instance: object,
    _: object,
) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if _pattern(pattern).search(name) is not None:
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _language_finding(languages: Iterable[str], text: str) -> Finding:
    prose = _CODE_BLOCK.sub(" ", text)
    if sum(map(str.isalpha, prose)) < _FEWEST_LETTERS:
        return Finding(None, CheckReason.UNSURE)
    ranked = dict(_identifier().rank(prose))
    allowed = sum(ranked.get(language, 0.0) for language in languages)
    if allowed >= 0.5:
        return PASSED
    is_other = max(ranked.values()) >= _SURELY and allowed <= _HARDLY
    return Finding(False, CheckReason.WRONG_LANGUAGE) if is_other else Finding(None, CheckReason.UNSURE)


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _load(rule: HeavyRule) -> None:
    """All that the rule may need: who asks about an empty text, as `Checker.warm` does, has it loaded."""
    match rule:
        case MatchesSchema():
            _validator(rule.schema)
        case Matches():
            _pattern(rule.pattern)
        case InLanguage():
            _identifier()


def findings(rules: Sequence[HeavyRule], text: str) -> Findings:
    """One for each rule; None for one that fails by itself, which costs the others nothing."""
    found: Findings = []
    for rule in rules:
        try:
            _load(rule)
            found.append(finding(rule, text))
        except Exception:  # noqa: BLE001 - a reference that leads nowhere, nesting without end: nothing is known then
            found.append(None)
    return found


def answer(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    while (question := read_frame(questions)) is not None:
        answers.write(framed(findings(*question)))
        answers.flush()


if __name__ == "__main__":
    os.nice(10)  # who shares a core with the proxy lets it go first
    answer(sys.stdin.buffer, sys.stdout.buffer)
