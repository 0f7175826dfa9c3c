"""prompts.yaml as written: prompts with their versions. `prompt_book` makes domain values of it."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter, WithJsonSchema

from proxy.config.fields import FlagKey, Matching, ModelName, Name, Section, Variant, file_below
from proxy.domain.prompts import Mode

FileName = Annotated[str, file_below("prompts.yaml", "prompts/support_v1.md")]
PosthogName = Annotated[
    str, Matching("prompt of PostHog", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", "write the prompt's name in PostHog")
]
VariableName = Annotated[
    str,
    Matching("variable", r"[A-Za-z_][A-Za-z0-9_]{0,63}", "use letters, digits and `_`, at most 64, no digit first"),
]
ParameterName = Annotated[
    str,
    Matching("parameter", r"[A-Za-z][A-Za-z0-9_.-]{0,63}", "write the name as the provider has it"),
]


def posthog_file(name: str, version: int) -> str:
    """Where the text of a version of PostHog's is kept, seen from the folder of prompts.yaml."""
    return f"prompts/posthog/{name}.v{version}.md"


class TextSection(Section):
    """Where a text stands that is not written here: a `file`, or `posthog` and `version`."""

    file: FileName | None = None
    """A file below the folder of prompts.yaml, in UTF-8. It is taken as it is, less line ends at its end; `${NAME}`
    means nothing in it."""
    posthog: PosthogName | None = None
    """A prompt of PostHog's prompt management, which `promptlane prompts pull` has written beside prompts.yaml."""
    version: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    """Its version there: a number, since a label may come to mean another text."""

    @property
    def place(self) -> str | None:
        """The file's name, seen from the folder of prompts.yaml; None where too little or too much is written."""
        if self.posthog is None or self.version is None:
            return self.file if self.posthog is None and self.version is None else None
        return posthog_file(self.posthog, self.version) if self.file is None else None


Text = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")] | Annotated[TextSection, Tag("place")],
    Discriminator(lambda value: "place" if isinstance(value, dict) else "text"),
    WithJsonSchema(
        {
            "title": "text or {file: …}",
            "type": ["string", "object"],
            "minLength": 1,
            "properties": {
                "file": TypeAdapter(FileName | None).json_schema(),
                "posthog": TypeAdapter(PosthogName | None).json_schema(),
                "version": {"type": ["integer", "null"], "exclusiveMinimum": 0, "maximum": 1_000_000},
            },
            "additionalProperties": False,
        }
    ),
]
AnyValue = Annotated[
    Any,
    WithJsonSchema({"title": "any value", "type": ["string", "number", "boolean", "array", "object", "null"]}),
]


class VersionSection(Section):
    """What one version sets. Its content never changes: what is to run otherwise gets an id of its own."""

    variant: Variant | None = None
    """The variant of the flag for which it runs. Default: its id."""
    model: ModelName | None = None
    """A model or an alias as routing.yaml has it. Default: the one that the call asks for."""
    system: Text | None = None
    """The system text, or `{file: …}`, or `{posthog: NAME, version: 3}`; `{{name}}` gives way to a variable."""
    developer: Text | None = None
    """The same with the role `developer`, in place of `system`."""
    temperature: Annotated[Decimal, Field(ge=0, le=2)] | None = None
    """Set in every dialect, as `top_p` and `max_tokens` are."""
    top_p: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    """The share of likely tokens that is drawn from."""
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    """The most that may be answered."""
    parameters: dict[ParameterName, AnyValue] = Field(default_factory=dict)
    """Others, by the provider's own names, such as `reasoning_effort`."""


class PrimarySection(Section):
    """The metric that decides an experiment."""

    event: Annotated[str, Field(min_length=1, max_length=200)]
    """The event that is looked at, such as `llm_task_completed`, or one of your own."""
    property: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A boolean or a number of that event. Default: whether a person had the event at all."""
    goal: Literal["increase", "decrease"] = "increase"
    """The direction that is hoped for."""


class GuardrailSection(Section):
    """A limit that no variant may break; `max`, or `max_increase` over control."""

    metric: Annotated[str, Field(min_length=1, max_length=200)]
    """`latency_ms`, `ttft_ms`, `cost_per_task_usd`, `error_rate` and the like, or a property of outcome events."""
    quantile: Annotated[Decimal, Field(gt=0, lt=1)] | None = None
    """Of single calls, such as 0.95. Default: the mean, or the share."""
    max: Decimal | None = None
    """The most that it may be."""
    max_increase: Decimal | None = None
    """The most that it may be above control; of shares in fractions: 0.02 is two points."""


class ExperimentSection(Section):
    """What is to be learned of the versions."""

    primary: PrimarySection
    """The metric that decides."""
    guardrails: Annotated[tuple[GuardrailSection, ...], Field(max_length=20)] = ()
    """What must not become worse."""
    on_breach: Literal["stop", "report"] = "report"
    """What a broken guardrail does: `stop` moves everybody to the default, `report` only shows it."""
    check_every_s: Annotated[Decimal, Field(ge=1, le=3_600, title="seconds")] = Decimal(60)
    """How often the proxy looks at the guardrails, where `on_breach` is `stop`."""


class PromptSection(Section):
    """A prompt, by the name that apps send. Who gets which version is said by a `flag`, a `split` or the `default`."""

    mode: Mode = "replace"
    """What becomes of the call's own words: `replace` takes the place of the system and developer text with which it
    begins, `prepend` stands before it, `fill` sets only what the call leaves open, `label` changes nothing."""
    flag: FlagKey | None = None
    """A feature flag of PostHog, whose variants lead to versions."""
    split: Annotated[dict[Name, Decimal], Field(min_length=1)] | None = None
    """Shares in percent by version, which add up to 100, in place of a flag."""
    default: Name | None = None
    """The version that runs where no flag decides. Default: the only one there is."""
    variables: dict[VariableName, str | None] = Field(default_factory=dict)
    """The names that texts may use, each with what stands in where a call does not bring a value; null: each call has
    to."""
    versions: Annotated[dict[Name, VersionSection], Field(min_length=1, max_length=200)]
    """By id."""
    experiment: ExperimentSection | None = None
    """What is to be learned of the versions."""


class PromptsFile(Section):
    """Prompts that the proxy puts into calls."""

    elsewhere = dict.fromkeys(("providers", "models", "keys", "limits"), "routing.yaml") | dict.fromkeys(
        ("environment", "posthog", "events"), "analytics.yaml"
    )

    version: Literal[1]
    """Of the file's format."""
    prompts: dict[Name, PromptSection] = Field(default_factory=dict)
    """By name."""
