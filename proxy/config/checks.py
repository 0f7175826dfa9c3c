"""The `checks:` of a model as written. `check_rules` makes domain values of them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from proxy.config.fields import Matching, ModelName, Name, Section, file_below

MOST_CHECKS = 20

SchemaObject = Annotated[dict[str, Any], WithJsonSchema({"title": "JSON Schema", "type": "object"})]
SCHEMA_FILE = file_below("routing.yaml", "schemas/ticket.json")
Pattern = Annotated[str, Field(min_length=1, max_length=2_000, title="regular expression")]
Value = Annotated[str, Field(min_length=1, max_length=200)]
Language = Annotated[
    str, Matching("language", r"[a-z]{2,3}", "write a language's code of two or three letters, such as en or pt")
]
ReasonCode = Annotated[
    str, Matching("reason", r"[a-z][a-z0-9_]{0,63}", "use lower-case letters, digits and `_`, at most 64")
]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class LengthSection(Section):
    """Inclusive bounds of the answer."""

    min_chars: Count | None = None
    """The fewest characters."""
    max_chars: Count | None = None
    """The most characters."""
    max_tokens: Count | None = None
    """The most tokens, without reasoning."""


class JudgeSection(Section):
    """A model that looks at a sample of answers, through the proxy's own routes, after the call has ended."""

    model: ModelName
    """A model or an alias as routing.yaml has it, whose targets all have a `key_env`: judging is at your expense."""
    criteria: Annotated[str, Field(min_length=1, max_length=8_000)]
    """What a good answer is, in your words."""
    sends_content: bool = False
    """True says that you know: the question and the answer go to the judge's provider. A judge needs it."""
    sample: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.01")
    """The share of answers that is judged."""
    max_per_minute: Annotated[Decimal, Field(gt=0, le=6_000)] = Decimal(6)
    """The most that is judged in a minute, on this machine."""
    reasons: Annotated[tuple[ReasonCode, ...], Field(max_length=20)] = ()
    """Codes from which the judge picks why an answer is not good; anything else it says is `other`."""


class CheckSection(Section):
    """Something that is looked at in each whole answer; besides its name it has one of the rules."""

    elsewhere: ClassVar[Mapping[str, str]] = {"schema": "`json_schema`", "regex": "`matches`", "pattern": "`matches`"}

    name: Name
    """What events call the check; stands once in a list."""
    on_fail: Literal["fail", "note"] = "fail"
    """What an answer that does not pass makes of its call: `fail` ends it as `validation_failed`, `note` only notes
    it. The caller has the answer in either case. A `judge` only notes."""
    json_schema: SchemaObject | None = None
    """The answer is JSON and valid by this JSON Schema."""
    json_schema_file: Annotated[str, SCHEMA_FILE] | None = None
    """The same, with the schema in a file of JSON below the folder of routing.yaml."""
    refusal: Literal["never"] | None = None
    """`never`: the model does not refuse."""
    citation: Literal["required"] | None = None
    """`required`: the answer cites, by the provider's annotations, a link, or a mark such as [1]."""
    matches: Pattern | None = None
    """A regular expression (RE2) is found in the answer; ^ and $ hold it to the whole."""
    never_matches: Pattern | None = None
    """A regular expression (RE2) is not found in the answer."""
    one_of: Annotated[tuple[Value, ...], Field(min_length=1, max_length=1_000)] | None = None
    """The answer, less white space around it, is one of these values."""
    length: LengthSection | None = None
    """How long the answer may be."""
    language: Annotated[tuple[Language, ...], Field(min_length=1, max_length=20)] | None = None
    """The answer is in one of these languages."""
    judge: JudgeSection | None = None
    """A model judges a sample of the answers."""
