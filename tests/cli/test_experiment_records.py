from pathlib import Path

import pytest

from proxy.adapters.experiments.source import Question
from proxy.cli.configured_rollouts import Failed
from proxy.cli.experiment_records import kept_tables, records_of
from proxy.cli.posthog_project import Misused
from tests.harness import support_folder

pytestmark = pytest.mark.usefixtures("alone")
QUESTION = Question(prompt="support_answer", flag="support_answer", variants=("v1", "v2"), until_unix_us=2**60)


def test_the_journal_is_asked_where_there_is_one(tmp_path: Path) -> None:
    support_folder.keep(tmp_path, people=3)
    with records_of("journal", QUESTION, tmp_path / "data") as records:
        assert records.exposed().people == {"v1": 3, "v2": 3}


def test_tables_that_cannot_be_asked_are_told_by_the_kind_of_trouble_alone(tmp_path: Path) -> None:
    support_folder.keep(tmp_path, people=1)
    with pytest.raises(Failed, match=r"cannot be asked \(CatalogException\)"), kept_tables(tmp_path / "data") as tables:
        tables.query("SELECT secret FROM nowhere")


def test_posthog_is_asked_with_a_key(tmp_path: Path) -> None:
    with pytest.raises(Misused, match="POSTHOG_PERSONAL_API_KEY"), records_of("posthog", QUESTION, tmp_path):
        pass
