from proxy.domain.flag_properties import first_flag, of_flags, shown_to_client
from proxy.domain.rollout import Decision, Reason

ASSIGNED = Decision(flag="answers", variant="pv_2", reason=Reason.MATCHED)
FALLEN = Decision(flag="answers", variant="pv_1", reason=Reason.NO_DEFINITIONS)


def test_a_call_without_flags_says_nothing():
    assert of_flags((), ()) == {}
    assert first_flag((), ()) == (None, None)
    assert shown_to_client((), ()) == []


def test_what_a_client_asserts_is_marked_so():
    assert of_flags((), [("a", "x"), ("b", "false")]) == {
        "posthog_flag": "a",
        "posthog_flag_variant": "x",
        "posthog_flag_source": "asserted",
        "posthog_flag_reason": None,
        "$feature/a": "x",
        "$feature/b": False,
        "$active_feature_flags": ["a"],
    }


def test_a_decision_wins_over_an_assertion_of_its_flag_and_leaves_the_others():
    said = of_flags([ASSIGNED], [("other", "x"), ("answers", "pv_1")])
    assert (said["posthog_flag"], said["posthog_flag_variant"]) == ("answers", "pv_2")
    assert (said["posthog_flag_source"], said["posthog_flag_reason"]) == ("assigned", "matched")
    assert (said["$feature/answers"], said["$feature/other"]) == ("pv_2", "x")
    assert said["$active_feature_flags"] == ["answers", "other"]
    assert shown_to_client([ASSIGNED], [("other", "x"), ("answers", "pv_1")]) == ["answers=pv_2", "other=x"]


def test_a_default_is_told_but_puts_nobody_into_an_experiment():
    said = of_flags([FALLEN], [("answers", "pv_2")])
    assert (said["posthog_flag_source"], said["posthog_flag_reason"]) == ("default", "no_definitions")
    assert said["posthog_flag_variant"] == "pv_1"
    assert "$feature/answers" not in said
    assert said["$active_feature_flags"] == []
    assert shown_to_client([FALLEN], [("answers", "pv_2")]) == ["answers=pv_1;reason=no_definitions"]


def test_an_assignment_survives_a_client_that_asserts_as_many_flags_as_there_may_be():
    said = of_flags([ASSIGNED], [(f"flag_{number:02}", "on") for number in range(20)])
    assert said["$feature/answers"] == "pv_2"
    assert len([name for name in said if name.startswith("$feature/")]) == 20
    assert said["$active_feature_flags"] == ["answers", *(f"flag_{number:02}" for number in range(19))]


def test_what_no_header_can_hold_is_left_out_of_the_reply():
    assert shown_to_client((), [("a", "große"), ("b", "y")]) == ["b=y"]
