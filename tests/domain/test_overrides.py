from proxy.domain.overrides import NO_OVERRIDES, ChangedBy, Override, Overrides


def override(**shares: float) -> Override:
    return Override(shares=shares, changed_by=ChangedBy.OPERATOR, changed_at_unix_us=1)


def test_a_rollout_without_an_override_runs_as_configured() -> None:
    stopped = override(control=100)

    assert Overrides({"a": stopped}).of("a") is stopped
    assert Overrides({"a": stopped}).of("b") is None
    assert NO_OVERRIDES.of("a") is None


def test_the_only_variant_is_the_one_that_everybody_gets() -> None:
    assert override(control=100, treatment=0).only_variant == "control"
    assert override(control=90, treatment=10).only_variant is None
