"""Unknown is None from the start, and the words for where counts come from are a closed list."""

from dataclasses import fields

from proxy.domain.usage import Usage, UsageSource


def test_nothing_is_known_until_somebody_says_so() -> None:
    assert {getattr(Usage(), field.name) for field in fields(Usage)} == {None}


def test_the_sources_on_the_wire_and_in_events() -> None:
    on_the_wire = {"provider", "partial", "none"}
    in_events = {"provider", "mixed", "estimated", "unknown"}
    assert {source.value for source in UsageSource} == on_the_wire | in_events
