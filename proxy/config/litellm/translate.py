"""The whole translation: sections in, texts and remarks out. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

from proxy.config.litellm import advice
from proxy.config.litellm.advice import advise, advise_callbacks, is_off
from proxy.config.litellm.costs import Rates, costs_of
from proxy.config.litellm.deployments import Deployment, Reader, Upstream, is_pattern, variables_of
from proxy.config.litellm.parts import SECTIONS, LitellmFiles, Part
from proxy.config.litellm.remarks import Ledger, Remark, Verdict
from proxy.config.litellm.rendering import pricing_text, routing_text
from proxy.config.litellm.routes import Fallbacks, Route, Router, compatible
from proxy.config.problems import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What is to be written, and what is to be said. `routing` is None where no target is left."""

    routing: str | None
    pricing: str | None
    """None where the input has no prices."""
    remarks: tuple[Remark, ...]
    key_variables: tuple[str, ...]
    address_variables: tuple[str, ...]
    """What the written files need in the environment."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """`router_settings` over `litellm_settings`."""

    ledger: Ledger
    router: Part
    litellm: Part

    def get(self, name: str, litellm_name: str = "") -> Part | None:
        first, second = self.router.get(name), self.litellm.get(litellm_name or name)
        if first is not None and second is not None:
            self.ledger.moot(second, "`router_settings` has this too, which wins")
        return first or second


def translate(files: LitellmFiles) -> Translation:
    """Translate what has a counterpart, and remark upon all the rest."""
    ledger, root = Ledger(), files.root
    _note_reading(ledger, files)
    settings = _Settings(ledger, root.section("router_settings"), root.section("litellm_settings"))
    deployments = _deployments(ledger, root, settings)
    providers = _provider_names(deployment.upstream for deployment in deployments)
    names = {deployment: providers[deployment.upstream] for deployment in deployments}
    router = Router(ledger=ledger, names=names, retries=settings.get("num_retries"))
    defaults = {each.upstream.dialect: name for each, name in names.items() if each.takes_any}
    routes = _routes(router, settings, [each for each in deployments if not each.takes_any])
    prices = _prices(ledger, names)
    _say_how_to_go_on(ledger, root, deployments)
    _say_the_rest(ledger, root, settings)
    remarks = tuple(ledger.remarks)
    variables = dict.fromkeys(upstream.address_variable for upstream in providers)
    return Translation(
        routing=routing_text(root.file, remarks, providers, routes, defaults) if deployments else None,
        pricing=pricing_text(root.file, prices) if prices else None,
        remarks=remarks,
        key_variables=tuple(dict.fromkeys(upstream.key_env for upstream in providers)),
        address_variables=tuple(variable for variable in variables if variable is not None),
    )


def _note_reading(ledger: Ledger, files: LitellmFiles) -> None:
    for problem in files.problems:
        remark = Remark(
            verdict=Verdict.LOST,
            file=problem.file,
            line=problem.line,
            path=(problem.path,) if problem.path else (),
            message=problem.message,
        )
        ledger.remarks[remark] = None
    for part in files.replaced:
        ledger.lost(part, "an included file has this section too, and replaces it, as LiteLLM does")
    ledger.settle(files.root.get("include"))


def _deployments(ledger: Ledger, root: Part, settings: _Settings) -> list[Deployment]:
    times = {"timeout": settings.get("timeout", "request_timeout"), "stream_timeout": settings.get("stream_timeout")}
    reader = Reader(
        ledger=ledger,
        variables=variables_of(root),
        credentials={
            name.text or "": entry
            for entry in root.section("credential_list").items()
            if (name := entry.get("credential_name")) is not None
        },
        defaults={name: part for name, part in times.items() if part is not None},
    )
    entries = root.section("model_list").items()
    return compatible(ledger, [found for entry in entries if (found := reader.deployment(entry)) is not None])


def _provider_names(upstreams: Iterable[Upstream]) -> dict[Upstream, str]:
    """A name for each, in the order of the input: `azure_openai`, `azure_openai_2`, …"""
    names: dict[Upstream, str] = {}
    taken: set[str] = set()
    for upstream in upstreams:
        if upstream not in names:
            numbered = (f"{upstream.name}_{number}" for number in count(2))
            names[upstream] = next(name for name in chain([upstream.name], numbered) if name not in taken)
            taken.add(names[upstream])
    return names


def _routes(router: Router, settings: _Settings, deployments: Iterable[Deployment]) -> dict[str, Route]:
    groups: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(deployment.pattern, []).append(deployment)
    routes = {pattern: router.route(group) for pattern, group in groups.items()}
    fallbacks = Fallbacks(router.ledger, routes)
    fallbacks.take(settings.get("fallbacks"), settings.get("default_fallbacks"))
    fallbacks.apply()
    aliases = settings.get("model_group_alias")
    for alias, part in aliases.members().items() if aliases else ():
        name = (part.get("model") or part).text
        if name not in routes or alias in routes or not is_pattern(alias):
            router.ledger.lost(part, "it must be a new name for a model that was translated")
        else:
            routes[alias] = routes[name]
            router.ledger.settle(part)
    router.ledger.settle(aliases)
    return routes


def _prices(ledger: Ledger, names: Mapping[Deployment, str]) -> dict[tuple[str, str], Rates]:
    """The rates by provider and model; of two for the same the first counts."""
    prices: dict[tuple[str, str], Rates] = {}
    for deployment, provider in names.items():
        info = deployment.entry.section("model_info")
        rates = costs_of(ledger, deployment.params, info)
        if not rates:
            continue
        key = (provider, _priced_model(ledger, deployment, info))
        if not is_pattern(key[1]):
            ledger.lost(deployment.entry, "a price is for a name without any of ?[]{}()|^$\\")
            continue
        if prices.setdefault(key, rates) != rates:
            ledger.lost(deployment.entry, f"{key[0]} has another price for {shown(key[1])} already, which counts")
    return prices


def _priced_model(ledger: Ledger, deployment: Deployment, info: Part) -> str:
    """The name under which the reply's model is sought: Azure answers with the model's own, not the deployment's."""
    is_azure, base_model = deployment.upstream.kind == "azure_openai", info.section("base_model")
    if is_azure and (name := (base_model.text or "").rpartition("/")[2]):
        ledger.settle(base_model)
        return name
    if is_azure:
        message = "Azure answers with the model's name, not the deployment's: put that into `match` in pricing.yaml"
        ledger.step(deployment.params["model"], message)
    return deployment.model or deployment.pattern


