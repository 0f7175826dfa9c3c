"""One event without content, sent the way all events go, for an operator who wants to see one arrive."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import orjson

from proxy import __version__
from proxy.adapters.journal import OutboxRow
from proxy.adapters.posthog_capture import Answer, Capture, PostHogSettings
from proxy.adapters.posthog_reply import Trouble
from proxy.cli.doctor.finding import Finding, fail, ok, skip
from proxy.domain.policy import Destination

NAME = "promptlane_doctor"
TITLE = "test event"


def body(uuid: str, now_s: float) -> bytes:
    """As it would stand in the journal. It makes no person."""
    properties = {
        "$lib": "promptlane",
        "$lib_version": __version__,
        "$process_person_profile": False,
        "$geoip_disable": True,
        "$ignore_sent_at": True,
    }
    timestamp = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds")
    return orjson.dumps(
        {"event": NAME, "distinct_id": NAME, "uuid": uuid, "timestamp": timestamp, "properties": properties}
    )


async def send(destination: Destination, wall_unix_s: Callable[[], float]) -> Finding:
    """Send one, over the path that the proxy would take, and say what became of it."""
    if destination.api_key is None:
        return skip(TITLE, "not sent: there is no POSTHOG_API_KEY", "set it first")
    uuid, now_s = str(uuid4()), wall_unix_s()
    sent = body(uuid, now_s)
    row = OutboxRow(uuid, "", NAME, len(sent), int(now_s * 1e6), attempts=0, body=sent)
    settings = PostHogSettings(
        host=destination.host, api_key=destination.api_key, capture=destination.capture, gzip=destination.gzip
    )
    capture = Capture(settings, wall_unix_s)
    try:
        answer = await capture.post([row], is_historical=False, attempt=1)
        if answer.status == 404 and capture.is_v1:
            capture.is_v1 = False
            answer = await capture.post([row], is_historical=False, attempt=2)
    finally:
        await capture.close()
    return read(uuid, answer)


_ADVICE: dict[Trouble, str] = {
    Trouble.UNREACHABLE: "see what the lines above say of the host",
    Trouble.SERVER_ERROR: "try again; events wait in the outbox meanwhile",
    Trouble.RATE_LIMITED: "try again later; events wait in the outbox meanwhile",
    Trouble.UNAUTHORIZED: "copy the project key again: Settings → Project",
    Trouble.NOT_FOUND: "POSTHOG_HOST is scheme and host of where events go, without a path",
    Trouble.REDIRECTED: "set POSTHOG_HOST to where it redirects to",
    Trouble.REJECTED: "see that POSTHOG_HOST is PostHog's",
    Trouble.TOO_LARGE: "something before PostHog limits bodies: see its settings",
    Trouble.UNREADABLE: "what answered is not PostHog: a captive portal, or a proxy in between?",
}


def read(uuid: str, answer: Answer) -> Finding:
    """What became of it."""
    outcome = answer.outcome
    find_it = f"find it under Activity as {NAME}, uuid {uuid}; it may take a minute"
    if outcome.verified:
        return ok(TITLE, "taken", find_it)
    if outcome.unverified:
        return ok(TITLE, "accepted; this way of capture does not say whether it is kept", find_it)
    if "quota" in outcome.dead:
        return fail(TITLE, "PostHog's quota of events is used up", "raise the limit in PostHog's billing")
    if outcome.trouble is None:
        return fail(TITLE, "refused by name", "are events filtered or dropped by the project's settings?")
    status = "" if answer.status is None else f" ({answer.status})"
    return fail(TITLE, f"not taken: {outcome.trouble.value.replace('_', ' ')}{status}", _ADVICE[outcome.trouble])
