"""Stand-ins for what outcome calls need besides what all calls need."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.domain.outcome_context import Found, Sees
from proxy.domain.outcomes import Reference
from proxy.pipeline.outcome import OutcomeServices
from proxy.pipeline.services import Services


@dataclass
class FakeFinder:
    """Answers each look with the next of `answers`, and with the last one again and again."""

    answers: list[Found] = field(default_factory=lambda: [Found()])
    asked: list[Reference] = field(default_factory=list)

    async def find(self, abouts: Sequence[Reference], sees: Sees) -> Sequence[Found]:
        self.asked += abouts
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [answer] * len(abouts)


def outcome_services(services: Services, finder: FakeFinder | None = None, **more: Any) -> OutcomeServices:
    """What outcome calls need, where nothing is known of any call."""
    return OutcomeServices(
        services=services, finder=finder or FakeFinder(), count=more.pop("count", lambda verb, result: None), **more
    )
