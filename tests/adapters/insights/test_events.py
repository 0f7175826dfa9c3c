from datetime import UTC, datetime
from pathlib import Path

from proxy.adapters.analysis import open_analysis
from proxy.adapters.insights.events import make_view
from proxy.domain.event_properties import COMPLETED, FAILED, STARTED
from proxy.domain.outcome_properties import AGENT_STEP
from tools.bench.store import fill


def test_the_view_has_events_as_posthog_would(tmp_path: Path) -> None:
    fill(tmp_path, 60, until=datetime(2026, 11, 20, tzinfo=UTC))
    asked = {"model", "$feature/support-answer", "plan", "step_status", "$session_id", "unheard_of"}
    with open_analysis(tmp_path) as analysis:
        make_view(analysis, asked)
        counts = {
            row["event"]: row["events"]
            for row in analysis.query("SELECT event, count(DISTINCT uuid) AS events FROM events GROUP BY event")
        }
        (call,) = analysis.query("SELECT properties FROM events WHERE event = ? LIMIT 1", [COMPLETED])
        (step,) = analysis.query("SELECT properties FROM events WHERE event = ? LIMIT 1", [AGENT_STEP])
    assert counts[STARTED] == counts[COMPLETED] + counts.get(FAILED, 0) == 60
    assert call["properties"]["plan"] in ("pro", "free")
    assert call["properties"]["$feature/support-answer"] in ("control", "treatment")
    assert call["properties"]["$session_id"].startswith("session_")
    assert call["properties"]["unheard_of"] is None
    assert step["properties"]["step_status"] in ("success", "error")
