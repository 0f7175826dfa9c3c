"""Each provider: whether it is reached, and whether it takes our key. It is asked for its models, which is free."""

from collections.abc import Iterable, Iterator

from proxy.adapters.probe import Answer, Prober, Question, ask_all
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.cli.doctor.reach import explain
from proxy.domain.headers import key_header
from proxy.domain.routing import Provider

_LISTS = {
    "openai": "/models",
    "anthropic": "/v1/models",
    "gemini": "/v1beta/models",
    "azure_openai": "/models",
}
"""Below `base_url`, by kind."""
_REFUSALS = {"gemini": (400, 401, 403)}
"""Gemini calls a key that it does not know a bad argument."""
_ASKED_TO_WAIT = 429


def unasked(providers: Iterable[Provider]) -> list[Finding]:
    """Offline."""
    names = ", ".join(provider.name for provider in providers)
    return [skip("providers", f"{names} not asked", "add --online: it asks each for its list of models, which is free")]


async def ask(prober: Prober, providers: Iterable[Provider]) -> tuple[list[Finding], list[Answer]]:
    """What each provider is worth, and the answers themselves."""
    providers = list(providers)
    questions = {name: question for provider in providers for name, question in _questions(provider)}
    answers = await ask_all(prober, questions)
    found = [read(provider, answers[provider.name], answers.get(_keyless(provider))) for provider in providers]
    return found, list(answers.values())


def _questions(provider: Provider) -> Iterator[tuple[str, Question]]:
    """With our key where there is one, and also without it: some lists are open, and say nothing of a key."""
    path = _LISTS[provider.kind]
    base = provider.base_url.removesuffix("/v1") if path.startswith("/v1/") else provider.base_url
    headers = {"anthropic-version": "2023-06-01"} if provider.kind == "anthropic" else {}
    if provider.api_key is not None:
        yield _keyless(provider), Question(url=base + path, headers=headers)
        headers = dict([*headers.items(), key_header(provider.kind, provider.api_key)])
    yield provider.name, Question(url=base + path, headers=headers)


def _keyless(provider: Provider) -> str:
    return f"{provider.name} without a key"


def read(provider: Provider, answer: Answer, keyless: Answer | None) -> Finding:
    """`keyless` is the answer to the same question without our key; None where we have none."""
    title = f"{provider.name} ({provider.base_url})"
    if answer.failure is not None:
        return fail(title, *explain(answer.failure))
    assert answer.status is not None
    if (trouble := _trouble(answer.status)) is not None:
        return warn(title, f"reached; it answers {answer.status}", trouble)
    if keyless is None and answer.status in (404, 405):
        return _no_list(title, answer)
    if keyless is None:
        return ok(title, f"reached; callers bring their own key ({answer.status} without one)")
    return _with_key(title, provider, answer, keyless)


def _trouble(status: int) -> str | None:
    if 300 <= status < 400:
        return "set `base_url` to where it redirects to: the proxy follows no redirects"
    if status >= 500:
        return "it has trouble of its own: try again, and look at its status page"
    if status == _ASKED_TO_WAIT:
        return "its limits are used up for now, by this key or this address"
    return None


def _with_key(title: str, provider: Provider, answer: Answer, keyless: Answer) -> Finding:
    variable = provider.key_env or "key_env"
    if answer.status in _REFUSALS.get(provider.kind, (401, 403)):
        advice = f"put a valid key into {variable}, and see that it may list models if it is restricted"
        return fail(title, f"reached, and the key in {variable} is refused ({answer.status})", advice)
    if not answer.is_good:
        return _no_list(title, answer)
    if keyless.is_good:
        return ok(title, f"reached; its list of models is open to all, so the key in {variable} was not tried")
    return ok(title, f"reached, and the key in {variable} is taken")


def _no_list(title: str, answer: Answer) -> Finding:
    advice = "if calls fail too, check `base_url`: it is as an SDK would have it"
    return warn(title, f"reached; there is no list of models at this address ({answer.status})", advice)
