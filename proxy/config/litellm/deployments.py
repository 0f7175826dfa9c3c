"""One entry of `model_list`: its host, key, address, times and model name, each as ours or with a remark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import TypeAdapter

from proxy.config.addresses import base_address
from proxy.config.fields import EnvName, ModelName, ModelPattern, Seconds, fits
from proxy.config.litellm import hosts
from proxy.config.litellm.hosts import HOSTS, Host
from proxy.config.litellm.parts import Part
from proxy.config.litellm.remarks import Ledger
from proxy.config.presets import PRESETS, Kind
from proxy.config.problems import is_secret, shown
from proxy.config.routing import TimeoutsSection

_DEFAULTS = TimeoutsSection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What makes one provider of ours; deployments that agree in all of it share the entry."""

    name: str
    """What to call it, unless another has the name."""
    preset: str | None
    kind: Kind
    base_url: str | None
    """None where the preset's address is meant."""
    key_env: str
    first_byte_s: Decimal | None = None
    """LiteLLM's `timeout`; None for our default."""
    idle_s: Decimal | None = None
    """Its `stream_timeout`, else its `timeout`."""

    @property
    def dialect(self) -> str:
        """What callers speak to it."""
        return "openai" if self.kind == "azure_openai" else self.kind

    @property
    def address_variable(self) -> str | None:
        """The variable that holds the address, if one does."""
        base_url = self.base_url or ""
        return base_url[2 : base_url.index("}")] if base_url.startswith("${") else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployment:
    """One target. `pattern` is what apps call; `model` None sends the caller's name on."""

    entry: Part
    params: Mapping[str, Part]
    pattern: str
    upstream: Upstream
    model: str | None

    @property
    def takes_any(self) -> bool:
        """True where it is the place for all names that nothing else takes."""
        return self.pattern == "*" and self.model is None


@dataclass(slots=True)
class Variables:
    """The variables that hold keys: those that the input names, and new ones for keys that stand in it."""

    named: set[str]
    _given: dict[str, str] = field(default_factory=dict)

    def for_literal(self, secret: str, wanted: str) -> str:
        """A name for a key that must not be copied; the same for the same key, and no other's."""
        if secret not in self._given:
            name, count = wanted, 2
            while name in self.named:
                name, count = f"{wanted}_{count}", count + 1
            self.named.add(name)
            self._given[secret] = name
        return self._given[secret]


def variables_of(root: Part) -> Variables:
    """The variables that the input names anywhere."""
    return Variables({part.variable for part in root.walk() if part.variable is not None})


def variable_named_by(part: Part) -> str | None:
    """The variable that stands for a value, if what is written can name one and is no secret itself."""
    name = part.variable
    return name if name is not None and fits(TypeAdapter(EnvName), name) else None


