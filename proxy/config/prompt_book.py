"""From prompts.yaml and the texts it refers to, to prompts that can run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from pydantic import ValidationError

from proxy.config.document import MAX_FILE_BYTES, Document, Value
from proxy.config.problems import Path as Place
from proxy.config.prompts import ExperimentSection, PromptSection, PromptsFile, TextSection, VersionSection
from proxy.config.wording import unknown
from proxy.domain.experiments import Experiment, Goal, Guardrail, OnBreach, Primary, guardrail_flaw
from proxy.domain.privacy import looks_like_secret
from proxy.domain.prompts import ManagedPrompt, PromptBook, PromptVersion, Role, hashed_content, variables_in
from proxy.domain.rollout import Rollout, Split

_EXACT_BELOW = 2**53
"""Larger numbers are no whole ones to many a JSON parser."""
_SET_ELSEWHERE = {
    **dict.fromkeys(("temperature", "top_p", "max_tokens", "model"), "write it beside `parameters`"),
    **dict.fromkeys(
        ("system", "instructions", "systemInstruction", "system_instruction"),
        "write it beside `parameters`, as `system`",
    ),
    **dict.fromkeys(
        ("messages", "input", "contents", "prompt", "prompt_variables", "stream", "stream_options", "metadata", "tools",
         "user", "safety_identifier", "generationConfig", "generation_config", "previous_response_id", "conversation"),
        "this is the call's own, and no version can set it",
    ),
}  # fmt: skip


def referred_texts(document: Document) -> list[TextSection]:
    """What the document says of texts that stand elsewhere, as far as it can be read."""
    prompts = document.value_at(("prompts",))
    found: list[TextSection] = []
    for prompt in prompts.values() if isinstance(prompts, dict) else ():
        versions = prompt.get("versions") if isinstance(prompt, dict) else None
        for version in versions.values() if isinstance(versions, dict) else ():
            for text in (version.get("system"), version.get("developer")) if isinstance(version, dict) else ():
                if isinstance(text, dict):
                    with suppress(ValidationError):  # told when the document is checked
                        found.append(TextSection.model_validate(text))
    return found


def referred_files(document: Document) -> list[str]:
    """The names of the files with those texts, each once."""
    return list(dict.fromkeys(text.place for text in referred_texts(document) if text.place is not None))


def compile_prompts(document: Document, file: PromptsFile, texts: Mapping[Path, bytes]) -> PromptBook:
    """The prompts; problems go to the document. `texts` are the files, by the path below the document's folder."""
    folder = Path(document.file).parent
    by_name = {path.relative_to(folder).as_posix(): raw for path, raw in texts.items()}
    return PromptBook(
        prompts={name: _prompt(document, name, section, by_name) for name, section in file.prompts.items()}
    )


def _prompt(document: Document, name: str, section: PromptSection, texts: Mapping[str, bytes]) -> ManagedPrompt:
    place: Place = ("prompts", name)
    versions = {
        version_id: _version(document, (*place, "versions", version_id), version_id, version, section, texts)
        for version_id, version in section.versions.items()
    }
    default = _default(document, place, section)
    if section.experiment is not None and section.flag is None and section.split is None:
        document.report(
            (*place, "experiment"), "nothing deals people out here; add a `flag` or a `split` to the prompt"
        )
    rollout, variants = _rollout(document, place, section, default)
    return ManagedPrompt(
        name=name,
        versions=versions,
        default=default,
        mode=section.mode,
        rollout=rollout,
        variants=variants,
        variables=dict(section.variables),
        experiment=_experiment(document, (*place, "experiment"), section.experiment),
    )


def _default(document: Document, place: Place, section: PromptSection) -> str:
    first = next(iter(section.versions))
    if section.default is None:
        if len(section.versions) > 1:
            document.report(
                (*place, "default"), "this key is required where there are several versions; name one of them"
            )
        return first
    if section.default not in section.versions:
        document.report((*place, "default"), unknown("version", section.default, section.versions))
        return first
    return section.default


def _rollout(
    document: Document, place: Place, section: PromptSection, default: str
) -> tuple[Rollout | None, dict[str, str]]:
    """The question to ask, and the version by variant."""
    if section.split is not None:
        if section.flag is not None:
            document.report((*place, "split"), "a `flag` decides here already; keep one of the two")
        return _split(document, place, section, default), {version: version for version in section.versions}
    if section.flag is None:
        return None, {}
    variants: dict[str, str] = {}
    for version_id, version in section.versions.items():
        variant = version.variant or version_id
        if variants.setdefault(variant, version_id) != version_id:
            message = f"version {variants[variant]} runs for this variant already; each variant has one version"
            document.report((*place, "versions", version_id, "variant"), message)
    return Rollout(flag=section.flag, default=section.versions[default].variant or default), variants


