from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.doctor.configured import Setting, findings, look
from proxy.cli.doctor.finding import Finding
from proxy.config import ConfigError, find_places
from proxy.config.load import load
from proxy.domain.identity import VirtualKey
from proxy.domain.keys import HashedKey

KEY = HashedKey(digest=b"x" * 32, key=VirtualKey(alias="web"))
ABSENT = Path("absent")
DEFAULTS = load(ABSENT, ABSENT, {})
SETTING = Setting(
    configuration=DEFAULTS, present=(), absent=(Path("config/routing.yaml"),), listens_on="127.0.0.1", port=4000
)


def found(setting: Setting) -> dict[str, Finding]:
    return {finding.title: finding for finding in findings(setting)}


def with_keys(setting: Setting, keys: Sequence[HashedKey]) -> Setting:
    return replace(setting, configuration=replace(setting.configuration, keys=tuple(keys)))


@pytest.mark.parametrize(
    ("changes", "title", "state", "said"),
    [
        ({}, "files", "ok", f"everything is at its default (digest {DEFAULTS.digest})"),
        ({"present": [Path("a.yaml")]}, "files", "ok", "a.yaml (digest"),
        ({"present": [Path("a.yaml")]}, "files", "ok", "; at their defaults: config/routing.yaml"),
        ({}, "secret", "ok", "PROMPTLANE_SECRET is set"),
        ({"secret_file": Path("data/secret")}, "secret", "ok", "kept in data/secret"),
        ({"secret_file": Path("data/secret"), "secret_exists": False}, "secret", "ok", "none yet"),
        ({"secret_problem": "data/secret: a secret has at least 16 bytes"}, "secret", "fail", "at least 16 bytes"),
        ({}, "address", "ok", "127.0.0.1:4000, for this machine alone"),
        ({"listens_on": "::1"}, "address", "ok", "for this machine alone"),
        ({"listens_on": "0.0.0.0"}, "address", "warn", "0.0.0.0:4000, for whoever reaches it"),
        ({"listens_on": "0.0.0.0", "has_admin_token": True}, "address", "ok", "with an admin token"),
    ],
)
def test_each_finding(changes: dict[str, Any], title: str, state: str, said: str) -> None:
    finding = found(replace(SETTING, **changes))[title]
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"


def test_keys_open_what_is_not_for_this_machine_alone() -> None:
    told = found(with_keys(replace(SETTING, listens_on="0.0.0.0"), [KEY]))
    assert (told["address"].state, told["proxy keys"].found) == ("ok", "web")
    assert "proxy keys" not in found(SETTING)


def test_a_provider_that_nobody_can_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").write_text("version: 1\nproviders: {ours: {preset: openai, key_env: OURS}}\n")
    setting = replace(SETTING, configuration=load(tmp_path, ABSENT, {"OURS": "hidden"}))
    finding = found(setting)["proxy keys"]
    assert (finding.state, finding.found) == ("warn", "none, so nobody can use ours")
    assert "hidden" not in repr(setting)


def test_what_is_there_is_looked_at_and_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "routing.yaml").write_text("version: 1\n")
    setting = look(find_places({}), DEFAULTS, {"PROMPTLANE_HOST": "0.0.0.0", "PROMPTLANE_PORT": "81"})
    assert [str(path) for path in setting.present] == ["config/routing.yaml"]
    assert [str(path) for path in setting.absent] == ["config/analytics.yaml", "pricing.yaml"]
    assert (setting.listens_on, setting.port, setting.has_admin_token) == ("0.0.0.0", 81, False)
    assert (setting.secret_file, setting.secret_exists) == (Path("data/secret"), False)
    assert not (tmp_path / "data").exists()
    with pytest.raises(ConfigError):
        look(find_places({}), DEFAULTS, {"PROMPTLANE_PORT": "many"})


@pytest.mark.parametrize(
    ("env", "mode", "problem"),
    [
        ({"PROMPTLANE_SECRET": "short"}, None, "PROMPTLANE_SECRET: a secret has at least 16 bytes"),
        ({"PROMPTLANE_SECRET": "long enough to be one"}, None, None),
        ({}, 0o600, None),
        ({}, 0o604, "secret: everybody may read this file; run chmod 600 on it"),
    ],
)
def test_a_secret_that_the_start_would_refuse(
    env: dict[str, str], mode: int | None, problem: str | None, tmp_path: Path
) -> None:
    if mode is not None:
        (tmp_path / "secret").write_text("0123456789abcdef")
        (tmp_path / "secret").chmod(mode)
    told = look(find_places(env, data=str(tmp_path)), DEFAULTS, env).secret_problem
    assert told == problem or (told is not None and problem is not None and told.endswith(problem))
