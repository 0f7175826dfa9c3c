"""Checks of an answer: what a route declares, what they look at, and what they come to.

An answer is whole text that a model wrote for the user: no reasoning, no arguments of tools, none where the model
called a tool instead. Whether a check is passed is true, false, or not known: where only the beginning of a long
answer was kept, a check that would need the rest is undecided, and what is undecided is never told as passed or
failed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple


class CheckReason(StrEnum):
    """Why a check was not passed, or could not be decided. Closed."""

    NOT_JSON = "not_json"
    SCHEMA_MISMATCH = "schema_mismatch"
    REFUSAL = "refusal"
    REFUSAL_PHRASE = "refusal_phrase"
    NO_CITATION = "no_citation"
    NO_MATCH = "no_match"
    FORBIDDEN_MATCH = "forbidden_match"
    NOT_ALLOWED = "value_not_allowed"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    WRONG_LANGUAGE = "wrong_language"
    # undecided
    CUT = "answer_not_kept_whole"
    UNSURE = "unsure"
    UNCOUNTED = "tokens_unknown"
    NOT_RUN = "check_not_run"


@dataclass(frozen=True, slots=True)
class NoRefusal:
    """The model does not refuse: by the provider's own mark, or by how its answer begins (English)."""


@dataclass(frozen=True, slots=True)
class Cites:
    """The answer cites: by the provider's annotations, or a link, or a mark such as `[1]` in its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Inclusive bounds. Tokens are those of the answer, without reasoning."""

    min_chars: int | None = None
    max_chars: int | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer, trimmed, is one of these values."""

    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class MatchesSchema:
    """The answer is JSON that is valid by a JSON Schema, whose text this is."""

    schema: str


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression (RE2) is found in the answer, or is not where it is not `wanted`."""

    pattern: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class InLanguage:
    """The answer is written in one of these languages (ISO 639)."""

    languages: frozenset[str]


LANGUAGES = frozenset(
    {
        "ace", "af", "am", "an", "ar", "ary", "arz", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca",
        "crh", "cs", "cy", "da", "de", "dz", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr", "fuv",
        "fy", "ga", "gcf", "gcr", "gd", "gl", "gom", "grc", "gu", "gug", "guw", "ha", "hbo", "he", "hi", "hr", "ht",
        "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kab", "kik", "kk", "km", "kn", "ko", "ku", "ky", "la",
        "lb", "lg", "lij", "ln", "lo", "lt", "ltg", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl",
        "nn", "no", "nso", "oc", "om", "or", "pa", "pcm", "pl", "ps", "pt", "qu", "ro", "ru", "rw", "sa", "sdh", "se",
        "si", "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl", "tr", "tt",
        "ug", "uk", "ur", "uz", "uzs", "vec", "vi", "vo", "wa", "wuu", "xh", "yo", "yue", "zh", "zu",
    }
)  # fmt: skip
"""Those that can be told."""

LightRule = NoRefusal | Cites | Length | OneOf
HeavyRule = MatchesSchema | Matches | InLanguage
"""What takes time or packages: looked at in another process."""
Rule = LightRule | HeavyRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a route. `fails`: a call whose answer does not pass has failed."""

    name: str
    rule: Rule
    fails: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What checks look at; held until they are done, and no longer. `text` is whole or None."""

    beginning: str = field(repr=False)
    text: str | None = field(repr=False)
    chars: int
    is_refused: bool
    is_cited: bool
    tokens: int | None


CheckResult = Literal["passed", "failed", "undecided", "lost"]


class Finding(NamedTuple):
    """What one rule came to; `passed` None is undecided. There is a reason unless it was passed."""

    passed: bool | None
    reason: CheckReason | None = None

    @property
    def result(self) -> CheckResult:
        """In one word, for counting."""
        if self.passed is None:
            return "lost" if self.reason is CheckReason.NOT_RUN else "undecided"
        return "passed" if self.passed else "failed"


