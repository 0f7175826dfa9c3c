"""A rollout of routing.yaml as the domain takes it, and the problems that its parts show only together."""

from proxy.config.document import Document
from proxy.config.fields import FLAG_KEY
from proxy.config.problems import Path
from proxy.config.routing import RolloutSection
from proxy.config.wording import unknown
from proxy.domain.rollout import Rollout, Split

_KEY_PREFIX = "model-"
"""A prompt and a model of one name are two splits, which draw independently."""


def compile_rollout(document: Document, path: Path, model: str, section: RolloutSection) -> Rollout | None:
    """The question that the rollout asks, or None with its problems reported."""
    default = next(iter(section.variants)) if section.default is None else section.default
    if default not in section.variants:
        document.report((*path, "default"), unknown("variant", default, section.variants))
    if (section.flag is None) == (section.split is None):
        document.report(path, "give either `flag` (PostHog decides) or `split` (shares in percent)")
        return None
    if section.flag is not None:
        if section.key is not None:
            document.report((*path, "key"), "a `flag` is its own key; `key` names a `split`")
        return Rollout(flag=section.flag, default=default)
    return _by_split(document, path, model, section, default)


def _by_split(document: Document, path: Path, model: str, section: RolloutSection, default: str) -> Rollout | None:
    key, shares = section.key or _KEY_PREFIX + model, section.split or {}
    if not FLAG_KEY.fits(key):
        document.report(path, "give the split a `key` of letters, digits, `.`, `_` and `-`: the model's name is none")
    for variant in shares:
        if variant not in section.variants:
            document.report((*path, "split", variant), unknown("variant", variant, section.variants))
    for variant in section.variants:
        if variant not in shares:
            document.report(
                (*path, "variants", variant), "this variant has no share in `split`; write 0 to give it none"
            )
    try:
        return Rollout(flag=key, default=default, split=Split.of(shares))
    except ValueError as error:
        document.report((*path, "split"), str(error))
        return None
