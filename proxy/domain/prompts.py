"""Prompts that the operator keeps in the configuration, and which version of one a call is to run.

A call names its prompt by `X-Prompt-Name` and its like, or asks for the model `prompt/NAME`; the rest is decided here.
Texts are templates without logic: `{{name}}` gives way to a value, once, and what stands in a value is never read as a
template. Everything else, single braces too, is text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from proxy.domain.errors import BadRequest, UnknownModel
from proxy.domain.experiments import Experiment
from proxy.domain.rollout import Rollout
from proxy.domain.values import value_class

MODEL_PREFIX = "prompt/"
"""A model of this name asks for a prompt, whose version then names the model."""
VARIABLES = "prompt_variables"
"""The member of a request body that holds the values; it never reaches a provider."""

Mode = Literal["replace", "prepend", "fill", "label"]
Role = Literal["system", "developer"]

_BRACES = re.compile(r"\{\{[^{}\n\"]{1,36}\}\}")
_VARIABLE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """What one version sets; None and an absent parameter leave what the request says."""

    id: str
    text: str | None = field(default=None, repr=False)
    role: Role = "system"
    """Whose words they are, in the dialects that tell the two apart."""
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by name: `temperature`, `top_p` and `max_tokens` in every dialect, others as the provider calls
    them."""
    content_hash: str = ""
    """`sha256:` and hex digits over all that the version sets; see `content_hash`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPrompt:
    """A prompt with its versions by id, of which `default` is one."""

    name: str
    versions: Mapping[str, PromptVersion]
    default: str
    mode: Mode = "replace"
    rollout: Rollout | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    """The id of the version by the variant for which it runs."""
    variables: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """The names that texts may use, with what stands in for a value that a call does not bring; None: it must."""
    experiment: Experiment | None = None

    def version_of(self, variant: str) -> PromptVersion:
        """The version of a variant; the default's for one that no version claims."""
        return self.versions[self.variants.get(variant, self.default)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBook:
    """All prompts, by name."""

    prompts: Mapping[str, ManagedPrompt] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.prompts)

    def asked_for(self, model: str | None, name: str | None) -> ManagedPrompt | None:
        """The prompt that a call asks for, by its model's name before any label. Raises UnknownModel for a model
        `prompt/…` that is no prompt."""
        if (asked := name_in_model(model)) is None:
            return self.prompts.get(name) if name is not None else None
        if asked not in self.prompts:
            raise UnknownModel(
                "The model asks for a prompt that config/prompts.yaml does not name.", code="unknown_prompt"
            )
        return self.prompts[asked]


NO_PROMPTS = PromptBook()


@value_class
class Assignment:
    """The version that runs. `model` is what is asked for in the place of the caller's; None: as the caller says."""

    prompt: str
    version: PromptVersion
    model: str | None = None


def name_in_model(model: str | None) -> str | None:
    """The prompt that a model's name asks for, if it does."""
    return model[len(MODEL_PREFIX) :] if model is not None and model.startswith(MODEL_PREFIX) else None


def variables_in(text: str) -> list[str]:
    """The names that a text uses, in order, each once."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def odd_braces(text: str) -> list[str]:
    """What looks like a variable at first sight and is none: `{{#if}}`, `{{first name}}`; 40 characters at most."""
    return [found for found in _BRACES.findall(text) if _VARIABLE.fullmatch(found) is None]


def rendered(prompt: ManagedPrompt, text: str, values: Mapping[str, str]) -> str:
    """The text with every variable replaced, in one pass. Raises BadRequest where a value is missing."""
    found = {name: value for name, value in prompt.variables.items() if value is not None} | dict(values)
    missing = [name for name in variables_in(text) if name not in found]
    if missing:
        raise BadRequest(
            f"The prompt needs {', '.join(missing)}: send it in the body's `{VARIABLES}`, or give it a default in "
            "config/prompts.yaml.",
            code="prompt_variable_missing",
        )
    return _VARIABLE.sub(lambda match: found[match[1]], text)


@dataclass(frozen=True, slots=True)
class Values:
    """The values that a call brought for a prompt's variables, and `source:reason` of each that was left."""

    values: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()


def values_for(prompt: ManagedPrompt, sent: object) -> Values:
    """What a call sent, by the names that the prompt declares: text, numbers and truth values. Null is none."""
    if sent is None:
        return Values({})
    if not isinstance(sent, dict):
        return Values({}, (f"{VARIABLES}:malformed",))
    values: dict[str, str] = {}
    warnings: dict[str, None] = {}
    for name, value in sent.items():
        if name not in prompt.variables:
            warnings[f"{VARIABLES}:not_allowed"] = None
        elif isinstance(value, str):
            values[name] = value
        elif isinstance(value, int | float):
            values[name] = orjson.dumps(value).decode()
        elif value is not None:
            warnings[f"{VARIABLES}:not_scalar"] = None
    return Values(values, tuple(warnings))


def hashed_content(version: PromptVersion, variables: Mapping[str, str | None]) -> Iterator[tuple[str, Any]]:
    """What the content hash of a version covers: all that it sets, and the defaults of the variables that it uses."""
    yield "role", version.role
    yield "text", version.text
    yield "model", version.model
    yield "parameters", dict(version.parameters)
    yield "defaults", {name: variables.get(name) for name in variables_in(version.text or "")}
