import argparse
import io
import re
from pathlib import Path

import pytest

from proxy.cli import keys
from proxy.config.document import parse_document
from proxy.config.routing import RoutingFile
from proxy.config.routing_table import compile_keys
from proxy.config.schema import check_document
from proxy.config.secret import load_secret
from proxy.domain.keys import HashedKeys, key_hash

SECRET = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLANE_SECRET", SECRET)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    keys.add_parser(parser.add_subparsers())
    args = parser.parse_args(["keys", *arguments])
    exit_code: int = args.run(args)
    return exit_code


def test_a_new_keys_line_goes_into_the_file_and_opens_for_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", "web-app", "--environment", "staging") == 0
    out = capsys.readouterr().out
    (key,) = re.findall(r"^  (plk_[A-Za-z0-9_-]{32})$", out, re.MULTILINE)
    document = parse_document("r", f"version: 1\nkeys:\n{out.splitlines()[-1]}\n".encode(), {})
    file = check_document(document, RoutingFile)
    assert file is not None
    found = HashedKeys(compile_keys(document, file), SECRET.encode()).find(key)
    assert document.problems == []
    assert found is not None
    assert (found.alias, found.environment) == ("web-app", "staging")


def test_each_key_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    run("new", "a")
    run("new", "a")
    found = re.findall("plk_.*", capsys.readouterr().out)
    assert len(set(found)) == 2


def test_the_secret_of_the_data_folder_serves_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMPTLANE_SECRET")
    assert run("new", "a", "--data", str(tmp_path)) == 0
    out = capsys.readouterr().out
    key = re.findall(r"plk_\S+", out)[0]
    assert key_hash(key, load_secret({}, tmp_path)) in out


@pytest.mark.parametrize("alias", ["", "a b", "-x", "a" * 65, 'a"'])
def test_an_alias_that_the_file_would_refuse_is_refused(alias: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("new", alias)
    assert caught.value.code == 2
    assert "plk_" not in capsys.readouterr().out


def test_the_hash_of_a_key_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("plk_0123456789abcdef\nmore\n"))
    assert run("hash") == 0
    assert capsys.readouterr().out == key_hash("plk_0123456789abcdef", SECRET.encode()) + "\n"


def test_a_short_key_is_refused_and_not_echoed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("swordfish\n"))
    assert run("hash") == 2
    printed = capsys.readouterr()
    assert "at least 16 characters" in printed.err
    assert "swordfish" not in printed.err + printed.out


@pytest.mark.parametrize("verb", [("new", "a"), ("hash",)])
def test_a_bad_secret_is_a_problem(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLANE_SECRET", "short")
    monkeypatch.setattr("sys.stdin", io.StringIO("plk_0123456789abcdef\n"))
    assert run(*verb) == 2
    assert capsys.readouterr().err == "PROMPTLANE_SECRET: a secret has at least 16 bytes\n"
