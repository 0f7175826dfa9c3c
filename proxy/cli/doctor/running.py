"""The proxy that runs, asked at its own address: whether it takes calls, and with which configuration."""

from urllib.parse import urlsplit

from proxy.adapters.probe import Answer, Prober, Question, ask_all
from proxy.cli.doctor.configured import LOOPBACK
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.cli.doctor.reach import explain

TITLE = "running proxy"


def is_here(url: str) -> bool:
    """True for an address of this machine alone, told without asking for a name."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def unasked(url: str | None) -> Finding:
    """Not asked: no address was given, or it is another machine's."""
    if url is None:
        return skip(TITLE, "not asked", "name it with --url, such as http://127.0.0.1:4000")
    return skip(TITLE, f"{url} is not on this machine", "add --online")


async def ask(prober: Prober, url: str, digest: str) -> Finding:
    """`digest` is that of the configuration on disk."""
    answers = await ask_all(prober, {path: Question(url=url + path) for path in ("/readyz", "/version")})
    return read(url, answers["/readyz"], answers["/version"], digest)


def read(url: str, ready: Answer, version: Answer, digest: str) -> Finding:
    """What it says of itself."""
    if ready.failure is not None:
        return fail(TITLE, f"{url}: {explain(ready.failure)[0]}", explain(ready.failure)[1])
    runs = version.document if isinstance(version.document, dict) else {}
    if "config" not in runs or ready.status not in (200, 503):
        return fail(
            TITLE, f"what answers at {url} is not Promptlane", "check the port; promptlane says it at its start"
        )
    if ready.status == 503:
        return warn(TITLE, f"{url} drains: it is about to stop", "start it again if nobody does")
    if isinstance(ready.document, dict) and ready.document.get("status") != "ready":
        return warn(
            TITLE, f"{url} takes calls, and its analytics is in trouble", "the findings above, and its log, say why"
        )
    if runs["config"] != digest:
        return warn(
            TITLE,
            f"{url} runs another configuration than these files",
            "name its --config; or it refused a change: its log says why",
        )
    return ok(TITLE, f"{url} takes calls, with this configuration")