def _split(document: Document, place: Place, section: PromptSection, default: str) -> Rollout | None:
    assert section.split is not None
    unknown_ids = [version for version in section.split if version not in section.versions]
    for version in unknown_ids:
        document.report((*place, "split", version), unknown("version", version, section.versions))
    if unknown_ids:
        return None
    try:
        return Rollout(flag=str(place[-1]), default=default, split=Split.of(section.split))
    except ValueError as error:
        document.report((*place, "split"), str(error))
        return None


def _version(
    document: Document,
    place: Place,
    version_id: str,
    section: VersionSection,
    prompt: PromptSection,
    texts: Mapping[str, bytes],
) -> PromptVersion:
    role: Role = "system" if section.developer is None else "developer"
    if section.system is not None and section.developer is not None:
        document.report((*place, "developer"), "`system` stands here already; a version has one text")
    if section.variant is not None and prompt.flag is None:
        document.report((*place, "variant"), "no `flag` says who gets this variant; a `split` goes by the version's id")
    text = _text(document, (*place, role), section.system or section.developer, texts)
    for name in variables_in(text or ""):
        if name not in prompt.variables:
            message = f"the text uses {{{{{name}}}}}, which `variables` of this prompt does not name"
            document.report((*place, role), message)
    version = PromptVersion(
        id=version_id,
        text=text,
        role=role,
        model=section.model,
        parameters=dict(_parameters(document, place, section)),
    )
    return _hashed(version, prompt.variables)


def _hashed(version: PromptVersion, variables: Mapping[str, str | None]) -> PromptVersion:
    content = orjson.dumps(dict(hashed_content(version, variables)), option=orjson.OPT_SORT_KEYS)
    return replace(version, content_hash=f"sha256:{hashlib.sha256(content).hexdigest()}")


def _text(document: Document, place: Place, text: str | TextSection | None, texts: Mapping[str, bytes]) -> str | None:
    """As it is sent, whichever system wrote it: without a mark at its beginning, and with line feeds alone."""
    if not isinstance(text, TextSection):
        return text
    if text.place is None:
        document.report(place, "write a `file`, or `posthog` with a `version`")
        return None
    place = (*place, "posthog" if text.file is None else "file")
    raw = texts.get(PurePosixPath(text.place).as_posix(), b"")
    try:
        found = raw.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n")
    except UnicodeDecodeError:
        document.report(place, "this file is not UTF-8; save it so")
        return None
    if len(raw) > MAX_FILE_BYTES:
        document.report(place, f"this file is larger than {MAX_FILE_BYTES // 1024} KiB")
    elif not found.strip() and text.file is None:
        document.report(place, f"{text.place} is not there yet; run `promptlane prompts pull`")
    elif not found.strip():
        document.report(place, "there is no such file below the folder of prompts.yaml, or it is empty")
    elif looks_like_secret(found):
        document.report(place, "this file holds what looks like a key or a token; take it out")
    return found


def _parameters(document: Document, place: Place, section: VersionSection) -> Iterator[tuple[str, Any]]:
    for name in ("temperature", "top_p", "max_tokens"):
        if (value := getattr(section, name)) is not None:
            yield name, _plain(value)
    place = (*place, "parameters")
    for name in section.parameters:
        if name in _SET_ELSEWHERE:
            document.report((*place, name), _SET_ELSEWHERE[name])
        value = _plain(document.value_at((*place, name)))  # pydantic takes a number with a point for text here
        if _has_infinity(value):
            document.report((*place, name), "a number here is too large for JSON")
        yield name, value


def _has_infinity(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return True
    return False


def _plain(value: Value | Decimal) -> Any:  # noqa: ANN401
    """As JSON has it."""
    match value:
        case Decimal():
            return int(value) if abs(value) < _EXACT_BELOW and value == int(value) else float(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value


def _experiment(document: Document, place: Place, section: ExperimentSection | None) -> Experiment | None:
    if section is None:
        return None
    guardrails = [
        Guardrail(
            metric=each.metric,
            quantile=None if each.quantile is None else float(each.quantile),
            max=None if each.max is None else float(each.max),
            max_increase=None if each.max_increase is None else float(each.max_increase),
        )
        for each in section.guardrails
    ]
    for index, guardrail in enumerate(guardrails):
        if (flaw := guardrail_flaw(guardrail)) is not None:
            document.report((*place, "guardrails", index), flaw)
    primary = section.primary
    return Experiment(
        primary=Primary(event=primary.event, property=primary.property, goal=Goal(primary.goal)),
        guardrails=tuple(guardrails),
        on_breach=OnBreach(section.on_breach),
        check_every_s=float(section.check_every_s),
    )
