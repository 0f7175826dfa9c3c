"""The outbox's statements. What looks rows up does so by an index: a test reads the plans."""

DUE = {
    "oldest": "SELECT json_group_array(json_array(seq, uuid, bytes, created_unix_us)) FROM"
    " (SELECT seq, uuid, bytes, created_unix_us FROM outbox"
    " WHERE next_unix_us <= ?1 OR next_unix_us > ?2 ORDER BY seq LIMIT ?3)",
    "newest": "SELECT json_group_array(json_array(seq, uuid, bytes, created_unix_us)) FROM"
    " (SELECT seq, uuid, bytes, created_unix_us FROM outbox"
    " WHERE next_unix_us <= ?1 OR next_unix_us > ?2 ORDER BY seq DESC LIMIT ?3)",
}
OLDEST = (
    "SELECT json_group_array(json_array(seq, bytes, created_unix_us)) FROM"
    " (SELECT seq, bytes, created_unix_us FROM outbox ORDER BY seq LIMIT ?)"
)
ROWS = (
    "SELECT json_group_array(json_array(uuid, exchange_id, name, bytes, created_unix_us, attempts, length(body))),"
    " CAST(group_concat(body, '') AS BLOB) FROM"
    " (SELECT outbox.* FROM outbox WHERE seq IN (SELECT value FROM json_each(?1)) ORDER BY seq)"
)
"""By `seq`, in which they lie: any other order would have SQLite copy whole rows, to sort them."""
DEAD = (
    "SELECT json_group_array(json_array(uuid, bytes, exchange_id)) FROM (SELECT uuid, bytes, exchange_id FROM dead"
    " WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR uuid = ?2) AND first_unix_us < ?3 ORDER BY seq LIMIT ?4)"
)
PENDING_AMONG = (
    "SELECT json_group_array(uuid) FROM (SELECT uuid FROM json_each(?1) AS pair"
    " JOIN outbox ON exchange_id = pair.value ->> 0 AND uuid = pair.value ->> 1)"
)
UUIDS = "SELECT json_group_array(uuid) FROM outbox WHERE seq IN (SELECT value FROM json_each(?1))"
MEASURE_PENDING = "SELECT count(*), coalesce(sum(bytes), 0) FROM outbox WHERE seq IN (SELECT value FROM json_each(?1))"
MEASURE_DEAD = (
    "SELECT reason, count(*), sum(bytes) FROM dead WHERE uuid IN (SELECT value FROM json_each(?1)) GROUP BY reason"
)
DELETE_PENDING = "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each(?1))"
DELETE_DEAD = "DELETE FROM dead WHERE uuid IN (SELECT value FROM json_each(?1))"
RETRY = "UPDATE outbox SET attempts = attempts + 1, next_unix_us = ?2 WHERE seq IN (SELECT value FROM json_each(?1))"
PENDING_COLUMNS = "outbox(uuid, exchange_id, name, bytes, created_unix_us, attempts, body)"
INSERT_PENDING = f"INSERT OR FAIL INTO {PENDING_COLUMNS} VALUES"
"""`OR FAIL`, for the transaction is undone anyway: a statement that could be undone alone copies what it changes."""
DELETE_LAST_PENDING = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq DESC LIMIT ?)"
INSERT_DEAD = (
    "INSERT INTO dead(uuid, exchange_id, name, bytes, created_unix_us, attempts, body, reason, first_unix_us) VALUES"
)
PENDING_TO_DEAD = (
    "INSERT INTO dead(uuid, exchange_id, name, bytes, created_unix_us, attempts, body, reason, first_unix_us)"
    " SELECT uuid, exchange_id, name, bytes, created_unix_us, attempts, body, ?2, ?3 FROM outbox"
    " WHERE seq IN (SELECT value FROM json_each(?1)) ORDER BY seq"
)
DEAD_TO_PENDING = (
    "INSERT INTO outbox(uuid, exchange_id, name, bytes, created_unix_us, attempts, body)"
    " SELECT uuid, exchange_id, name, bytes, ?2, attempts, body FROM dead"
    " WHERE uuid IN (SELECT value FROM json_each(?1)) ORDER BY seq"
)
