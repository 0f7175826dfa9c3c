"""Calls that one of PostHog's own wrappers captures too.

The journal knows of wrappers that name themselves on the wire; PostHog knows of all that were captured, and where each
says it called. Wrappers for Gemini name Google's address even when they call here, and callbacks of LangChain may name
none: of those nobody can tell.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import apsw
import orjson

from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.schema import Unusable
from proxy.adapters.probe import Answer, Prober, Question
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.cli.doctor.posthog import Project
from proxy.cli.doctor.reach import explain
from proxy.config.presets import PRESETS
from proxy.domain.double_capture import WARNING

_BY_CALLS, _BY_POSTHOG = "captured twice, by the calls", "captured twice, by PostHog"
DAY_S = 86_400.0
_PLAIN_HOST = re.compile(r"[a-z0-9.-]{1,100}(:[0-9]{1,5})?|\[[0-9a-f:]{2,45}\](:[0-9]{1,5})?")
LOOKED_AT = 10_000
"""Calls of each journal, the newest."""
_ONE_CAPTURE_POINT = (
    "remove the wrapper from the app, or write `families: {ai: false}` into analytics.yaml; "
    "see docs/migrating-from-posthog-wrappers.md"
)


def place(address: object) -> str:
    """Host and port of an address, in lower case; "" where there is none, or none that could be shown."""
    try:
        name = urlsplit(address).netloc.rpartition("@")[2].lower() if isinstance(address, str) else ""
    except ValueError:
        return ""
    return name if _PLAIN_HOST.fullmatch(name) else ""


@dataclass(frozen=True, slots=True)
class Calls:
    """Of the last day, as far as they were looked at."""

    seen: int
    wrapped: int


def look(data_dir: Path, now_s: float) -> Calls:
    """Into the store of each journal; one that cannot be read has nothing to say here."""
    seen = wrapped = 0
    for path in journal_files(data_dir):
        try:
            with JournalReader(path) as reader:
                records = [c.record for c in reader.latest(LOOKED_AT) if c.ended_unix_us / 1e6 > now_s - DAY_S]
        except (Unusable, apsw.Error, OSError):
            continue
        seen += len(records)
        wrapped += sum(map(_is_wrapped, records))
    return Calls(seen, wrapped)


def _is_wrapped(record: bytes) -> bool:
    return WARNING.encode() in record and WARNING in orjson.loads(record)["properties"].get("analytics_warnings", ())


def by_journal(calls: Calls) -> Finding:
    """What the wire showed."""
    if not calls.seen:
        return skip(_BY_CALLS, "no call in the last day", "look again when there was traffic")
    if calls.wrapped:
        found = f"{calls.wrapped:,} of {calls.seen:,} calls of the last day came through a wrapper of PostHog's"
        return warn(_BY_CALLS, found, _ONE_CAPTURE_POINT)
    return ok(_BY_CALLS, f"none of {calls.seen:,} calls of the last day shows a wrapper; most do not show")


async def ask(prober: Prober, project: Project, ours: Collection[str], elsewhere: Collection[str]) -> Finding:
    """PostHog, about what others captured. `ours`: where apps reach this proxy; `elsewhere`: other places they call."""
    if project.personal_key is None or not project.has_project_id:
        found = "not asked: POSTHOG_PERSONAL_API_KEY or POSTHOG_PROJECT_ID is not set"
        return skip(_BY_POSTHOG, found, "set both: Python's wrappers and most others can only be seen there")
    question = Question(
        method="POST",
        url=f"{project.app_host}/api/projects/{project.project_id}/query/",
        headers={"Authorization": f"Bearer {project.personal_key}"},
        document={"query": {"kind": "HogQLQuery", "query": QUERY}, "name": "promptlane doctor"},
    )
    return by_posthog(await prober.ask(question), ours, elsewhere)


def unasked() -> Finding:
    """Offline."""
    advice = "add --online, with a personal key: Python's wrappers and most others can only be seen there"
    return skip(_BY_POSTHOG, "not asked", advice)


QUERY = (
    "SELECT properties.$lib AS lib, properties.$ai_base_url AS base_url, count() AS calls FROM events "
    "WHERE event IN ('$ai_generation', '$ai_embedding') AND timestamp >= now() - INTERVAL 1 DAY "
    "AND coalesce(properties.$lib, '') != 'promptlane' GROUP BY lib, base_url ORDER BY calls DESC LIMIT 100"
)
"""Generations of the last day that others than we captured, by who did and where each says it called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Generations that others captured, by where they went."""

    here: int = 0
    untold: int = 0
    """No address, or that of Google's API, which is also named by calls that come here."""
    unknown: int = 0
    """At hosts of which we do not know whether they are this proxy by another name."""
    hosts: Sequence[str] = ()
    """Those hosts, the busiest first."""


_GOOGLE = "generativelanguage.googleapis.com"
PROVIDERS = frozenset(place(preset.base_url) for preset in PRESETS.values() if preset.base_url)
"""Where calls go that do not come here."""


def sort_out(answer: Answer, ours: Collection[str], elsewhere: Collection[str]) -> Others | None:
    """From the reply to `QUERY`; None where it has another form. The places are as `place` gives them."""
    rows = answer.member("results")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        return None
    calls_to: Counter[str] = Counter()
    for _, base_url, calls in rows:
        calls_to[place(base_url)] += calls if isinstance(calls, int) else 0
    here = sum(calls_to.pop(name, 0) for name in ours)
    untold = calls_to.pop("", 0) + calls_to.pop(_GOOGLE, 0)
    unknown = {name: calls for name, calls in calls_to.items() if name not in elsewhere}
    return Others(
        here=here,
        untold=untold,
        unknown=sum(unknown.values()),
        hosts=sorted(unknown, key=unknown.__getitem__, reverse=True),
    )


def by_posthog(answer: Answer, ours: Collection[str], elsewhere: Collection[str]) -> Finding:
    """What PostHog says was captured by others."""
    if answer.failure is not None:
        return fail(_BY_POSTHOG, *explain(answer.failure))
    others = sort_out(answer, ours, elsewhere)
    if others is None:
        advice = "the personal key needs the scope query:read for the project in POSTHOG_PROJECT_ID"
        return warn(_BY_POSTHOG, f"PostHog does not say ({answer.status})", advice)
    if others.here:
        found = f"{others.here:,} generations of the last day that came here were captured by a wrapper too"
        return warn(_BY_POSTHOG, found, _ONE_CAPTURE_POINT)
    if others.unknown:
        shown = ", ".join(others.hosts[:3])
        advice = f"if that is this proxy: {_ONE_CAPTURE_POINT}; --url names the address by which apps call it"
        return warn(
            _BY_POSTHOG, f"{others.unknown:,} generations of the last day that others captured went to {shown}", advice
        )
    if others.untold:
        found = f"{others.untold:,} generations of the last day were captured without a word on whether they came here"
        advice = f"are they of an app that calls here, through LangChain or to Gemini? Then {_ONE_CAPTURE_POINT}"
        return warn(_BY_POSTHOG, found, advice)
    return ok(_BY_POSTHOG, "none of the last day's generations that others captured came here")
