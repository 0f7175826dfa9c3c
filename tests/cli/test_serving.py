import argparse
import subprocess
import sys
from pathlib import Path

from proxy.cli import serving
from proxy.cli.where import Where
from proxy.cli.workers import KeptConfiguration
from proxy.config import Places
from proxy.config.load import load

OF_OTHERS = {
    *("aiohappyeyeballs", "aiohttp", "aiosignal", "attr", "frozenlist", "idna", "multidict", "propcache", "yarl"),
    *("apsw", "brotli", "httptools", "orjson", "prometheus_client", "typing_extensions", "uvloop", "zstandard"),
}
"""Packages that a process which serves has loaded. One more is some megabytes, in each worker: let a child load it."""
TELLS_ITS_MODULES = """
import os, signal, sys
from proxy.cli import main, serving

def tell(*_: object) -> None:
    print(*sys.modules, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

serving._greet = tell
sys.exit(main(["serve", "--port", "0", "--config", sys.argv[1], "--data", sys.argv[1]]))
"""
A_SUPERVISOR_TELLS_ITS_MODULES = """
import sys
from proxy.cli import main, workers

workers.Supervisor.run = lambda _: print(*sys.modules) or 0
sys.exit(main(["serve", "--port", "0", "--workers", "2", "--config", sys.argv[1], "--data", sys.argv[1]]))
"""


def packages_of_others(code: str, folder: Path) -> set[str]:
    told = subprocess.run([sys.executable, "-P", "-c", code, folder], capture_output=True, text=True, check=True).stdout
    tops = {name for name in told.split() if name.isidentifier() and not name.startswith("_")}
    return tops - sys.stdlib_module_names - {"proxy", "sitecustomize", "cython_runtime"}


def test_a_process_that_serves_has_loaded_no_more_than_it_needs(tmp_path: Path) -> None:
    assert packages_of_others(TELLS_ITS_MODULES, tmp_path) <= OF_OTHERS


def test_nor_has_a_supervisor(tmp_path: Path) -> None:
    assert packages_of_others(A_SUPERVISOR_TELLS_ITS_MODULES, tmp_path) <= {"orjson"}


def test_variables_say_how_to_serve(tmp_path: Path) -> None:
    where = Where("127.0.0.1", 4100, 3)
    places = Places(config_dir=tmp_path, pricing_file=tmp_path, data_dir=tmp_path / "d")
    env = {"PROMPTLANE_ADMIN_TOKEN": "token", "PROMPTLANE_SECRET": "0123456789abcdef"}
    alone = serving.settings_of(where, argparse.Namespace(worker_number=None, runtime_dir=None), env, places, None)
    assert (alone.host, alone.port, alone.worker_count, alone.worker) == ("127.0.0.1", 4100, 3, 0)
    assert (alone.admin_token, alone.secret) == ("token", b"0123456789abcdef")
    kept = KeptConfiguration(tmp_path)
    said = argparse.Namespace(worker_number=1, runtime_dir=tmp_path)
    one = serving.settings_of(where, said, env, places, kept)
    assert (one.worker, one.metrics_dir, one.on_configuration) == (1, tmp_path, kept.keep)


def test_the_greeting_tells_providers_and_delivery_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").write_text(
        "version: 1\nproviders:\n  openai: {preset: openai, key_env: OUR_KEY}\n"
        "  anthropic: {kind: anthropic, base_url: https://api.anthropic.com, credentials: passthrough}\n"
    )
    env = {
        "OUR_KEY": "sk-hidden-0123456789",
        "POSTHOG_API_KEY": "phc_hidden",
        "POSTHOG_HOST": "https://eu.i.posthog.com",
    }
    lines = serving.greeting(load(tmp_path, tmp_path / "none.yaml", env))
    assert lines == ("providers: openai (our key), anthropic (pass-through)", "events go to https://eu.i.posthog.com")
    (_, delivery) = serving.greeting(load(tmp_path / "none", tmp_path / "none.yaml", {}))
    assert delivery.startswith("no POSTHOG_API_KEY: ")
