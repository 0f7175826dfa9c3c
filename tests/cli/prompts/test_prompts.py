import pytest

from proxy.cli import main


def test_without_a_verb_the_verbs_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["prompts"])
    assert left.value.code == 2
    assert "VERB" in capsys.readouterr().err
