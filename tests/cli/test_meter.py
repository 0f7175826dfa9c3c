"""`promptlane meter`: the ten facts of a recorded reply, or a clear word on why not."""

import argparse
import gzip
import json
from pathlib import Path

import pytest

from proxy.cli.meter import add_parser
from tests.golden.make_wire import SAMPLES
from tests.golden.wire_forms import Sample
from tests.harness.wire import GOLDEN

FACTS = [
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "finish_reason",
    "model",
    "tool_calls",
    "usage_source",
    "stream_end",
]
FROM_A_FILE = [sample for sample in SAMPLES if sample.status == 200]
STREAM = GOLDEN / "messages-stream-cache-lifetimes.sse"


def meter(*args: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["meter", *map(str, args)])
    code: int = parsed.run(parsed)
    return code


@pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.name) for sample in FROM_A_FILE])
def test_json_is_what_the_sidecar_states(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    assert meter(GOLDEN / sample.file, "--api", sample.api, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == FACTS
    assert printed == {name: sample.sidecar()[name] for name in FACTS}


def test_the_table_names_every_fact_and_the_further_ones_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert meter(STREAM, "--api", "anthropic") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = dict(line.split(maxsplit=1) for line in lines)
    assert list(rows)[: len(FACTS)] == FACTS
    assert (rows["input_tokens"], rows["service_tier"], rows["output_category"]) == ("4705", "standard", "answer")
    assert "error_code" not in rows


def test_unknown_is_said_and_not_shown_as_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert meter(GOLDEN / "chat-stream-unasked.sse", "--api", "azure") == 0
    assert "input_tokens                 unknown\n" in capsys.readouterr().out


def test_a_packed_file_is_unpacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "reply.sse.gz"
    packed.write_bytes(gzip.compress(STREAM.read_bytes()))
    assert meter(packed, "--api", "messages", "--json") == 0
    assert json.loads(capsys.readouterr().out)["input_tokens"] == 4705


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.sse", None, "cannot be read (FileNotFoundError)"),
        ("reply.txt", b"", "ends in .sse or .json"),
        ("reply.gz", b"", "ends in .sse or .json"),
        ("reply.json.gz", b"no gzip", "cannot be read (BadGzipFile)"),
        ("reply.json.gz", gzip.compress(b"{}" * 900, mtime=0)[:-12], "cannot be read (EOFError)"),
        ("reply.json.gz", gzip.compress(b"{}", mtime=0)[:10] + b"\xff\xff\xff", "cannot be read (error)"),
    ],
)
def test_a_bad_file_is_named(
    name: str, content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert meter(path, "--api", "chat") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(path) in captured.err
    assert words in captured.err


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "x.json"
    folder.mkdir()
    assert meter(folder, "--api", "chat") == 2


def test_an_unknown_api_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        meter(STREAM, "--api", "chatt")
    assert refused.value.code == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("chatt", "chat", "messages", "azure"))
