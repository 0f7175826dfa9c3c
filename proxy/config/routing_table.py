"""A checked routing.yaml as the domain takes it, and the problems that only the whole can show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from proxy.config.addresses import base_address, host_of
from proxy.config.capture import CaptureRuleSection
from proxy.config.check_rules import check_judges, compile_checks
from proxy.config.document import Document
from proxy.config.presets import PRESETS, Preset
from proxy.config.problems import Path, Problem, shown_variable
from proxy.config.rollouts import compile_rollout
from proxy.config.routing import (
    DefaultProviderSection,
    ModelSection,
    ProviderSection,
    RolloutSection,
    RoutingFile,
    TimeoutsSection,
)
from proxy.config.wording import unknown
from proxy.domain.endpoints import Dialect
from proxy.domain.globs import precedence
from proxy.domain.identity import VirtualKey
from proxy.domain.keys import HASH_PREFIX, HashedKey
from proxy.domain.limits import Limits
from proxy.domain.routing import Provider, RetryPolicy, Route, RoutingTable, Target, TargetRollout, Timeouts


@dataclass(slots=True)
class _Compiler:
    """Turns a checked file into domain values and reports what only the whole can show."""

    document: Document
    env: Mapping[str, str]
    declared: tuple[str, ...]
    schemas: Mapping[str, bytes]
    """Files of JSON Schemas, by their names in the document."""
    providers: dict[str, Provider] = field(default_factory=dict)

    def provider(self, name: str, section: ProviderSection) -> Provider | None:
        """One provider, or None with its problems reported."""
        path: Path = ("providers", name)
        preset = PRESETS[section.preset] if section.preset else None
        kind = section.kind or (preset.kind if preset else None)
        if kind == "translated":
            self.document.report(
                (*path, "kind"),
                "this version does not translate between dialects; name a host that speaks the client's",
            )
            return None
        if kind is None:
            self.document.report(path, "give a `kind` (the wire dialect) or a `preset` (a known host)")
            return None
        base_url = self._base_url(path, section, preset)
        api_key = self._api_key(path, section)
        if base_url is None:
            return None
        known = preset or preset_of_host(base_url)
        return Provider(
            name=name,
            label=_label(name, kind, known),
            kind=kind,
            dialect=Dialect.OPENAI if kind == "azure_openai" else Dialect(kind),
            base_url=base_url,
            api_key=api_key,
            key_env=section.key_env,
            timeouts=_timeouts(section.timeouts),
            include_usage=section.include_usage or (known.include_usage if known else "auto"),
        )

    def _base_url(self, path: Path, section: ProviderSection, preset: Preset | None) -> str | None:
        """The written address; else the preset's, which its variable may replace."""
        if section.base_url is not None:
            return section.base_url
        variable = preset.address_variable if preset else None
        if variable and (replaced := self.env.get(variable)):
            try:
                return base_address(replaced)
            except ValueError as error:
                self.document.problems.append(Problem(file="environment", path=variable, message=str(error)))
                return None
        if preset is None or preset.base_url is None:
            self.document.report(path, "`base_url` is required here")
            return None
        return preset.base_url

    def _api_key(self, path: Path, section: ProviderSection) -> str | None:
        """The variable's value, with a problem reported where it is no key; None for pass-through."""
        if section.key_env is None:
            return None
        if section.credentials is not None:
            self.document.report((*path, "credentials"), "`credentials: passthrough` and `key_env` exclude each other")
        value = self.env.get(section.key_env, "")
        variable = f"the environment variable {shown_variable(section.key_env)}"
        if not value:
            self.document.report((*path, "key_env"), f"{variable} is not set or empty")
        elif not value.isascii() or not value.isprintable() or " " in value:
            self.document.report((*path, "key_env"), f"{variable} holds characters that no key has")
        return value

    def route(self, pattern: str, section: ModelSection) -> Route | None:
        """One model, or None with its problems reported."""
        path: Path = ("models", pattern)
        if [section.target, section.targets, section.rollout].count(None) != 2:
            self.document.report(path, "give one of `target`, `targets` and `rollout`")
            return None
        rollout = None
        if section.target is not None:
            found = [self._reference((*path, "target"), section.target)]
        elif section.rollout is not None:
            rollout = self._rollout((*path, "rollout"), pattern, section.rollout)
            found = list(dict.fromkeys(rollout.targets.values())) if rollout else []
        else:
            found = [
                self._target((*path, "targets", index, "provider"), target.provider, target.model, target.weight)
                for index, target in enumerate(section.targets or ())
            ]
        fallback = [self._reference((*path, "fallback", index), text) for index, text in enumerate(section.fallback)]
        targets = tuple(target for target in found if target)
        self._check_alike(path, [*targets, *(target for target in fallback if target)])
        if targets and not any(target.weight for target in targets):
            self.document.report((*path, "targets"), "at least one target needs a weight above 0")
        has_judge = any(check.judge for check in section.checks)
        if has_judge and targets and targets[0].provider.dialect is Dialect.GEMINI:
            self.document.report(
                (*path, "checks"), "a judge cannot read requests in Gemini's dialect; other checks can be made"
            )
        checks, judges = compile_checks(self.document, (*path, "checks"), section.checks, self.schemas)
        return Route(
            pattern=pattern,
            targets=targets,
            fallback=tuple(target for target in fallback if target),
            retries=RetryPolicy(max=section.retries.max, on=frozenset(section.retries.on)),
            rollout=rollout,
            demand=section.require_prompt_version,
            checks=checks,
            judges=judges,
        )

    def _rollout(self, path: Path, pattern: str, section: RolloutSection) -> TargetRollout | None:
        """Who gets which target, or None with its problems reported."""
        found = {
            variant: self._reference((*path, "variants", variant), text) for variant, text in section.variants.items()
        }
        rollout = compile_rollout(self.document, path, pattern, section)
        targets = {variant: target for variant, target in found.items() if target is not None}
        if rollout is None or len(targets) < len(found):
            return None
        return TargetRollout(rollout=rollout, targets=targets)

    def _reference(self, path: Path, text: str) -> Target | None:
        """`provider` or `provider/model`; the model may have slashes of its own."""
        provider, _, model = text.partition("/")
        return self._target(path, provider, model or None, 1)

    def _target(self, path: Path, name: str, model: str | None, weight: int) -> Target | None:
        provider = self._known(path, name)
        if provider is None:
            return None
        return Target(provider=provider, model=model, weight=weight)

    def _known(self, path: Path, name: str) -> Provider | None:
        """The provider of that name; one that is declared and broken was reported where it stands."""
        if name not in self.declared:
            self.document.report(path, unknown("provider", name, self.declared))
        return self.providers.get(name)

    def _check_alike(self, path: Path, targets: list[Target]) -> None:
        dialects = {target.provider.name: target.provider.dialect.value for target in targets}
        if len(set(dialects.values())) > 1:
            speak = ", ".join(f"{name} speaks {dialect}" for name, dialect in dialects.items())
            self.document.report(path, f"all targets of one model must speak one dialect, and {speak}")
        passes = sorted({target.provider.name for target in targets if target.provider.api_key is None})
        if passes and any(target.provider.api_key is not None for target in targets):
            self.document.report(
                path, f"all targets of one model need a `key_env`, or none: {', '.join(passes)} passes the caller's key"
            )

    def default(self, dialect: Dialect, section: DefaultProviderSection) -> Provider | None:
        """What is written; else the provider named like the dialect, else the only one that speaks it."""
        if dialect.value in section.model_fields_set:
            name: str | None = getattr(section, dialect.value)
            return self._written_default(dialect, name) if name is not None else None
        speakers = [provider for provider in self.providers.values() if provider.dialect is dialect]
        named = [provider for provider in speakers if provider.name == dialect.value]
        return next(iter(named or (speakers if len(speakers) == 1 else [])), None)

    def _written_default(self, dialect: Dialect, name: str) -> Provider | None:
        path: Path = ("default_provider", dialect.value)
        provider = self._known(path, name)
        if provider is not None and provider.dialect is not dialect:
            self.document.report(path, f"this provider speaks {provider.dialect.value}, not {dialect.value}")
        return provider


