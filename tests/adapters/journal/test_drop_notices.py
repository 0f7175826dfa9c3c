from typing import Any

import pytest

from proxy.adapters.journal.drop_notices import PAUSE_S, DropNotices


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, Any]]:
    lines = [(vars(record)["reason"], vars(record)["events"]) for record in caplog.records]
    caplog.clear()
    return lines


def test_drops_are_told_by_reason_and_not_more_often_than_anybody_reads(caplog: pytest.LogCaptureFixture) -> None:
    notices = DropNotices({"outbox_full": 5})
    notices.look({"outbox_full": 5, "disk_full": 3, "forgotten": 1, "local_retention": 9}, 0.0)
    assert told(caplog) == []
    notices.look({"outbox_full": 7, "queue_full": 1}, 1.0)
    assert told(caplog) == [("outbox_full", 2), ("queue_full", 1)]
    notices.look({"outbox_full": 30, "queue_full": 1}, 2.0)
    assert told(caplog) == []
    notices.look({"outbox_full": 31, "queue_full": 1}, 1.0 + PAUSE_S)
    assert told(caplog) == [("outbox_full", 24)]
