"""What the configuration and the environment say, as far as it can be told without asking anybody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.cli.doctor.finding import Finding, fail, ok, warn
from proxy.cli.serve import DEFAULT_HOST, DEFAULT_PORT, PORTS, chosen_number
from proxy.config import ConfigError, Configuration, Places, load_secret
from proxy.config.load import ANALYTICS, ROUTING
from proxy.config.secret import FILE_NAME, VARIABLE

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The configuration, and what stands beside it."""

    configuration: Configuration
    present: Sequence[Path]
    """The files that are there."""
    absent: Sequence[Path]
    listens_on: str
    port: int
    has_admin_token: bool = False
    secret_problem: str | None = None
    """What the start would say of the secret."""
    secret_file: Path | None = None
    """Where it is kept; None where the environment holds it."""
    secret_exists: bool = True


def look(places: Places, configuration: Configuration, env: Mapping[str, str]) -> Setting:
    """At files and environment; makes no secret. Raises ConfigError for a port that is none."""
    files = (places.config_dir / ROUTING, places.config_dir / ANALYTICS, places.pricing_file)
    secret_file = places.data_dir / FILE_NAME
    secret_problem, secret_exists = None, False
    try:
        secret_exists = secret_file.exists()
        if env.get(VARIABLE) or secret_exists:
            load_secret(env, places.data_dir)
    except ConfigError as error:
        secret_problem = str(error.problems[0])
    except OSError:
        secret_problem = f"{secret_file}: it cannot be read"
    return Setting(
        configuration=configuration,
        present=[path for path in files if path.exists()],
        absent=[path for path in files if not path.exists()],
        listens_on=env.get("PROMPTLANE_HOST") or DEFAULT_HOST,
        port=chosen_number(None, env, "PROMPTLANE_PORT", DEFAULT_PORT, PORTS),
        has_admin_token=bool(env.get("PROMPTLANE_ADMIN_TOKEN")),
        secret_problem=secret_problem,
        secret_file=None if env.get(VARIABLE) else secret_file,
        secret_exists=secret_exists,
    )


def findings(setting: Setting) -> Iterator[Finding]:
    """Files, secret, address, keys."""
    yield _files(setting)
    yield _secret(setting)
    yield _address(setting)
    yield from _keys(setting.configuration)


def _files(setting: Setting) -> Finding:
    present, absent = (", ".join(map(str, paths)) for paths in (setting.present, setting.absent))
    digest = f"digest {setting.configuration.digest}"
    if not present:
        return ok("files", f"none of {absent}: everything is at its default ({digest})")
    return ok("files", f"{present} ({digest})" + (f"; at their defaults: {absent}" if absent else ""))


def _secret(setting: Setting) -> Finding:
    if setting.secret_problem:
        return fail("secret", setting.secret_problem, "the proxy does not start until this is put right")
    if setting.secret_file is None:
        return ok("secret", "PROMPTLANE_SECRET is set")
    if not setting.secret_exists:
        return ok("secret", f"none yet; the first start makes one in {setting.secret_file}")
    return ok("secret", f"kept in {setting.secret_file}; every replica needs the same")


def _address(setting: Setting) -> Finding:
    address = f"{setting.listens_on}:{setting.port}"
    has_keys = bool(setting.configuration.keys)
    if setting.listens_on in LOOPBACK:
        return ok("address", f"{address}, for this machine alone")
    if has_keys or setting.has_admin_token:
        return ok("address", f"{address}, with {'proxy keys' if has_keys else 'an admin token'}")
    found = f"{address}, for whoever reaches it, and nobody can read /metrics there: no key, no admin token"
    advice = "set PROMPTLANE_ADMIN_TOKEN, or add `keys:` (`promptlane keys new NAME`); put TLS in front"
    return warn("address", found, advice)


def _keys(configuration: Configuration) -> Iterator[Finding]:
    spends_ours = [p.name for p in configuration.routing.providers.values() if p.api_key is not None]
    if configuration.keys:
        yield ok("proxy keys", ", ".join(entry.key.alias for entry in configuration.keys))
    elif spends_ours:
        found = f"none, so nobody can use {', '.join(spends_ours)}"
        yield warn("proxy keys", found, "make one with `promptlane keys new NAME` and add its line to routing.yaml")