def _label(name: str, kind: str, known: Preset | None) -> str:
    if kind == "azure_openai":
        return "azure_openai"
    if kind == "gemini":
        return "google"
    return known.label if known else name


def preset_of_host(base_url: str) -> Preset | None:
    """The preset of a public host."""
    host = host_of(base_url)
    return next(
        (
            preset
            for preset in PRESETS.values()
            if preset.base_url and preset.base_url.startswith("https:") and host_of(preset.base_url) == host
        ),
        None,
    )


def _timeouts(section: TimeoutsSection) -> Timeouts:
    return Timeouts(
        connect_s=float(section.connect_s),
        first_byte_s=float(section.first_byte_s),
        idle_s=float(section.idle_s),
        total_s=None if section.total_s is None else float(section.total_s),
    )


def compile_routing(
    document: Document, file: RoutingFile, env: Mapping[str, str], files: Mapping[FilePath, bytes] | None = None
) -> RoutingTable:
    """The routing table; problems go to the document. Among `files` are the schemas that checks refer to."""
    folder = FilePath(document.file).parent
    schemas = {path.relative_to(folder).as_posix(): raw for path, raw in (files or {}).items()}
    written_providers = document.value.get("providers") if isinstance(document.value, dict) else None
    declared = written_providers if isinstance(written_providers, dict) else file.providers
    compiler = _Compiler(document, env, tuple(declared), schemas)
    for name, section in file.providers.items():
        if (provider := compiler.provider(name, section)) is not None:
            compiler.providers[name] = provider
    written = sorted(file.models.items(), key=lambda item: precedence(item[0]))
    table = RoutingTable(
        providers=compiler.providers,
        routes=tuple(route for pattern, section in written if (route := compiler.route(pattern, section))),
        defaults={dialect: compiler.default(dialect, file.default_provider) for dialect in Dialect},
    )
    check_judges(document, {pattern: section.checks for pattern, section in file.models.items()}, table)
    return table


def capture_rules(
    file: RoutingFile,
) -> tuple[dict[str, CaptureRuleSection | None], dict[str, CaptureRuleSection | None]]:
    """What routes, in order of precedence, and keys say of keeping content."""
    patterns = sorted(file.models, key=precedence)
    return {it: file.models[it].capture for it in patterns}, {key.alias: key.capture for key in file.keys}


def compile_keys(document: Document, file: RoutingFile) -> tuple[HashedKey, ...]:
    """The proxy keys; an alias or a hash that stands twice is a problem."""
    aliases: set[str] = set()
    hashes: set[str] = set()
    for index, section in enumerate(file.keys):
        for what, value, seen in (("alias", section.alias, aliases), ("hash", section.hash, hashes)):
            if value in seen:
                document.report(("keys", index, what), f"this {what} stands twice")
            seen.add(value)
    return tuple(
        HashedKey(
            digest=bytes.fromhex(section.hash.removeprefix(HASH_PREFIX)),
            key=VirtualKey(alias=section.alias, environment=section.environment, allow=tuple(section.allow)),
        )
        for section in file.keys
    )


def compile_limits(file: RoutingFile) -> Limits:
    """The limits of a request."""
    section = file.limits
    return Limits(
        body_bytes=section.body_bytes,
        streamed_bytes=section.streamed_bytes,
        body_silence_s=float(section.body_silence_s),
    )
