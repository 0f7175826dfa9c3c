"""The gateways under test: what each needs to run here, and how it is configured and started."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.domain.keys import key_hash
from tools.bench import machine
from tools.bench.payload import KEY, MODEL

PROMPTLANE = Path(sys.executable).parent / "promptlane"
SECRET = "bench-secret-0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a gateway is told. `upstream` and `capture` are addresses; `port` is free, for those that must be told."""

    folder: Path
    upstream: str
    capture: str
    port: int
    scripts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a gateway. `port` None: it says `listening on …` on its standard output."""

    argv: Sequence[str | Path]
    port: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A row of the table. `missing` says why it cannot run here; `is_exact`: it passes bytes unchanged."""

    name: str
    prepare: Callable[[Place], Command]
    missing: Callable[[], str | None] = lambda: None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_exact: bool = True
    is_shipping: bool = False
    """Its events go to the scripted PostHog; child processes, which do not serve, may run on the rig's core."""
    keeps_events: bool = False
    """Its events stay in its outbox, where they can be counted."""


def _nginx(place: Place) -> Command:
    paths = "\n".join(
        f"  {kind}_temp_path {place.folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    upstream = place.upstream.removeprefix("http://")
    user = "user root;" if os.geteuid() == 0 else ""
    (place.folder / "nginx.conf").write_text(f"""{user}
worker_processes 1;
worker_rlimit_nofile {machine.OPEN_FILES};
daemon off;
pid {place.folder / "pid"};
error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
{paths}
  access_log off;
  client_max_body_size 0;
  keepalive_requests 100000000;
  upstream provider {{ server {upstream}; keepalive 8192; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{place.port} backlog=4096;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }}
  }}
}}
""")
    return Command([_nginx_program() or "nginx", "-c", place.folder / "nginx.conf"], place.port)


def _nginx_program() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _nginx_missing() -> str | None:
    if (
        _nginx_program() is None and not Path("/run/systemd/system").exists()
    ):  # there, installing it would also start it
        subprocess.run([Path(__file__).parent.parent / "apt_install.sh", "nginx"], capture_output=True, check=False)
    return None if _nginx_program() else "nginx is not installed: apt-get install nginx"


def _bare(place: Place) -> Command:
    return Command([sys.executable, Path(__file__).parent / "bare.py", place.upstream])


def _bound(place: Place) -> Command:
    (place.folder / "data").mkdir()
    argv: list[str | Path] = [sys.executable, "-m", "tools.bench.bound", place.upstream, place.folder / "data"]
    return Command(argv, env={"PYTHONPATH": str(Path(__file__).parents[2])})


def _promptlane(place: Place, routing: object, analytics: object, env: Mapping[str, str]) -> Command:
    """JSON is YAML enough for the files."""
    (place.folder / "routing.yaml").write_text(json.dumps(routing))
    (place.folder / "analytics.yaml").write_text(json.dumps(analytics))
    prices = {"from": "2025-04-14", "input_usd_per_mtok": 0.4, "output_usd_per_mtok": 1.6}
    known = {"match": {"provider": "provider", "model": f"{MODEL}*"}, "prices": [prices]}
    (place.folder / "pricing.yaml").write_text(json.dumps({"version": 1, "models": [known]}))
    files: list[str | Path] = [
        "--config",
        place.folder,
        "--pricing",
        place.folder / "pricing.yaml",
        "--data",
        place.folder / "data",
    ]
    return Command([PROMPTLANE, "serve", "--port", "0", *files], env={"PROMPTLANE_SECRET": SECRET, **env})


def _promptlane_off(place: Place) -> Command:
    provider = {"kind": "openai", "base_url": f"{place.upstream}/v1", "credentials": "passthrough"}
    routing = {"version": 1, "providers": {"provider": provider}, "default_provider": {"openai": "provider"}}
    analytics = {"version": 1, "families": {"product": False, "ai": False}, "events": {"started": False}}
    return _promptlane(place, routing, analytics, {})


def _promptlane_on(place: Place, env: Mapping[str, str] | None = None) -> Command:
    """Proxy keys, our own provider key, an alias for each script, prices, both families and a journal on disk."""
    provider = {"kind": "openai", "base_url": f"{place.upstream}/v1", "key_env": "BENCH_PROVIDER_KEY"}
    aliases = {
        f"app-bench-{name}": {"targets": [{"provider": "provider", "model": f"{MODEL}-bench-{name}"}]}
        for name in place.scripts
    }
    routing = {
        "version": 1,
        "providers": {"provider": provider},
        "models": aliases,
        "default_provider": {"openai": "provider"},
        "keys": [{"alias": "bench", "hash": key_hash(KEY, SECRET.encode())}],
    }
    return _promptlane(place, routing, {"version": 1}, {"BENCH_PROVIDER_KEY": "sk-bench-provider-key", **(env or {})})


def _promptlane_shipping(place: Place) -> Command:
    return _promptlane_on(place, {"POSTHOG_API_KEY": "phc_bench", "POSTHOG_HOST": place.capture})


def _litellm(place: Place) -> Command:
    model = {"model": "openai/*", "api_base": f"{place.upstream}/v1", "api_key": "sk-bench"}
    settings = {"model_list": [{"model_name": "*", "litellm_params": model}], "litellm_settings": {"num_retries": 0}}
    (place.folder / "litellm.yaml").write_text(json.dumps(settings))
    argv: list[str | Path] = [
        "litellm",
        "--config",
        place.folder / "litellm.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(place.port),
    ]
    return Command([*argv, "--num_workers", "1"], place.port, {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"})


def _not_found(command: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(command) else f"optional: no `{command}` on the path"


BARE, NGINX, BOUND = "bare aiohttp", "nginx", "least in Python"
OFF, ON, SHIPPING = "promptlane off", "promptlane", "promptlane + PostHog"
RECIPES = (
    Recipe(name=NGINX, prepare=_nginx, missing=_nginx_missing),
    Recipe(name=BARE, prepare=_bare),
    Recipe(name=BOUND, prepare=_bound, keeps_events=True),
    Recipe(name=OFF, prepare=_promptlane_off),
    Recipe(name=ON, prepare=_promptlane_on, keeps_events=True),
    Recipe(name=SHIPPING, prepare=_promptlane_shipping, is_shipping=True),
    Recipe(name="litellm", prepare=_litellm, missing=_not_found("litellm"), is_exact=False),
)
