import asyncio
import signal
import socket
import tempfile
from pathlib import Path

import pytest

from proxy.adapters import logs
from proxy.app import App
from proxy.cli import main, serve, serving
from proxy.cli.serve import chosen_number
from proxy.config import ConfigError
from tests.harness.bed import chat
from tests.harness.client import Plan, RawClient
from tests.harness.provider import ScriptedProvider
from tests.harness.scripts import built_in
from tests.harness.serve import Served, upstream_environment

pytestmark = pytest.mark.usefixtures("alone")


def test_every_problem_of_the_configuration_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    Path("config/routing.yaml").write_text("version: 1\nprovider: {}\nmodels: {a: {target: nowhere}}\n")
    Path("config/analytics.yaml").write_text("version: 2\n")
    assert main(["serve", "--port", "0"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "config/analytics.yaml",
        "config/routing.yaml",
        "config/routing.yaml",
    ]
    assert not Path("data/journal-0.db").exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        ([], {"PROMPTLANE_PORT": "http"}, "PROMPTLANE_PORT"),
        ([], {"PROMPTLANE_PORT": "65536"}, "PROMPTLANE_PORT"),
        (["--port", "-1"], {}, "PROMPTLANE_PORT"),
        (["--port", "70000"], {"PROMPTLANE_PORT": "4000"}, "PROMPTLANE_PORT"),
        ([], {"PROMPTLANE_WORKERS": "0"}, "PROMPTLANE_WORKERS"),
        (["--workers", "0"], {}, "PROMPTLANE_WORKERS"),
        (["--workers", "-2"], {}, "PROMPTLANE_WORKERS"),
        ([], {"PROMPTLANE_LOG_LEVEL": "loud"}, "PROMPTLANE_LOG_LEVEL"),
        ([], {"PROMPTLANE_SECRET": "short"}, "PROMPTLANE_SECRET"),
        (["--config", "nowhere"], {}, "nowhere"),
        (["--pricing", "nowhere.yaml"], {}, "nowhere.yaml"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_not_guessed_at(
    arguments: list[str],
    variables: dict[str, str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


@pytest.mark.parametrize(
    ("given", "env", "chosen"), [(1, {"V": "2"}, 1), (0, {"V": "2"}, 0), (None, {"V": "2"}, 2), (None, {"V": ""}, 3)]
)
def test_a_flag_goes_before_its_variable_and_that_before_the_default(
    given: int | None, env: dict[str, str], chosen: int
) -> None:
    assert chosen_number(given, env, "V", 3, range(10)) == chosen


@pytest.mark.parametrize("text", ["²", "٣", "1" * 5000, " 1", "1.0", "0x1"])
def test_a_number_is_written_in_ascii_digits(text: str) -> None:
    with pytest.raises(ConfigError):
        chosen_number(None, {"V": text}, "V", 3, range(10))


def test_the_number_of_a_worker_is_no_way_to_misspell_workers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--worker", "4"])
    assert ended.value.code == 2
    assert "ambiguous" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_told_in_one_line(workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # another proxy with several workers
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--workers", workers]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"


def test_who_is_second_to_listen_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that start at one moment both get the address, and one of them the connections."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = str(other.getsockname()[1])

        class Second(App):
            async def start(self) -> None:
                other.listen()
                await super().start()

        monkeypatch.setattr(serving, "App", Second)
        assert main(["serve", "--port", port]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"


def test_a_folder_that_the_workers_cannot_share_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has nothing to do with the address."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert main(["serve", "--port", "0", "--workers", "2"]) == 1
    told = capsys.readouterr().err
    assert told == (
        "no folder for the workers to share: No such file or directory; set TMPDIR to one that takes 5 MiB\n"
    )


def test_a_host_that_does_not_resolve_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_host(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(serving, "App", no_such_host)
    assert main(["serve", "--host", "host.invalid"]) == 1
    told = capsys.readouterr().err
    assert told == "cannot listen on host.invalid: this host name does not resolve; choose another --host\n"


def test_the_log_level_is_as_wished_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    wished: list[str] = []
    monkeypatch.setattr(logs, "configure", wished.append)
    for env in ({"PROMPTLANE_LOG_LEVEL": "DEBUG"}, {"PROMPTLANE_LOG_LEVEL": ""}, {}):
        serve.configure_logs(env, default="error")
    assert wished == ["debug", "error", "error"]


async def test_it_greets_serves_and_ends_in_order(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, Served(tmp_path, upstream_environment(provider.url)) as served:
        async with RawClient(served.port) as client:
            head, body = Plan(body=chat()).request("call-1")
            await client.send(head + body)
            assert (await client.reply()).status == 200
        served.send_signal(signal.SIGINT)
        assert await served.wait() == 0
    lines = served.stdout.decode().splitlines()
    assert lines[0].startswith("providers: openai (pass-through), ")
    assert lines[-3] == f"point an app at it: export OPENAI_BASE_URL={served.url}/v1"
    assert lines[-2].startswith(f"dashboards, once within an hour: {served.url}/ui/login?link=")
    assert lines[-1] == f"listening on {served.url}"
    assert b'"message":"stopped","pending_events":3' in served.stderr


async def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    """The first one waits for the call that hangs; that it came is seen where new connections are refused."""
    async with (
        ScriptedProvider(built_in("hang")) as provider,
        Served(tmp_path, upstream_environment(provider.url)) as served,
        RawClient(served.port) as client,
    ):
        head, body = Plan(body=chat()).request("call-1")
        await client.send(head + body)
        await provider.arrival()
        served.send_signal(signal.SIGTERM)
        while await is_accepting(served.port):
            pass
        served.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await served.wait() == 1


async def is_accepting(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it waited to be accepted when the listener was closed
        return True
    return True
