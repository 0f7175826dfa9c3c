import pytest

from proxy.adapters.posthog_api import Refused
from proxy.cli.posthog_project import Misused, Project, explained, find_project

GOOD = {"POSTHOG_PERSONAL_API_KEY": "phx_key", "POSTHOG_PROJECT_ID": "7"}


def test_a_project_is_named_by_variables() -> None:
    assert find_project(GOOD, "s") == Project(host="https://us.posthog.com", key="phx_key", project_id="7", scopes="s")
    assert find_project({**GOOD, "POSTHOG_HOST": "https://eu.i.posthog.com"}, "s").host == "https://eu.posthog.com"
    assert "phx_key" not in repr(find_project(GOOD, "s"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"POSTHOG_PERSONAL_API_KEY": ""}, r"POSTHOG_PERSONAL_API_KEY is not set.*with the scope query:read\."),
        ({"POSTHOG_PROJECT_ID": "main"}, "POSTHOG_PROJECT_ID is not set to a number"),
        ({"POSTHOG_HOST": "eu"}, "POSTHOG_HOST: "),
    ],
)
def test_what_is_missing_is_said(changed: dict[str, str], said: str) -> None:
    with pytest.raises(Misused, match=said):
        find_project({**GOOD, **changed}, "the scope query:read")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not know the key"),
        (403, "the key needs the scope x"),
        (404, "no such project"),
        (429, "rate limit"),
        (400, "a newer release"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, said: str) -> None:
    project = find_project(GOOD, "the scope x")
    assert said in explained(Refused(status, "", ""), project)
    assert explained(Refused(status, "", "Because."), project).endswith(" PostHog says: Because.")
