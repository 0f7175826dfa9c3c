"""From the printed link to the page of a trace: a whole worker with a child process of its own."""

from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession, CookieJar

from proxy.app import App, Settings, login_link
from proxy.config.load import load
from tests.pages.seeding import seed


async def test_the_printed_link_opens_the_pages_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (trace_id, *_) = seed(data, calls=3, end=datetime.now(UTC)).traces
    settings = Settings(host="127.0.0.1", port=0, data_dir=data, secret=b"0123456789abcdef")
    app = App(load(tmp_path / "config", tmp_path / "pricing.yaml", {}), settings)
    await app.start()
    try:
        link = login_link(app.address, settings.seal)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as reader:
            async with reader.get(link) as traffic:
                assert (traffic.status, traffic.url.path) == (200, "/ui/traffic")
            async with reader.get(f"{app.address}/ui/traces/{trace_id}") as trace:
                assert trace_id in await trace.text()
        async with ClientSession() as another, another.get(link) as refused:
            assert refused.status == 403
    finally:
        await app.stop()
