"""The process handling itself; what is served is tested end to end."""

from pathlib import Path

import pytest

from tests.harness.client import RawClient
from tests.harness.serve import NotReady, Served

GET_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def test_tells_why_a_server_did_not_start(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"routing\.yaml"):
        await Served(tmp_path, {}, routing={"version": 1, "unknown": True}).start()


async def test_kills_and_starts_again_on_the_same_port(tmp_path: Path) -> None:
    async with Served(tmp_path, {}) as served:
        port, first = served.port, served.pid
        await served.kill()
        assert served.exit_code == -9
        with pytest.raises(ConnectionRefusedError):
            await RawClient(port).__aenter__()
        await served.start()
        assert (served.port, served.pid != first) == (port, True)
        async with RawClient(port) as client:
            await client.send(GET_HEALTH)
            assert (await client.reply("GET")).status == 200
        assert served.resident_bytes() > 1 << 20
        assert await served.terminate() == 0


async def test_keeps_the_developers_environment_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_of_the_developer")
    async with Served(tmp_path, {}) as served:
        assert b"no POSTHOG_API_KEY" in served.stdout


async def test_runs_another_verb(tmp_path: Path) -> None:
    code, output, _ = await Served(tmp_path, {}).run_verb("--version")
    assert (code, output.split()[0]) == (0, b"promptlane")
