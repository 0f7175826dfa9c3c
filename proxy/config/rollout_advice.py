"""What rollouts ask for and would not get: keys, flags and variants that are not there, and a key of their own."""

from collections.abc import Iterator, Mapping

from proxy.config.configuration import Configuration
from proxy.config.document import Document
from proxy.config.load import parse_files
from proxy.config.problems import Path, Problem
from proxy.config.wording import nearest
from proxy.domain.flag_definitions import Definitions, FlagDefinition
from proxy.domain.rollout import Rollout

Said = Iterator[tuple[Path, str]]
_BOOLEANS = ("true", "false")


def advise_rollouts(
    configuration: Configuration, env: Mapping[str, str], definitions: Definitions | None
) -> list[Problem]:
    """In the order of the files. `definitions` are those fetched last; without them, keys alone are told of."""
    routing, _, _, prompts, _ = parse_files(configuration.files, env)
    _report(routing, _of_models(configuration), configuration, definitions)
    _report(prompts, _of_prompts(configuration, prompts), configuration, definitions)
    _report_clashes(routing, prompts, configuration)
    return sorted([*routing.problems, *prompts.problems])


Asked = tuple[Path, str, Mapping[str, Path]]
"""Where a flag stands, its key, and where each of its variants does."""


def _of_models(configuration: Configuration) -> Iterator[Asked]:
    for route in configuration.routing.routes:
        if route.rollout is not None and route.rollout.rollout.split is None:
            path: Path = ("models", route.pattern, "rollout")
            variants = {variant: (*path, "variants", variant) for variant in route.rollout.targets}
            yield (*path, "flag"), route.rollout.rollout.flag, variants


def _of_prompts(configuration: Configuration, document: Document) -> Iterator[Asked]:
    """Of versions that name no variant of their own, most are meant to run for nobody any more."""
    for prompt in configuration.prompts.prompts.values():
        if prompt.rollout is not None and prompt.rollout.split is None:
            path: Path = ("prompts", prompt.name)
            places = {variant: (*path, "versions", version, "variant") for variant, version in prompt.variants.items()}
            written = {variant: place for variant, place in places.items() if place in document.places}
            yield (*path, "flag"), prompt.rollout.flag, written


def _report(
    document: Document, asked: Iterator[Asked], configuration: Configuration, definitions: Definitions | None
) -> None:
    for place, key, variants in asked:
        for path, message in _about(place, key, variants, configuration, definitions):
            document.report(path, message)


def _report_clashes(routing: Document, prompts: Document, configuration: Configuration) -> None:
    """Rollouts under the key of an earlier one that deals people out otherwise."""
    found: list[tuple[Document, Path, Rollout]] = [
        (prompts, ("prompts", prompt.name), prompt.rollout)
        for prompt in configuration.prompts.prompts.values()
        if prompt.rollout is not None
    ]
    found += [
        (routing, ("models", route.pattern, "rollout"), route.rollout.rollout)
        for route in configuration.routing.routes
        if route.rollout is not None
    ]
    first: dict[str, tuple[Path, Rollout]] = {}
    for document, path, rollout in found:
        place, known = first.setdefault(rollout.flag, (path, rollout))
        if known.split != rollout.split:
            message = (
                f"`{rollout.flag}` is the key of {'.'.join(map(str, place))} too, which deals people out otherwise: "
                "one person would have two variants of it in PostHog; use another key for one of them"
            )
            document.report(path, message)


def _about(
    place: Path,
    key: str,
    variants: Mapping[str, Path],
    configuration: Configuration,
    definitions: Definitions | None,
) -> Said:
    destination = configuration.destination
    keys = {"POSTHOG_API_KEY": destination.api_key, "POSTHOG_SECRET_KEY": destination.secret_key}
    if missing := [name for name, value in keys.items() if value is None]:
        yield place, f"the default runs for everybody: {' and '.join(missing)} must be set to evaluate flags"
    elif definitions is not None:
        yield from _about_flag(place, key, variants, definitions)


def _about_flag(place: Path, key: str, variants: Mapping[str, Path], definitions: Definitions) -> Said:
    flag = definitions.flags.get(key)
    if flag is None:
        near = nearest(key, definitions.flags)
        hint = f"; did you mean `{near}`?" if near else ""
        yield place, f"the default runs for everybody: the project has no flag of this key{hint}"
        return
    if not flag.is_active:
        yield place, "the default runs for everybody: the flag is switched off in PostHog"
    if flag.is_too_costly:
        yield place, "the default runs for everybody: the flag's conditions make too many comparisons"
    answers = _answers(flag)
    for variant, path in variants.items():
        if variant not in answers:
            yield path, f"nobody gets it: the flag has no variant of this name; it has {', '.join(answers)}"
    if left := [variant for variant in flag.variants if variant not in variants]:
        yield place, f"the default runs for these variants of the flag: {', '.join(left)}"


def _answers(flag: FlagDefinition) -> tuple[str, ...]:
    """What the flag may say; one with variants says `false` to who is outside of the rollout."""
    return (*flag.variants, "false") if flag.variants else _BOOLEANS
