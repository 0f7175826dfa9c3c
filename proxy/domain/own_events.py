"""Events of the proxy itself, which are of no user and no call: a rollout that was changed, an alert that fired."""

from collections.abc import Mapping

from proxy.domain.events import encoded, event_uuid
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import allowed

DISTINCT_ID = "promptlane"
"""Whose event it is: nobody's. No person is made of it."""


def own_outcome(name: str, identity: str, at_unix_us: int, properties: Mapping[str, object]) -> Outcome:
    """The event to be noted. The same `identity` gives the same uuid: however often it is noted, it is sent once."""
    said = allowed(name).members({**properties, "$process_person_profile": False, "$lib": "promptlane"})
    uuid = event_uuid(identity, name)
    event = encoded(name, uuid, distinct_id=DISTINCT_ID, at_us=at_unix_us, said=said)
    return Outcome(at_unix_us=at_unix_us, events=(event,))
