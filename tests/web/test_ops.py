from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from proxy.domain.identity import VirtualKey
from proxy.domain.keys import HashedKey, HashedKeys, key_hash
from proxy.web import ops
from proxy.web.ops import Operations

SECRET = b"0123456789abcdef"
KEY = HashedKey(
    digest=bytes.fromhex(key_hash("plk_known", SECRET).partition(":")[2]),
    key=VirtualKey(alias="web-app", allow=("*",)),
)
OPERATIONS = Operations(
    version="1.2.3",
    config_digest=lambda: "abc",
    problems=lambda: (),
    render_metrics=lambda: b"promptlane_calls_total 1\n",
    keyring=lambda: HashedKeys([KEY], SECRET),
    admin_token="an-admin-token",
    is_loopback=False,
)


def request(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", {name.replace("_", "-"): value for name, value in headers.items()})


def told(response: web.Response) -> Any:
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


async def test_health_is_that_the_process_answers() -> None:
    response = await ops.health(request(), replace(OPERATIONS, problems=lambda: ("draining",)))
    assert (response.status, told(response)) == (200, {"status": "ok", "version": "1.2.3"})


@pytest.mark.parametrize(
    ("problems", "status", "state"),
    [
        ((), 200, "ready"),
        (("disk_full",), 200, "degraded"),
        (("draining",), 503, "draining"),
        (("delivery", "draining"), 503, "draining"),
    ],
)
async def test_ready_is_that_calls_are_taken(problems: Sequence[str], status: int, state: str) -> None:
    response = await ops.ready(request(), replace(OPERATIONS, problems=lambda: problems))
    assert (response.status, told(response)) == (status, {"status": state})


async def test_version_names_the_code_and_the_configuration_of_the_moment() -> None:
    digests = iter(("before", "after"))
    operations = replace(OPERATIONS, config_digest=lambda: next(digests))
    assert told(await ops.version(request(), operations)) == {"version": "1.2.3", "config": "before"}
    assert told(await ops.version(request(), operations)) == {"version": "1.2.3", "config": "after"}


@pytest.mark.parametrize("token", ["an-admin-token", "plk_known"])
async def test_metrics_are_shown_to_who_holds_a_key(token: str) -> None:
    response = await ops.metrics(request(Authorization=f"Bearer {token}"), OPERATIONS)
    assert (response.status, response.body) == (200, b"promptlane_calls_total 1\n")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer plk_unknown"},
        {"Authorization": "Bearer an-admin-token-and-more"},
        {"Host": "127.0.0.1:4000"},
    ],
)
async def test_metrics_are_hidden_from_others(headers: dict[str, str]) -> None:
    response = await ops.metrics(request(**headers), OPERATIONS)
    assert response.status == 401
    assert isinstance(response.body, bytes)
    assert b"promptlane_calls" not in response.body


async def test_an_admin_token_that_is_not_set_matches_nothing() -> None:
    assert (await ops.metrics(request(Authorization="Bearer "), replace(OPERATIONS, admin_token=""))).status == 401
    assert (await ops.metrics(request(), replace(OPERATIONS, admin_token=None))).status == 401


@pytest.mark.parametrize("host", ["localhost:4000", "localhost", "LocalHost", "127.0.0.1:4000", "[::1]:4000", "[::1]"])
async def test_metrics_on_loopback_need_no_key(host: str) -> None:
    assert (await ops.metrics(request(Host=host), replace(OPERATIONS, is_loopback=True))).status == 200


@pytest.mark.parametrize("host", ["rebound.test", "rebound.test:4000", "127.0.0.1.rebound.test", "[::1].test"])
async def test_a_page_that_rebinds_its_name_to_loopback_reads_no_metrics(host: str) -> None:
    assert (await ops.metrics(request(Host=host), replace(OPERATIONS, is_loopback=True))).status == 401
