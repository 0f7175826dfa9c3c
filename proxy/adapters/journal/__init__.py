"""The durable store of events and of ended calls: one SQLite file per worker, one thread that writes it.

A call leaves two traces: its opening, and its one end with the events that tell of it. What was written survives the
process however it goes, and the next start gives every opening that lost its process an end (`recover`). Events wait
in the outbox until the sink has delivered them; the records of ended calls stay for traces and reports. Nothing here
delays or fails a request: what cannot be kept is counted by its reason.

    intake   the event loop's bounded queue        file     one file's transactions: openings, ends, bounds
    writer   the thread, and what others ask of it  outbox   pending and dead events, leases
    debts    losses not yet on record               tally    the counters that must always add up
    backing  which file, or memory, and repairs     schema   tables, checks, connections
    place    names, lock, ballast, quarantine       stats    what /metrics and /readyz may know
    reader   for others, while the owner writes     requests what an operator asks of the owner
    orphans  files whose owner is gone              settings where, and how much
    forgetting  one user's rows leave
"""

from proxy.adapters.journal.outbox import EVENT_MAX_BYTES as EVENT_MAX_BYTES
from proxy.adapters.journal.outbox import Batch as Batch
from proxy.adapters.journal.outbox import OutboxRow as OutboxRow
from proxy.adapters.journal.place import journal_files as journal_files
from proxy.adapters.journal.reader import JournalReader as JournalReader
from proxy.adapters.journal.reader import StoredEvent as StoredEvent
from proxy.adapters.journal.reader import StoredExchange as StoredExchange
from proxy.adapters.journal.settings import JournalSettings as JournalSettings
from proxy.adapters.journal.stats import JournalStats as JournalStats
from proxy.adapters.journal.tally import Certainty as Certainty
from proxy.adapters.journal.writer import JournalUnavailable as JournalUnavailable
from proxy.adapters.journal.writer import SqliteJournal as SqliteJournal