def _say_how_to_go_on(ledger: Ledger, root: Part, deployments: Sequence[Deployment]) -> None:
    for deployment in deployments:
        model, mode = deployment.params["model"], deployment.entry.section("model_info").section("mode")
        if deployment.upstream.kind == "anthropic":
            ledger.step(
                model,
                "apps call it with Anthropic's SDK, at /v1/messages: LiteLLM also took OpenAI's dialect and translated",
            )
        if deployment.upstream.name == "gemini":
            ledger.moot(
                model,
                "reached through Google's surface for OpenAI's dialect, so that apps call it as before; a provider "
                "with `preset: gemini` is for Google's own SDK",
            )
        if mode.text == "audio_transcription" and deployment.model != deployment.pattern:
            ledger.step(mode, "an alias cannot be put into an upload: apps name the provider's own model")
    if deployments and root.section("general_settings").get("master_key") is None:
        ledger.step(
            Part(None, root.file, 0, ()),
            "without a master key LiteLLM is open to everybody; here callers show a proxy key, since the keys of the "
            "providers are yours: `promptlane keys new NAME` makes one",
        )


def _say_the_rest(ledger: Ledger, root: Part, settings: _Settings) -> None:
    """Remark upon every key that is not settled yet."""
    for entry in root.section("model_list").items():
        advise(ledger, entry.section("litellm_params"), advice.LITELLM_PARAMS, advice.ADDED_TO_CALLS)
        advise(ledger, entry.section("model_info"), advice.MODEL_INFO, advice.DESCRIPTION)
    _say_of_credentials(ledger, root.section("credential_list").items())
    strategy = settings.get("routing_strategy")
    if strategy is not None and strategy.text == "simple-shuffle":
        ledger.settle(strategy)
    for section, table in ((settings.router, advice.ROUTER_SETTINGS), (settings.litellm, advice.LITELLM_SETTINGS)):
        advise_callbacks(ledger, section)
        advise(ledger, section, table, advice.NO_COUNTERPART)
    advise(ledger, root.section("general_settings"), advice.GENERAL_SETTINGS, advice.NO_COUNTERPART)
    advise(ledger, root.section("environment_variables"), advice.ENVIRONMENT_VARIABLES, advice.VARIABLE)
    for key, part in root.members().items():
        if key.startswith(("x-", "_", ".")):
            ledger.remark(*advice.ANCHORS, part)
        elif key not in SECTIONS:
            ledger.remark(*advice.TOP_LEVEL.get(key, advice.NO_COUNTERPART), part)
    for part in ledger.open_parts(root):
        ledger.remark(*(advice.OFF if is_off(part) else advice.NO_COUNTERPART), part)


def _say_of_credentials(ledger: Ledger, credentials: Iterable[Part]) -> None:
    for entry in credentials:
        values = entry.section("credential_values")
        if not any(map(ledger.is_settled, values.members().values())):
            ledger.moot(entry, "nothing that was translated names this credential")
            continue
        ledger.settle(entry.get("credential_name"))
        ledger.settle(entry.get("credential_info"))
        advise(ledger, values, advice.LITELLM_PARAMS, advice.ADDED_TO_CALLS)
