from proxy.domain.policy import AnalyticsPolicy, Destination, Families


def test_the_identity_rules_take_the_secret_and_all_that_the_policy_says() -> None:
    policy = AnalyticsPolicy(
        environment="staging",
        environment_header=True,
        identity_mode="hash",
        identity_salt=b"salt",
        prompt_hash="sha256",
        allowed_properties=frozenset({"plan"}),
    )
    identity = policy.identity(b"secret")
    assert (identity.mode, identity.secret, identity.salt) == ("hash", b"secret", b"salt")
    assert (identity.prompt_hash_mode, identity.allowed_properties) == ("sha256", frozenset({"plan"}))
    assert (identity.environment, identity.allow_environment_header) == ("staging", True)


def test_without_the_ai_family_nothing_is_counted_twice() -> None:
    assert AnalyticsPolicy().identity(b"secret").warns_of_wrappers
    assert not AnalyticsPolicy(families=Families(ai=False)).identity(b"secret").warns_of_wrappers


def test_defaults_are_those_of_the_contract() -> None:
    policy = AnalyticsPolicy()
    assert policy.environment == "production"
    assert policy.families.product
    assert policy.families.ai
    assert policy.volume.sample == 1.0
    assert (policy.outbox.max_bytes, policy.outbox.max_age_s, policy.outbox.commit_ms) == (2**30, 7 * 86_400, 40)
    assert (policy.store.max_bytes, policy.store.max_age_s) == (20 * 2**30, 90 * 86_400)
    assert policy.trace_url is None


def test_no_secret_is_in_a_repr() -> None:
    assert "hidden" not in repr(AnalyticsPolicy(identity_salt=b"hidden")) + repr(Destination(api_key="hidden"))
