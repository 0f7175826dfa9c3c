import os
import re
import signal
import socket
from functools import partial
from typing import Any

import orjson
import pytest

from proxy.cli import main
from proxy.cli.call_rows import HEADING
from proxy.cli.terminal import columns
from proxy.demo import fake_provider, sample_traffic

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in provider takes no time."""
    monkeypatch.setattr(fake_provider, "build", partial(fake_provider.build, token_s=0.0))


def test_once_shows_each_call_and_what_posthog_would_have_received(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--once", "--port", "0", "--calls", "11"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    greeting, calls, top, events, example = told.out.split(":\n\n")
    address = re.search(r"listening on (\S+);", greeting)
    assert address is not None
    assert f"export OPENAI_BASE_URL={address[1]}/v1 " in greeting
    heading, *rows = calls.partition("\n\n")[0].splitlines()
    assert heading == HEADING
    assert len(rows) == 11
    statuses = [row.split()[-1] for row in rows]
    assert statuses.count("success") >= 9
    assert sum("provider_" in row for row in rows) == 1
    assert "11 calls ended" in top
    assert re.search(r"^all +\d.*\$[\d.]+$", top, re.MULTILINE)
    assert not re.search(r"^all .* - ", top, re.MULTILINE)
    assert re.search(r"^outbox +\d+ events \(.*, the oldest \d+ s old; 0.0 delivered/s$", top, re.MULTILINE)
    assert "    11 × llm_request_started\n" in events
    assert re.search(r"^ +\d × llm_task_completed$", events, re.MULTILINE)
    properties: dict[str, Any] = orjson.loads(example)["properties"]
    assert properties["prompt_version_id"].startswith("pv_2026_")
    assert properties["prompt_name"] == sample_traffic.PROMPT_NAME
    assert max(columns(line) for line in told.out.splitlines()) <= 80


def test_a_signal_ends_it_before_the_traffic_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--once` it serves until then."""

    async def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sample_traffic, "run", interrupted)
    assert main(["demo", "--port", "0"]) == 0
    assert "none yet" in capsys.readouterr().out


def test_a_taken_port_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["demo", "--port", port]) == 1
    assert (
        capsys.readouterr().err == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("PROMPTLANE_PORT", "http"), ("PROMPTLANE_LOG_LEVEL", "loud"), ("POSTHOG_API_KEY", "phx_1")]
)
def test_a_setting_that_cannot_be_meant_is_told(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["demo", "--posthog"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert name in told.err


def test_an_error_of_the_traffic_is_no_matter_of_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ConnectionError("not the port")

    monkeypatch.setattr(sample_traffic, "run", broken)
    with pytest.raises(ConnectionError):
        main(["demo", "--once", "--port", "0"])
