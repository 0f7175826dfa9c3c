"""The files that an operator begins with: short, commented, and valid as they stand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from proxy.config.addresses import base_address
from proxy.config.json_schema import editor_line
from proxy.config.presets import ACCOUNTS, PRESETS, ZERO_CONFIGURATION, Account
from proxy.config.yaml_text import Plain, comment, flow, scalar

_ALIAS_OF_FIRST_KEY = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A host that the environment has a key for, in `variable`; the key itself is not kept."""

    account: Account
    variable: str
    base_url: str | None = None

    @property
    def name(self) -> str:
        """The provider's name in the file."""
        return self.account.preset

    @property
    def dialect(self) -> str:
        """What callers speak to it."""
        kind = PRESETS[self.account.preset].kind
        return "openai" if kind == "azure_openai" else kind


def find_accounts(env: Mapping[str, str]) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """The hosts with a key, in order of preference, and what is missing of those that lack something else."""
    found, missing = [], []
    for account in ACCOUNTS:
        variable = next((name for name in account.key_variables if env.get(name, "").strip()), None)
        if variable is None:
            continue
        if account.address_variable is None:
            found.append(Found(account=account, variable=variable))
            continue
        if not (endpoint := env.get(account.address_variable, "").strip()):
            missing.append(f"{account.address_variable}, without which {variable} is of no use")
            continue
        try:
            found.append(Found(account=account, variable=variable, base_url=_azure_address(endpoint)))
        except ValueError as error:
            missing.append(f"{account.address_variable} as an address: {error}")
    return tuple(found), tuple(missing)


def _azure_address(endpoint: str) -> str:
    """The v1 address of a resource, from its endpoint. Raises ValueError."""
    base = base_address(endpoint)
    return f"{base.removesuffix('/v1').removesuffix('/openai')}/openai/v1"


def starter_files(found: Sequence[Found], *, key_hash: str | None) -> dict[str, str]:
    """Texts by path. With the hash of a proxy key the providers spend our keys; else each caller's own goes through.

    Without anything found, the three that stand without a file.
    """
    accounts = {account.preset: account for account in ACCOUNTS}
    usual = [Found(account=accounts[name], variable=accounts[name].key_variables[0]) for name in ZERO_CONFIGURATION]
    data = files("proxy") / "data"
    return {
        "config/routing.yaml": _lines(_routing(found or usual, key_hash)),
        "config/analytics.yaml": (data / "starter_analytics.yaml").read_text("utf-8"),
        "config/prompts.yaml": (data / "starter_prompts.yaml").read_text("utf-8"),
        "config/alerts.yaml": (data / "starter_alerts.yaml").read_text("utf-8"),
        "pricing.yaml": (data / "starter_pricing.yaml").read_text("utf-8"),
        ".env.example": _lines(_environment(found or usual, spends_ours=key_hash is not None)),
    }


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _routing(found: Sequence[Found], key_hash: str | None) -> Iterator[str]:
    yield editor_line("routing")
    yield from comment(
        "Which provider a call goes to. Every key: docs/configuration-reference.md. "
        "Check a change with `promptlane check`."
    )
    yield "version: 1"
    yield ""
    yield from _providers(found, spends_ours=key_hash is not None)
    yield ""
    yield from _models(found)
    yield ""
    yield "# Where a model goes that `models` does not name, by the dialect of the call; null refuses it."
    yield f"default_provider: {flow(_defaults(found))}"
    yield ""
    yield "# Proxy keys, by hash. `promptlane keys new web-app` prints a key once, and the line to paste here."
    if key_hash is None:
        yield "keys: []"
    else:
        yield "keys:"
        yield f"  - {flow({'alias': _ALIAS_OF_FIRST_KEY, 'hash': key_hash})}"
    yield ""
    yield "# What one request may be, and how long a stopping proxy waits for running calls."
    yield "limits: {body_bytes: 64MiB, streamed_bytes: 512MiB, body_silence_s: 60, drain_s: 30}"
    yield ""
    yield "# The HTTP client to providers. `aiohttp` is the one to fall back on; the switch needs no restart."
    yield "upstream_client: native"


