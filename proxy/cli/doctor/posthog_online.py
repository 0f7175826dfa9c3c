"""What PostHog says of host, keys and project. Nothing is stored there and no flag is evaluated.

The project key is tried at `/flags/` with `disable_flags`, which looks the key up and does no more; capture is asked
with an empty batch, which it refuses as such. Reading the flag definitions is the one thing that PostHog counts: as
ten flag requests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from proxy.adapters.posthog_capture import V0_PATH, V1_PATH
from proxy.adapters.probe import Answer, Prober, Question, ask_all
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.cli.doctor.posthog import REGIONS, Project
from proxy.cli.doctor.reach import explain

SCOPES = {
    "dashboard:write": "dashboards",
    "insight:write": "dashboards",
    "query:read": "reports, and the look for calls that are counted twice",
    "feature_flag:read": "flag definitions",
}
"""What a personal key must be allowed to do, and what for."""
_KEY, _CAPTURE, _DEFINITIONS, _SCOPES, _PROJECT = "project key", "capture", "flag definitions", "scopes", "project"
_NEW_PERSONAL_KEY = "make a personal API key in the region of this project and put it into POSTHOG_PERSONAL_API_KEY"
_LATER = "try again; if it stays so, look at PostHog's status page"


@dataclass(frozen=True, slots=True)
class Check:
    """A question, and what a reply to it means."""

    title: str
    host: str
    question: Question
    read: Callable[[Answer, Project], Finding]


def unasked() -> list[Finding]:
    """Offline."""
    return [skip("keys and endpoints", "not tried", "add --online: PostHog is asked, and nothing is stored there")]


async def ask(prober: Prober, project: Project) -> tuple[list[Finding], list[Answer]]:
    """What PostHog says, and the answers themselves. A project key that is refused is tried in the other region."""
    checks = list(_checks(project))
    if not checks:
        return [skip("keys and endpoints", "not tried: there is no key", "set POSTHOG_API_KEY first")], []
    answers = await ask_all(prober, {check.title: check.question for check in checks})
    found = list(_read(checks, answers, project))
    key_answer = answers.get(_KEY)
    if key_answer is not None and key_answer.status == 401 and project.other_host is not None:
        elsewhere = await prober.ask(_key_question(project.other_host, project))
        found = [belongs_to(project, elsewhere) if finding.title == _KEY else finding for finding in found]
    return found, list(answers.values())


def _read(checks: list[Check], answers: Mapping[str, Answer], project: Project) -> Iterator[Finding]:
    """One finding for each host that is silent, then one for each reply."""
    silent = {check.host: failure for check in checks if (failure := answers[check.title].failure) is not None}
    for host, failure in silent.items():
        yield fail(host, *explain(failure))
    for check in checks:
        if answers[check.title].failure is None:
            yield check.read(answers[check.title], project)


def _checks(project: Project) -> Iterator[Check]:
    """What the keys at hand allow to ask."""
    if project.api_key is not None:
        yield Check(_KEY, project.host, _key_question(project.host, project), project_key)
        yield Check(_CAPTURE, project.host, _capture_question(project), capture)
        if secret := project.secret_key or project.personal_key:
            url = f"{project.host}/flags/definitions?token={project.api_key}"
            yield Check(_DEFINITIONS, project.host, Question(url=url, headers=_bearer(secret)), definitions)
    if project.personal_key is not None:
        headers, app = _bearer(project.personal_key), project.app_host
        yield Check(_SCOPES, app, Question(url=f"{app}/api/personal_api_keys/@current/", headers=headers), scopes)
        if project.has_project_id:
            url = f"{app}/api/projects/{project.project_id}/"
            yield Check(_PROJECT, app, Question(url=url, headers=headers), same_project)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _key_question(host: str, project: Project) -> Question:
    return Question(method="POST", url=f"{host}/flags/?v=2", document={"token": project.api_key, "disable_flags": True})


def _capture_question(project: Project) -> Question:
    if project.capture == "v1":
        headers = _bearer(project.api_key or "")
        return Question(method="POST", url=project.host + V1_PATH, headers=headers, document={"batch": []})
    return Question(method="POST", url=project.host + V0_PATH, document={"api_key": project.api_key, "batch": []})


def project_key(answer: Answer, project: Project) -> Finding:
    """Whether the host knows the key. Only 401 says no."""
    if answer.is_good:
        return ok(_KEY, f"known at {project.host}")
    if answer.status == 401:
        advice = "copy the project key again (Settings → Project), and see that POSTHOG_HOST is the project's host"
        return fail(_KEY, f"{project.host} does not know it", advice)
    found = f"{project.host} does not say whether it knows it ({answer.status})"
    return warn(_KEY, found, "an older self-hosted PostHog? --send-test-event shows whether events are taken")


def belongs_to(project: Project, elsewhere: Answer) -> Finding:
    """`elsewhere`: what the other region says of a key that is not known here."""
    assert project.other_host is not None
    here, there = REGIONS.get(project.host, "this host"), REGIONS.get(project.other_host, "the other region")
    if elsewhere.is_good:
        return fail(_KEY, f"it belongs to {there}, not to {here}", f"set POSTHOG_HOST={project.other_host}")
    found = f"{project.host} does not know it" + (f", nor does {there}" if elsewhere.status == 401 else "")
    return fail(_KEY, found, "copy the project key again: Settings → Project")


def capture(answer: Answer, project: Project) -> Finding:
    """An empty batch is refused where batches are taken."""
    path = V1_PATH if project.capture == "v1" else V0_PATH
    status = answer.status or 0
    if answer.is_good or status == 400:
        return ok(_CAPTURE, f"{path} takes events")
    if status in (401, 403):
        advice = "copy the project key again (Settings → Project)"
        return fail(_CAPTURE, f"{path} refuses the project key ({status})", advice)
    if status in (404, 405) and project.capture == "v1":
        found = f"{path} is not there; events go to {V0_PATH} instead, which names no event that it refuses"
        return warn(_CAPTURE, found, "write `posthog: {capture: batch}` into analytics.yaml, or update PostHog")
    if status in (404, 405) or 300 <= status < 400:
        advice = "POSTHOG_HOST is scheme and host of where events go, without a path; redirects are not followed"
        return fail(_CAPTURE, f"{path} is not there ({status})", advice)
    return warn(_CAPTURE, f"{path} answers {status}", f"{_LATER}; events wait in the outbox meanwhile")


def definitions(answer: Answer, project: Project) -> Finding:
    """Whether flags can be evaluated here."""
    variable = "POSTHOG_SECRET_KEY" if project.secret_key else "POSTHOG_PERSONAL_API_KEY"
    match answer.status:
        case _ if answer.is_good:
            return ok(_DEFINITIONS, f"readable with {variable}")
        case 401:
            advice = "see first that the project key is known; then put that project's secret key into the variable"
            return fail(_DEFINITIONS, f"the key in {variable} is refused (401)", advice)
        case 402:
            return warn(
                _DEFINITIONS, "the quota of flag requests is used up (402)", "raise the limit in PostHog's billing"
            )
        case 403:
            return fail(_DEFINITIONS, f"the key in {variable} may not (403)", "give it the scope feature_flag:read")
        case 404:
            return warn(_DEFINITIONS, "not at this host (404)", "update PostHog, or do without flags evaluated here")
        case 429:
            return warn(
                _DEFINITIONS, "asked too often (429)", "PostHog allows 600 a minute: who else asks with this key?"
            )
    return warn(_DEFINITIONS, f"PostHog answers {answer.status}", _LATER)


def scopes(answer: Answer, _: Project) -> Finding:
    """What the personal key may do. A write scope includes reading."""
    if answer.status == 401:
        return fail(_SCOPES, "the personal key is refused (401)", _NEW_PERSONAL_KEY)
    listed = answer.member("scopes")
    if not isinstance(listed, list):
        return warn(_SCOPES, f"PostHog does not tell them ({answer.status})", f"see that they are {', '.join(SCOPES)}")
    missing = [scope for scope in SCOPES if not {"*", scope, scope.replace(":read", ":write")}.intersection(listed)]
    if not missing:
        return ok(_SCOPES, "the personal key has all that is needed")
    uses = "; ".join(f"{scope} (for {SCOPES[scope]})" for scope in missing)
    return warn(_SCOPES, f"the personal key lacks {uses}", "add them to the key: Settings → Personal API keys")


def same_project(answer: Answer, project: Project) -> Finding:
    """Whether number and key mean one project."""
    if answer.status == 401:
        return fail(_PROJECT, "the personal key is refused (401)", _NEW_PERSONAL_KEY)
    if answer.status in (403, 404):
        advice = "give the key access to the project and the scope project:read, or correct POSTHOG_PROJECT_ID"
        return warn(_PROJECT, f"the personal key does not see project {project.project_id} ({answer.status})", advice)
    token = answer.member("api_token")
    if not isinstance(token, str):
        return warn(_PROJECT, f"PostHog does not tell its key ({answer.status})", _LATER)
    if project.api_key is None:
        return ok(_PROJECT, f"{project.project_id} is there")
    if token == project.api_key:
        return ok(_PROJECT, f"{project.project_id} is the one that events go to")
    advice = "set both from one project, or dashboards and reports will not see the events"
    return fail(_PROJECT, f"POSTHOG_PROJECT_ID {project.project_id} and POSTHOG_API_KEY are two projects", advice)
