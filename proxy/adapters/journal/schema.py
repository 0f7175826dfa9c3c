"""The file's layout, and how a connection to it is opened and checked.

SQLite before 3.51.3 may lose committed rows when two connections use one file in WAL mode, so an older library is
refused. Power loss costs nothing that was committed: WAL with a sync at each commit.
"""

import os
from pathlib import Path

import apsw

MIN_SQLITE = (3, 51, 3)
APPLICATION_ID = 0x504C4A31
SCHEMA_VERSION = 1
CHECKED_AT_START_MAX_BYTES = 64 << 20
"""A larger file is not read through at start; its damage shows, and is handled, when a bad page is read."""

_OUTBOX = """
CREATE TABLE outbox(
    seq INTEGER PRIMARY KEY, uuid TEXT NOT NULL, exchange_id TEXT NOT NULL, name TEXT NOT NULL,
    bytes INTEGER NOT NULL, created_unix_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_unix_us INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL, UNIQUE (exchange_id, uuid)
) STRICT;
"""
_OUTCOMES = """
CREATE TABLE IF NOT EXISTS outcome(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, exchange_id TEXT NOT NULL,
    trace_id TEXT NOT NULL, name TEXT NOT NULL, at_unix_us INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outcome_trace ON outcome(trace_id);
"""
_REQUESTS = """
CREATE TABLE IF NOT EXISTS request(seq INTEGER PRIMARY KEY, request_id TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS request_id ON request(request_id);
"""
"""The ids that clients gave their requests, for ended calls; `seq` is that of the call."""
_ADDED = _OUTCOMES + _REQUESTS
"""Came with 0.2.0: a file of an older release gets them from its next owner, and its readers do without."""
_TABLES = f"""{_OUTBOX}{_ADDED}
CREATE TABLE open_exchange(
    exchange_id TEXT PRIMARY KEY, trace_id TEXT NOT NULL, facts BLOB NOT NULL
) STRICT;
CREATE TABLE exchange(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, exchange_id TEXT NOT NULL UNIQUE, trace_id TEXT NOT NULL,
    ended_unix_us INTEGER NOT NULL, record BLOB NOT NULL
) STRICT;
CREATE INDEX exchange_trace ON exchange(trace_id);
CREATE TABLE dead(
    seq INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, exchange_id TEXT NOT NULL, name TEXT NOT NULL,
    bytes INTEGER NOT NULL, created_unix_us INTEGER NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, first_unix_us INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE counters(
    name TEXT NOT NULL, reason TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, reason)
) STRICT, WITHOUT ROWID;
"""
_IS_INDEXED_BY_UUID = (
    "SELECT count(*) FROM pragma_index_list('outbox') AS list JOIN pragma_index_info(list.name) AS part"
    " WHERE part.seqno = 0 AND part.name = 'uuid'"
)
"""As 0.1.0 made it: all statements work with it as well, but each uuid goes to another page."""
_COLUMNS_NEEDED = (
    "SELECT exchange_id, trace_id, facts FROM open_exchange LIMIT 1",
    "SELECT seq, exchange_id, trace_id, ended_unix_us, record FROM exchange LIMIT 1",
    "SELECT seq, uuid, exchange_id, name, bytes, created_unix_us, attempts, next_unix_us, body FROM outbox LIMIT 1",
    "SELECT seq, uuid, exchange_id, name, bytes, created_unix_us, attempts, body FROM dead LIMIT 1",
    "SELECT reason, first_unix_us FROM dead LIMIT 1",
    "SELECT name, reason, value FROM counters",
)


class Unusable(Exception):
    """The file is damaged or not ours; `why` says which and quotes nothing of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def require_fixed_sqlite(version: str) -> None:
    """Raises RuntimeError when the library still has the bug that loses committed rows."""
    if tuple(int(part) for part in version.split(".")) < MIN_SQLITE:
        floor = ".".join(map(str, MIN_SQLITE))
        raise RuntimeError(f"SQLite {version} may lose committed rows: the journal needs {floor} or later (apsw)")


def connect(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """Open the file for its one writer, creating it when absent.

    Raises `Unusable` for a file that must be put aside, `apsw.BusyError` while another process locks it,
    OSError or another `apsw.Error` where the place cannot be written.
    """
    is_new = not path.exists()
    if not is_new and path.stat().st_size == 0:
        raise Unusable("is empty")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        _prepare(connection, is_new=is_new)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        connection.close()
        raise Unusable("is damaged") from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_memory(max_bytes: int) -> apsw.Connection:
    """A stand-in that lives as long as the process."""
    connection = apsw.Connection(":memory:")
    _prepare(connection, is_new=True)
    connection.pragma("max_page_count", max(64, max_bytes // connection.pragma("page_size")))
    return connection


def connect_reader(path: Path) -> apsw.Connection:
    """A read-only connection beside the writer's. Raises `apsw.Error`, or `Unusable` for another layout."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(2000)
    connection.pragma("trusted_schema", False)
    connection.pragma("query_only", True)
    _check_layout(connection)
    return connection


def _prepare(connection: apsw.Connection, *, is_new: bool) -> None:
    connection.pragma("trusted_schema", False)
    connection.pragma("cell_size_check", True)
    if is_new:
        connection.pragma("page_size", 8192)  # an event or two fill half of one: fewer pages, and calls of the system
        connection.pragma("auto_vacuum", 2)
    else:
        _check_layout(connection)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.pragma("wal_autocheckpoint", 1000)
    connection.pragma("journal_size_limit", 64 << 20)
    connection.pragma("secure_delete", "fast")  # what is deleted is overwritten where that costs no further page
    if is_new:
        with connection:
            connection.execute(_TABLES)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", SCHEMA_VERSION)
    else:
        _check_pages(connection)
        _renew_outbox(connection)
        with connection:
            connection.execute(_ADDED)


def _renew_outbox(connection: apsw.Connection) -> None:
    """Give an outbox of an older release today's index, once nothing is in it."""
    with connection:
        is_old = connection.execute(_IS_INDEXED_BY_UUID).fetchone() != (0,)
        if is_old and connection.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is None:
            connection.execute(f"DROP TABLE outbox; {_OUTBOX}")


def _check_layout(connection: apsw.Connection) -> None:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise Unusable("is not a journal")
    version = connection.pragma("user_version")
    if version != SCHEMA_VERSION:
        raise Unusable(f"has schema {version}, this release knows {SCHEMA_VERSION}")
    try:
        for query in _COLUMNS_NEEDED:
            connection.execute(query).fetchall()
    except apsw.SQLError as error:
        raise Unusable("lacks a table or column") from error


def _check_pages(connection: apsw.Connection) -> None:
    size_bytes = connection.pragma("page_count") * connection.pragma("page_size")
    if size_bytes <= CHECKED_AT_START_MAX_BYTES and connection.pragma("quick_check", 1) != "ok":
        raise Unusable("is damaged")
