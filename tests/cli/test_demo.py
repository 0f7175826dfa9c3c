import os
import signal
import socket
from functools import partial
from typing import Any

import orjson
import pytest

from proxy.cli import main
from proxy.demo import fake_provider, sample_traffic
from proxy.demo.show import HEADING

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in provider takes no time."""
    monkeypatch.setattr(fake_provider, "build", partial(fake_provider.build, token_s=0.0))


def test_once_shows_each_call_and_what_posthog_would_have_received(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--once", "--port", "0", "--calls", "11"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    head, _, events = told.out.partition("\nPostHog would have received: ")
    lines = head.rstrip().splitlines()
    assert lines[0].startswith("point an app at it: export OPENAI_BASE_URL=http://127.0.0.1:")
    assert lines[1] == f"listening on {lines[0].split('=')[1].partition('/v1')[0]}"
    assert lines[3] == HEADING
    assert len(lines[4:]) == 11
    statuses = [line.split("  ")[-1] for line in lines[4:]]
    assert sum(status == "success" for status in statuses) >= 9
    assert sum("provider_" in status for status in statuses) == 1
    counts, _, example = events.partition("\n\nfor example:\n")
    assert "11 × llm_request_started" in counts
    properties: dict[str, Any] = orjson.loads(example)["properties"]
    assert properties["prompt_version_id"].startswith("pv_2026_")
    assert properties["prompt_name"] == sample_traffic.PROMPT_NAME


def test_a_signal_ends_it_before_the_traffic_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--once` it serves until then."""

    async def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sample_traffic, "run", interrupted)
    assert main(["demo", "--port", "0"]) == 0
    assert "no events yet" in capsys.readouterr().out


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
