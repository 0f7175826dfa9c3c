"""What traces and metrics both need of the SDK: who we are, and a session that hears what a collector answers."""

import uuid
from dataclasses import dataclass
from typing import Any

import requests
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from proxy import __version__

SCOPE = "promptlane"


@dataclass(frozen=True, slots=True)
class Heard:
    """A collector's last answer. `retry_after` is its header, "" where there is none."""

    status: int
    retry_after: str
    body: bytes


class CollectorSession(requests.Session):
    """The exporters take a redirect for success, and send nothing to where it leads: here it is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.requests_sent = 0
        self.heard: Heard | None = None
        """None where the last request had no answer."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        """Raises for redirects too."""
        self.requests_sent += 1
        self.heard = None
        response = super().send(request, **kwargs)
        self.heard = Heard(response.status_code, response.headers.get("Retry-After", ""), response.content)
        if 300 <= response.status_code < 400:
            raise requests.TooManyRedirects
        return response


def resource_of(environment: str, suffix: str = "") -> Resource:
    """Who we are, unless OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say otherwise.

    `suffix` keeps apart workers that were all given one name for their instance.
    """
    said = OTELResourceDetector().detect()
    instance = said.attributes.get("service.instance.id")
    ours = {
        "service.name": "promptlane",
        "service.version": __version__,
        "deployment.environment.name": environment,
    }
    named = {"service.instance.id": f"{instance}{suffix}" if instance else str(uuid.uuid4())}
    return Resource.create(ours).merge(said).merge(Resource(named))