PASSED = Finding(passed=True)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the checks of a call came to, in their order."""

    found: tuple[tuple[Check, Finding], ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that were not passed."""
        return tuple(check for check, finding in self.found if finding.passed is False)

    @property
    def passed(self) -> bool | None:
        """False where one was not passed, else None where one is undecided."""
        findings = [finding.passed for _, finding in self.found]
        return False if False in findings else None if None in findings else True

    @property
    def is_failure(self) -> bool:
        """The call has failed by a check that says so."""
        return any(check.fails for check in self.failed)

    @property
    def score(self) -> float | None:
        """The share of the decided checks that were passed, 0 to 1; None where none was decided."""
        decided = [finding.passed for _, finding in self.found if finding.passed is not None]
        return round(decided.count(True) / len(decided), 4) if decided else None

    @property
    def telling(self) -> tuple[Check, Finding]:
        """The one that the event names: the first not passed, else the first undecided, else the first."""
        by_order = {False: 0, None: 1, True: 2}
        return min(self.found, key=lambda one: by_order[one[1].passed])


_REFUSAL = re.compile(
    r"""\s*(?:(?:i['\u2019]?m|i\ am|i\ apologi[sz]e|my\ apologies|sorry|unfortunately|as\ an\ ai)\b
    [^.!?\n]{0,60}?[,.]?\ )?
    (?:but\ )?i(?:['\u2019]?m|\ am)?\ (?:can(?:['\u2019]?t|not|\ not)|won['\u2019]?t|will\ not|(?:not\ able|unable)\ to
    |must\ decline\ to|have\ to\ decline\ to)\ (?:\w+ly\ )?
    (?:help|assist|comply|provide|do\ that|discuss|engage|create|write|fulfil|support|share|continue|produce|generate
    |participate|give|offer|answer\ (?:that|this))\b""",
    re.VERBOSE | re.IGNORECASE,
)
_CITATION = re.compile(r"https?://[^\s<>]+|\[\^?\d{1,3}\]|\[[^\]\n]{1,200}\]\([^)\s]+\)|【[^】\n]{1,100}】")


def light_finding(rule: LightRule, answer: Answer) -> Finding:
    """What a rule comes to that takes no time."""
    match rule:
        case NoRefusal():
            return _refusal(answer)
        case Cites():
            return _citation(answer)
        case Length():
            return _length(rule, answer)
        case OneOf():
            is_one = answer.text is not None and answer.text.strip() in rule.values
            return PASSED if is_one else Finding(False, CheckReason.NOT_ALLOWED)


def _refusal(answer: Answer) -> Finding:
    if answer.is_refused:
        return Finding(False, CheckReason.REFUSAL)
    return Finding(False, CheckReason.REFUSAL_PHRASE) if _REFUSAL.match(answer.beginning) else PASSED


def _citation(answer: Answer) -> Finding:
    if answer.is_cited:
        return PASSED
    if answer.text is None:
        return Finding(None, CheckReason.CUT)
    return PASSED if _CITATION.search(answer.text) else Finding(False, CheckReason.NO_CITATION)


def _length(rule: Length, answer: Answer) -> Finding:
    if rule.max_chars is not None and answer.chars > rule.max_chars:
        return Finding(False, CheckReason.TOO_LONG)
    if rule.min_chars is not None and answer.chars < rule.min_chars:
        return Finding(False, CheckReason.TOO_SHORT)
    if rule.max_tokens is None:
        return PASSED
    if answer.tokens is None:
        return Finding(None, CheckReason.UNCOUNTED)
    return Finding(False, CheckReason.TOO_LONG) if answer.tokens > rule.max_tokens else PASSED


def heavy_rules(checks: Iterable[Check]) -> tuple[HeavyRule, ...]:
    """The rules that another process has to look at, each once."""
    return tuple(dict.fromkeys(check.rule for check in checks if isinstance(check.rule, HeavyRule)))


def evaluated(checks: Sequence[Check], answer: Answer, heavy: Mapping[HeavyRule, Finding]) -> Evaluation:
    """All together. `heavy` are the findings of `heavy_rules`, those of them that were made."""
    missing = Finding(None, CheckReason.CUT if answer.text is None else CheckReason.NOT_RUN)

    def finding(rule: Rule) -> Finding:
        return heavy.get(rule, missing) if isinstance(rule, HeavyRule) else light_finding(rule, answer)

    return Evaluation(tuple((check, finding(check.rule)) for check in checks))