class _LeftOut(Exception):
    """The entry can be no target, because of one part of it."""

    def __init__(self, part: Part, message: str) -> None:
        self.part, self.message = part, message
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads entries of `model_list`. `defaults` are times that hold for all; `credentials` are shared, by name."""

    ledger: Ledger
    variables: Variables
    credentials: Mapping[str, Part]
    defaults: Mapping[str, Part]

    def deployment(self, entry: Part) -> Deployment | None:
        """The entry as a target; None, with the remark made, where it can be none."""
        try:
            return self._deployment(entry)
        except _LeftOut as reason:
            self.ledger.leave_out(entry, reason.part, reason.message)
            return None

    def _deployment(self, entry: Part) -> Deployment:
        params, alias = self._params(entry), entry.get("model_name")
        model, declared = params.get("model"), params.get("custom_llm_provider")
        if alias is None or alias.text is None or model is None or model.text is None:
            raise _LeftOut(entry, "an entry needs a `model_name` and, in `litellm_params`, a `model`: both text")
        prefix, name = hosts.prefix_of(model.text, declared.text if declared else None)
        if prefix is None or prefix not in HOSTS:
            raise _LeftOut(model, hosts.why_not(prefix, name))
        host = HOSTS[prefix]
        pattern, sent = self._names(entry.members()["model_name"], alias.text, hosts.provider_model(prefix, name))
        upstream = self._upstream(host, params)
        for part in (alias, model, declared):
            self.ledger.settle(part)
        if name.startswith("responses/"):
            self.ledger.lost(model, "calls go to the endpoint that the app names; LiteLLM sent chat to /v1/responses")
        return Deployment(entry=entry, params=params, pattern=pattern, upstream=upstream, model=sent)

    def _params(self, entry: Part) -> dict[str, Part]:
        """The parameters over those of the credential that they name; empty ones count as absent."""
        given = entry.section("litellm_params").members()
        credential = given.get("litellm_credential_name")
        shared = self.credentials.get(credential.text or "") if credential is not None else None
        if credential is not None and shared is None:
            self.ledger.lost(credential, "no entry of `credential_list` has this name")
        self.ledger.settle(credential)
        both = {**(shared.section("credential_values").members() if shared is not None else {}), **given}
        return {key: part for key, part in both.items() if part.value not in (None, "")}

    def _names(self, at: Part, alias: str, model: str) -> tuple[str, str | None]:
        """What apps call and what the provider gets; a `*` in both must stand for the same."""
        if not is_pattern(alias) or not is_name(model):
            raise _LeftOut(at, "a name has 1 to 200 visible characters, none of ?[]{}()|^$\\, and is no secret")
        if "*" not in model:
            return alias, model
        if alias == model:
            return alias, None
        prefix = alias.removesuffix(model)
        if not alias.endswith(model) or not prefix.endswith("/"):
            raise _LeftOut(at, "names are replaced as a whole, not in the part that a `*` stands for")
        self.ledger.step(at, f"apps leave out {shown(prefix)}: the name that they send reaches the provider as it is")
        return model, None

    def _upstream(self, host: Host, params: Mapping[str, Part]) -> Upstream:
        address = self._address(host, params)
        preset = next((name for name, preset in PRESETS.items() if preset.base_url == address), None)
        if preset is None and host.preset not in ("openai", "gemini"):
            preset = host.preset
        if host.kind == "azure_openai" and (api_version := params.get("api_version")) is not None:
            self.ledger.step(api_version, "Azure's v1 address is used, which takes no dated version: try one call")
        whole_s, stream_s = (self._seconds(params, name) for name in ("timeout", "stream_timeout"))
        is_known = preset is not None or host.preset == "gemini"
        return Upstream(
            name=(preset or host.preset or "") if is_known else hosts.name_of_host(address),
            preset=preset,
            kind=host.kind,
            base_url=None if preset and PRESETS[preset].base_url == address else address,
            key_env=self._key(host, params),
            first_byte_s=None if whole_s == _DEFAULTS.first_byte_s else whole_s,
            idle_s=None if (stream_s or whole_s) == _DEFAULTS.idle_s else stream_s or whole_s,
        )

    def _address(self, host: Host, params: Mapping[str, Part]) -> str:
        part = params.get("api_base") or params.get("base_url")
        if part is None and host.address_variable is None:
            return hosts.own_address(host)
        name = variable_named_by(part) if part is not None else host.address_variable
        part = part or params["model"]
        if host.preset == "gemini":
            raise _LeftOut(part, "LiteLLM speaks Gemini's own dialect there; add a provider with `kind: gemini`")
        if name is not None:
            self.ledger.step(part, f"{name} must hold the address, without a slash at its end")
            return hosts.provider_address(host.preset, f"${{{name}}}")
        try:
            address = base_address(hosts.provider_address(host.preset, part.text or ""))
        except ValueError as error:
            raise _LeftOut(part, str(error)) from None
        if is_secret(address):
            raise _LeftOut(part, "this address looks as if it held a secret")
        self.ledger.settle(part)
        return address

    def _key(self, host: Host, params: Mapping[str, Part]) -> str:
        part = params.get("api_key")
        if part is None and host.needs_key:
            return host.key_variable
        if part is None:
            self.ledger.step(
                params["model"],
                f"set {host.key_variable} to any word if the server asks for no key: with it, callers show a proxy key "
                "here as elsewhere",
            )
            return host.key_variable
        if (name := variable_named_by(part)) is not None:
            self.ledger.settle(part)
            return name
        name = self.variables.for_literal(str(part.value), host.key_variable)
        self.ledger.step(part, f"the key itself is not copied: set {name} to it")
        return name

    def _seconds(self, params: Mapping[str, Part], name: str) -> Decimal | None:
        part = params.get(name) or self.defaults.get(name)
        if part is None:
            return None
        number = part.number
        if number is None or not fits(TypeAdapter(Seconds), number):
            self.ledger.lost(part, "a time is a number of seconds above 0, at most a day")
            return None
        self.ledger.settle(part)
        return number


def is_name(text: str) -> bool:
    """True for what our files can hold as the name of a model."""
    return fits(TypeAdapter(ModelName), text) and text.isprintable() and not is_secret(text) and "${" not in text


def is_pattern(text: str) -> bool:
    """True for what our files can hold as a name or pattern that apps call."""
    return is_name(text) and fits(TypeAdapter(ModelPattern), text)
