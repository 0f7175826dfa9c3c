import pytest

from proxy.adapters.probe import Answer, Failure
from proxy.cli.doctor import running

URL = "http://127.0.0.1:4000"
READY = Answer(status=200, document={"status": "ready"})
VERSION = Answer(status=200, document={"version": "0.1.0", "config": "abc"})


@pytest.mark.parametrize(
    ("ready", "version", "state", "said"),
    [
        (READY, VERSION, "ok", "takes calls, with this configuration"),
        (READY, Answer(status=200, document={"config": "other"}), "warn", "another configuration"),
        (Answer(status=200, document={"status": "degraded"}), VERSION, "warn", "its analytics is in trouble"),
        (Answer(status=503), VERSION, "warn", "drains"),
        (Answer(status=404), VERSION, "fail", "is not Promptlane"),
        (READY, Answer(status=200, document=["html"]), "fail", "is not Promptlane"),
        (READY, Answer(failure=Failure.TIMEOUT), "fail", "is not Promptlane"),
        (Answer(failure=Failure.REFUSED), Answer(failure=Failure.REFUSED), "fail", "the connection is refused"),
    ],
)
def test_what_it_says_of_itself(ready: Answer, version: Answer, state: str, said: str) -> None:
    finding = running.read(URL, ready, version, "abc")
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:4000", True),
        ("http://localhost", True),
        ("http://[::1]:4000", True),
        ("http://10.0.0.1:4000", False),
        ("http://localhost.example.com", False),
        ("https://llm.example.com", False),
    ],
)
def test_this_machine_is_told_by_the_address_alone(url: str, is_here: bool) -> None:
    assert running.is_here(url) is is_here


def test_what_is_not_asked() -> None:
    assert running.unasked(None).advice.startswith("name it with --url")
    assert running.unasked("https://llm.example.com").advice == "add --online"
