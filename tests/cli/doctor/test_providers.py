from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from proxy.adapters.probe import Answer, Failure, Prober
from proxy.cli.doctor import providers
from proxy.domain.endpoints import Dialect
from proxy.domain.routing import Provider

OPEN = Provider(name="openai", label="openai", kind="openai", dialect=Dialect.OPENAI, base_url="https://h/v1")
OURS = replace(OPEN, name="ours", api_key="hidden", key_env="OURS_KEY")
GEMINI = replace(OURS, kind="gemini", dialect=Dialect.GEMINI)
REFUSED = Answer(status=401)


@pytest.mark.parametrize(
    ("provider", "answer", "keyless", "state", "said"),
    [
        (OPEN, Answer(status=401), None, "ok", "callers bring their own key (401 without one)"),
        (OPEN, Answer(status=200), None, "ok", "reached"),
        (OPEN, Answer(status=404), None, "warn", "there is no list of models at this address (404)"),
        (OPEN, Answer(status=301), None, "warn", "answers 301"),
        (OPEN, Answer(status=503), None, "warn", "answers 503"),
        (OPEN, Answer(failure=Failure.DNS), None, "fail", "its name does not resolve"),
        (OURS, Answer(status=200), REFUSED, "ok", "the key in OURS_KEY is taken"),
        (OURS, Answer(status=200), Answer(status=200), "ok", "was not tried"),
        (OURS, Answer(status=200), Answer(failure=Failure.BROKEN), "ok", "is taken"),
        (OURS, Answer(status=401), REFUSED, "fail", "the key in OURS_KEY is refused (401)"),
        (OURS, Answer(status=403), REFUSED, "fail", "refused (403)"),
        (OURS, Answer(status=400), REFUSED, "warn", "no list of models at this address (400)"),
        (GEMINI, Answer(status=400), REFUSED, "fail", "refused (400)"),
        (OURS, Answer(status=404), REFUSED, "warn", "no list of models at this address (404)"),
        (OURS, Answer(status=429), REFUSED, "warn", "answers 429"),
        (OURS, Answer(failure=Failure.CERTIFICATE_UNTRUSTED), REFUSED, "fail", "nobody whom this machine trusts"),
    ],
)
def test_what_an_answer_says(provider: Provider, answer: Answer, keyless: Answer | None, state: str, said: str) -> None:
    finding = providers.read(provider, answer, keyless)
    assert finding.title == f"{provider.name} (https://h/v1)"
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"
    assert "hidden" not in repr(finding)


async def test_each_kind_is_asked_for_its_models_in_its_own_way() -> None:
    asked: set[tuple[str, str | None]] = set()

    async def handler(request: web.BaseRequest) -> web.Response:
        keys = ("Authorization", "x-api-key", "x-goog-api-key", "api-key")
        asked.add(
            (request.path, next((f"{name}: {request.headers[name]}" for name in keys if name in request.headers), None))
        )
        assert ("anthropic-version" in request.headers) == request.path.startswith("/anthropic")
        return web.json_response({}, status=200 if any(name in request.headers for name in keys) else 401)

    async with RawTestServer(handler) as server, Prober(lambda: 0.0) as prober:
        base = str(server.make_url("/"))
        table = [
            replace(OURS, name="a", base_url=f"{base}openai/v1"),
            replace(OPEN, name="b", base_url=f"{base}open/v1"),
            replace(OURS, name="c", kind="anthropic", base_url=f"{base}anthropic"),
            replace(OURS, name="d", kind="anthropic", base_url=f"{base}anthropic2/v1"),
            replace(GEMINI, name="e", base_url=f"{base}gemini"),
            replace(OURS, name="f", kind="azure_openai", base_url=f"{base}azure/openai/v1"),
        ]
        found, answers = await providers.ask(prober, table)
    with_keys = {(path, key) for path, key in asked if key}
    assert with_keys == {
        ("/openai/v1/models", "Authorization: Bearer hidden"),
        ("/anthropic/v1/models", "x-api-key: hidden"),
        ("/anthropic2/v1/models", "x-api-key: hidden"),
        ("/gemini/v1beta/models", "x-goog-api-key: hidden"),
        ("/azure/openai/v1/models", "api-key: hidden"),
    }
    assert {path for path, key in asked if not key} == {path for path, _ in with_keys} | {"/open/v1/models"}
    assert [finding.state for finding in found] == ["ok"] * 6
    assert len(answers) == 11
    assert "hidden" not in repr((found, answers))


def test_offline_they_are_named() -> None:
    (finding,) = providers.unasked([OPEN, OURS])
    assert (finding.state, finding.found) == ("skip", "openai, ours not asked")
