"""The way to the provider is bad (fault rows 41 and 42): certificates, handshakes, a slow and sliced line."""

from pathlib import Path

import pytest

from tests.harness.bed import UPSTREAM_CLIENTS, Bed, chat
from tests.harness.certs import Authority
from tests.harness.client import Ending, Plan
from tests.harness.provider import ScriptedProvider
from tests.harness.toxic import ToxicProxy

pytestmark = pytest.mark.parametrize("client", UPSTREAM_CLIENTS)


def routing(provider_url: str) -> object:
    """A handshake that stalls is given up long before a reply would be."""
    openai = {"kind": "openai", "base_url": f"{provider_url}/v1", "credentials": "passthrough"}
    return {"version": 1, "providers": {"openai": {**openai, "timeouts": {"connect_s": 0.4, "first_byte_s": 5}}}}


@pytest.mark.parametrize(
    ("fault", "fate"),
    [
        ("expired", ("error", "upstream_tls", "connect")),
        ("wrong host", ("error", "upstream_tls", "connect")),
        ("unknown authority", ("error", "upstream_tls", "connect")),
        ("stalls", ("timeout", "timeout_connect", "connect")),
    ],
)
async def test_41_tls_failures_send_nothing(
    tmp_path: Path, client: str, fault: str, fate: tuple[str, str, str]
) -> None:
    authority = Authority(tmp_path)
    contexts = {
        "expired": authority.server_context(is_expired=True),
        "wrong host": authority.server_context(host="other.test"),
        "unknown authority": authority.server_context(),
        "stalls": None,
    }
    trust = {} if fault == "unknown authority" else {"SSL_CERT_FILE": str(authority.ca_file)}
    async with ScriptedProvider(tls=contexts[fault]) as away:
        secure = routing(away.url.replace("http://", "https://"))
        async with Bed(tmp_path / "bed", environment=trust, routing=secure, upstream_client=client) as bed:
            outcome = await bed.outcome(Plan(body=chat()))
            assert outcome.call.status == (504 if fault == "stalls" else 502)
            assert outcome.fate == fate
    assert away.ledger == []


async def test_41_a_trusted_certificate_works(tmp_path: Path, client: str) -> None:
    authority = Authority(tmp_path)
    async with ScriptedProvider(tls=authority.server_context()) as away:
        environment = {
            "OPENAI_UPSTREAM_URL": f"https://127.0.0.1:{away.port}/v1",
            "SSL_CERT_FILE": str(authority.ca_file),
        }
        async with Bed(tmp_path / "bed", environment=environment, upstream_client=client) as bed:
            assert (await bed.outcome(Plan(body=chat(stream=True)))).call.status == 200


async def test_42_a_slow_and_sliced_way_changes_no_byte(tmp_path: Path, client: str) -> None:
    async with ScriptedProvider() as away, ToxicProxy(away.port) as toxic:
        toxic.down.slice_bytes = 100
        toxic.down.rate_bytes_per_s = 40_000
        environment = {"OPENAI_UPSTREAM_URL": f"{toxic.url}/v1"}
        async with Bed(tmp_path, environment=environment, upstream_client=client) as bed:
            slow = await bed.client.call(Plan(body=chat(stream=True), script="words:40"))
            toxic.down.slice_bytes = toxic.down.rate_bytes_per_s = None
            fast = await bed.client.call(Plan(body=chat(stream=True), script="words:40"))
    assert slow.ending is Ending.COMPLETE
    assert (slow.body_sha256, slow.body_bytes) == (fast.body_sha256, fast.body_bytes)
