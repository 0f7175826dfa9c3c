"""One user's rows leave a journal: records, outcomes, and events that wait or are dead, a stretch at a time.

A step looks at so many rows that other transactions need not wait long for it; how far it got is known in memory alone,
and after a crash it begins again. What it deletes SQLite overwrites. Running calls are left: they have no record yet.
"""

from dataclasses import dataclass

import apsw
import orjson

from proxy.adapters.journal.bulk import fetch, heads, listed
from proxy.adapters.journal.outbox import Outbox
from proxy.adapters.journal.tally import Count, Tally

STRETCH_ROWS = 2_000
_BODIES = {"exchange": "record", "outcome": "body", "outbox": "body", "dead": "body"}
_KEYS = {"exchange": "seq", "outcome": "seq", "outbox": "seq", "dead": "uuid"}


@dataclass(slots=True)
class _Progress:
    distinct_id: str
    after_seq: dict[str, int]


class Forgetting:
    """Part of one journal file; every method runs inside the file's transaction."""

    def __init__(self, connection: apsw.Connection, tally: Tally, outbox: Outbox, overhead_bytes: int) -> None:
        self._connection = connection
        self._tally = tally
        self._outbox = outbox
        self._overhead_bytes = overhead_bytes
        self._progress = _Progress("", {})

    def step(self, distinct_id: str) -> int:
        """Look at the next rows; how many that were, and 0 once all have been looked at."""
        if self._progress.distinct_id != distinct_id:
            self._progress = _Progress(distinct_id, dict.fromkeys(_BODIES, 0))
        self._connection.pragma("secure_delete", True)
        looked_at = sum(self._look(table) for table in _BODIES)
        self._connection.pragma("secure_delete", "fast")
        if not looked_at:
            self._progress = _Progress("", {})
        return looked_at

    def _look(self, table: str) -> int:
        after = self._progress.after_seq[table]
        stretch = f"SELECT seq FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own names
        count, last = fetch(self._connection, f"SELECT count(*), max(seq) FROM ({stretch})", (after, STRETCH_ROWS))[0]  # noqa: S608
        if count:
            body = _BODIES[table]
            # the needle first: to look for some bytes is quick, to read JSON is not
            found = heads(
                self._connection,
                f"SELECT json_group_array(json_array({_KEYS[table]}, length({body}))) FROM {table}"  # noqa: S608
                f" WHERE seq > ? AND seq <= ? AND instr({body}, ?) AND"
                f" CASE WHEN json_valid(CAST({body} AS TEXT)) THEN CAST({body} AS TEXT) ->> 'distinct_id' = ? END",
                (after, last, orjson.dumps(self._progress.distinct_id), self._progress.distinct_id),
            )
            self._delete(table, found)
            self._progress.after_seq[table] = last
        return int(count)

    def _delete(self, table: str, found: list[tuple[int | str, int]]) -> None:
        if table == "outbox":
            self._outbox.forget_pending([key for key, _ in found if isinstance(key, int)])
        elif table == "dead":
            self._outbox.forget_dead([str(key) for key, _ in found])
        elif found:
            among = (listed(key for key, _ in found),)
            if table == "exchange":
                self._connection.execute("DELETE FROM request WHERE seq IN (SELECT value FROM json_each(?))", among)
                self._tally.add(Count.EXCHANGES, -len(found))
            self._connection.execute(f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))", among)  # noqa: S608
            self._tally.add(Count.STORE_BYTES, -sum(size + self._overhead_bytes for _, size in found))
