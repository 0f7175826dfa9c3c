"""What the variables for PostHog say by their form alone. No value of a key is ever shown, not even in part."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.cli.doctor.configured import LOOPBACK
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.config.addresses import host_of, posthog_app_address

US, EU = "https://us.i.posthog.com", "https://eu.i.posthog.com"
REGIONS = {US: "US", EU: "EU"}
_PROJECT_KEY, _PERSONAL_KEY, _SECRET_KEY = "phc_", "phx_", "phs_"
_KINDS = {
    _PROJECT_KEY: "the project key",
    _PERSONAL_KEY: "a personal API key",
    _SECRET_KEY: "a project's secret key",
}
_WHERE = {
    _PROJECT_KEY: "Settings → Project → General",
    _PERSONAL_KEY: "Settings → Personal API keys",
    _SECRET_KEY: "Settings → Project → Feature flags",
}
_WEBSITES = ("posthog.com", "www.posthog.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where events go, and with which keys. `host` is the checked ingestion address."""

    host: str = US
    given_host: str | None = None
    """What POSTHOG_HOST says."""
    capture: str = "batch"
    api_key: str | None = field(default=None, repr=False)
    personal_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    project_id: str | None = None
    other_host: str | None = None
    """The other region's ingestion address, where there is one."""

    @property
    def app_host(self) -> str:
        """Where the private API is."""
        return posthog_app_address(self.host)

    @property
    def has_project_id(self) -> bool:
        """A number, as it may stand in a path."""
        return self.project_id is not None and self.project_id.isascii() and self.project_id.isdecimal()


def findings(project: Project) -> Iterator[Finding]:
    """One for each variable."""
    yield _project_key(project)
    yield _host(project)
    yield _key("POSTHOG_SECRET_KEY", project.secret_key, (_SECRET_KEY, _PERSONAL_KEY), "only for flag definitions")
    yield _key("POSTHOG_PERSONAL_API_KEY", project.personal_key, (_PERSONAL_KEY,), "only for dashboards and queries")
    yield _project_id(project)


def _project_key(project: Project) -> Finding:
    if project.api_key is None:
        advice = f"set it to the project key ({_PROJECT_KEY}…), which stands under {_WHERE[_PROJECT_KEY]}"
        return warn("POSTHOG_API_KEY", "not set: events stay in the outbox here", advice)
    return _key("POSTHOG_API_KEY", project.api_key, (_PROJECT_KEY,), "")


def _key(variable: str, value: str | None, kinds: tuple[str, ...], purpose: str) -> Finding:
    """`kinds` are the prefixes that may stand there, the best first."""
    wanted = f"{_KINDS[kinds[0]]} ({kinds[0]}…), under {_WHERE[kinds[0]]}"
    if not value:
        return skip(variable, f"not set; {purpose}", f"if that is wanted: {wanted}")
    kind = next((prefix for prefix in _KINDS if value.startswith(prefix)), None)
    if kind in kinds:
        return ok(variable, f"{_KINDS[kind]} by its form")
    if kind is not None:
        return fail(variable, f"{_KINDS[kind]} by its form", f"what belongs here is {wanted}")
    return warn(variable, "of no form that PostHog's keys have", f"what belongs here is {wanted}")


def _host(project: Project) -> Finding:
    host, name = project.host, host_of(project.host)
    if name in _WEBSITES:
        return fail("POSTHOG_HOST", f"{host} is PostHog's website", f"set it to {US} or {EU}")
    if host.startswith("http://") and name not in LOOPBACK:
        return warn("POSTHOG_HOST", f"{host}: keys and events travel unencrypted", "write https://")
    region = f"{host}, {REGIONS[host]}" if host in REGIONS else f"{host}, self-hosted or a proxy of yours"
    if not project.given_host:
        return ok("POSTHOG_HOST", f"{region}, by default", f"for a project in the EU: POSTHOG_HOST={EU}")
    if host_of(project.given_host) != name:
        return ok("POSTHOG_HOST", f"{region}, where events for the app's address {host_of(project.given_host)} go")
    return ok("POSTHOG_HOST", region)


def _project_id(project: Project) -> Finding:
    where = "the number in the address of the project's pages"
    if not project.project_id:
        return skip("POSTHOG_PROJECT_ID", "not set; only for dashboards and queries", f"if that is wanted: {where}")
    if not project.has_project_id:
        return fail("POSTHOG_PROJECT_ID", "not a number", f"set it to {where}")
    return ok("POSTHOG_PROJECT_ID", project.project_id)