def _providers(found: Sequence[Found], *, spends_ours: bool) -> Iterator[str]:
    yield "providers:"
    yield from comment(
        "`preset` names a known host. OPENAI_UPSTREAM_URL, ANTHROPIC_UPSTREAM_URL and GEMINI_UPSTREAM_URL replace the "
        "addresses of these three, unless a `base_url` is written here.",
        indent="  ",
    )
    if spends_ours:
        yield "  # `key_env` names the variable with your key. Who spends it shows a proxy key: see `keys` below."
    for each in found:
        yield f"  {each.name}: {flow(_provider(each, spends_ours=spends_ours))}"
    if not spends_ours:
        yield ""
        yield "  # A provider that spends your key. Callers then need a proxy key: see `keys` below."
        yield f"  # {found[0].name}_ours: {flow(_provider(found[0], spends_ours=True))}"
    yield ""
    yield "  # A model server of your own, or any host that speaks OpenAI's dialect."
    yield "  # local:"
    yield "  #   preset: vllm"
    yield "  #   base_url: http://127.0.0.1:8000/v1"
    yield "  #   timeouts: {connect_s: 5, first_byte_s: 60, idle_s: 120, total_s: null}"


def _provider(found: Found, *, spends_ours: bool) -> dict[str, Plain]:
    host: dict[str, Plain] = {"preset": found.account.preset}
    if found.base_url is not None:
        host["base_url"] = found.base_url
    return host | ({"key_env": found.variable} if spends_ours else {"credentials": "passthrough"})


def _models(found: Sequence[Found]) -> Iterator[str]:
    """Entries for the hosts that are no default, which nothing else leads to, and an example of what else there is."""
    defaults = _defaults(found).values()
    others = [_model_of(each) for each in found if each.name not in defaults]
    yield "# Models by exact name, or by pattern: `*` stands for anything, and the pattern that says most wins."
    yield "models:" if others else "models: {}"
    if others:
        yield "  # A dialect has one default provider, see below. What the others serve stands here, under any name."
    yield from (f"  {scalar(name)}: {{target: {scalar(name)}}}" for name in others)
    yield "  # fast:                                   # an alias that apps may ask for"
    yield "  #   targets:"
    yield f"  #     - {{provider: {found[0].name}, model: {scalar(found[0].account.example_model)}, weight: 9}}"
    yield f"  #     - {{provider: {found[0].name}, model: the-newer-one, weight: 1}}"
    yield f"  #   fallback: [{scalar(_model_of(found[0]))}]"
    yield '  #   retries: {max: 1, on: [connect, "429", "5xx"]}'


def _model_of(found: Found) -> str:
    return f"{found.name}/{found.account.example_model}"


def _defaults(found: Sequence[Found]) -> dict[str, str | None]:
    """The first of each dialect."""
    defaults: dict[str, str | None] = {"openai": None, "anthropic": None, "gemini": None}
    for each in found:
        defaults[each.dialect] = defaults[each.dialect] or each.name
    return defaults


def _environment(found: Sequence[Found], *, spends_ours: bool) -> Iterator[str]:
    yield "# What the proxy takes from its environment. Every variable: docs/configuration-reference.md."
    yield "# Copy to .env, fill in, keep out of version control. `docker run --env-file .env` reads it; a shell does by"
    yield "#   set -a; . ./.env; set +a; promptlane serve"
    yield ""
    yield "# The key of your PostHog project (phc_...), and where it lives; for the EU: https://eu.i.posthog.com"
    yield "POSTHOG_API_KEY="
    yield "POSTHOG_HOST=https://us.i.posthog.com"
    yield ""
    yield "# Your keys, for providers that have a `key_env` in config/routing.yaml."
    yield from (f"{'' if spends_ours else '# '}{each.variable}=" for each in found)
