"""What lies in the journal's files, read with SQL and not through the product: the oracle asks the disk itself."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import orjson


@dataclass
class Kept:
    """Of all files in a data folder together."""

    events: list[dict[str, Any]] = field(default_factory=list)
    """Pending and dead."""
    open_exchanges: int = 0
    """Calls with a start row and no end row."""
    counters: Counter[str] = field(default_factory=Counter)
    """By name, over all reasons."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""

    @property
    def unbalanced(self) -> int:
        """Events that were admitted and are neither held, nor delivered, nor counted as dropped."""
        places = ("pending", "dead", "delivered", "dropped")
        return self.counters["admitted"] - sum(self.counters[place] for place in places)


def read_kept(data: Path) -> Kept:
    """Read every journal below the folder. Call it while no process writes."""
    kept = Kept()
    for path in sorted(data.rglob("*.db")):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            _read(connection, kept)
        finally:
            connection.close()
    return kept


def _read(connection: apsw.Connection, kept: Kept) -> None:
    for table in ("outbox", "dead"):
        kept.events += [orjson.loads(body) for (body,) in connection.execute(f"SELECT body FROM {table}")]
    kept.open_exchanges += connection.execute("SELECT count(*) FROM open_exchange").get
    for name, reason, value in connection.execute("SELECT name, reason, value FROM counters"):
        kept.counters[name] += value
        if name == "dropped":
            kept.dropped[reason] += value
