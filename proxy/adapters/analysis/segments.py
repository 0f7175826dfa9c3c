"""The files below `store/`, and the list that says which of them count.

A file is written under a new name, made durable, and then listed; the list also says how far the journals were read,
and is replaced as a whole. So a process that is killed leaves a file that no list names, which the next writer
deletes, and whoever reads sees each row once. One process writes at a time; the others wait for its lock.

Each batch of rows becomes a file. When there are many small ones, they become one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import duckdb
import orjson

from proxy.adapters.analysis import journals
from proxy.adapters.analysis.columns import LAYOUT, TABLES, Table
from proxy.adapters.analysis.database import named, quoted
from proxy.adapters.analysis.journals import Mark, Marks, Raw
from proxy.adapters.state_file import locked, make_durable, replace_file

BATCH_ROWS = 10_000
"""Rows that become a file; fewer stay in memory, and are read anew by each process that looks."""
SMALL_ROWS = 2 * BATCH_ROWS
GROUP_ROWS = 20_480
"""Rows of a file that are in memory at once when it is written."""
MANY = 12
"""So many small files become one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file."""

    name: str
    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What counts: the files, and the marks up to which the journals are in them."""

    layout: int = LAYOUT
    generation: str = ""
    marks: Marks = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()


class Segments:
    """The files of one data folder, through one database connection."""

    def __init__(self, directory: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._directory = directory
        self._folder = folder_of(directory)
        self._manifest_path = self._folder / "manifest.json"
        self._connection = connection

    def manifest(self) -> Manifest:
        """The list as it stands; an empty one where there is none that can be used."""
        try:
            told = orjson.loads(self._manifest_path.read_bytes())
            found = Manifest(
                layout=told["layout"],
                generation=told["generation"],
                marks={key: Mark(**mark) for key, mark in told["marks"].items()},
                segments=tuple(Segment(**segment) for segment in told["segments"]),
            )
            is_whole = all((self._folder / it.name).stat().st_size == it.bytes for it in found.segments)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Manifest()
        return found if found.layout == LAYOUT and is_whole else Manifest()

    def source(self, table: Table, manifest: Manifest) -> str | None:
        """The rows of a table that are in files, for a FROM; None where there are none."""
        paths = [quoted(str(self._folder / it.name)) for it in manifest.segments if it.table == table.name]
        return f"read_parquet([{', '.join(paths)}], union_by_name = true)" if paths else None

    def fill(self, table: Table, raws: list[Raw], manifest: Manifest) -> None:
        """Add rows to the table in memory that are in no file and not in it yet."""
        if not raws:
            return
        unique = list({raw.id: raw for raw in raws}.values())
        parse = f"SELECT * FROM ({table.parse}) AS fresh"
        known = [table.memory, *filter(None, [self.source(table, manifest)])]
        absent = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {it} AS known WHERE known.{table.key} = fresh.{table.key}"
            f" AND known.{table.key} BETWEEN $least AND $greatest)"
            for it in known
        )
        self._connection.execute(
            f"INSERT INTO {table.memory} BY NAME {parse} WHERE {absent}",
            {
                "id": [raw.id for raw in unique],
                "exchange_id": [raw.exchange_id for raw in unique],
                "trace_id": [raw.trace_id for raw in unique],
                "name": [raw.name for raw in unique],
                "at_us": [raw.at_us for raw in unique],
                "body": [raw.body.decode(errors="replace") for raw in unique],
                "least": min(raw.id for raw in unique),
                "greatest": max(raw.id for raw in unique),
            },
        )

    def catch_up(self) -> None:
        """Move all rows of the journals into files, but for the last few. Waits for another process that does so.

        Raises OSError where the folder cannot be written. What is in memory is lost.
        """
        with locked(self._manifest_path):
            manifest = self.manifest()
            self._tidy(manifest)
            while True:
                news = journals.read(self._directory, manifest.marks, BATCH_ROWS)
                if len(news) < BATCH_ROWS:
                    break
                written = [self._write(table, news.rows[table.name], manifest) for table in TABLES]
                added = tuple(segment for segment in written if segment is not None)
                manifest = self._save(replace(manifest, marks=news.marks, segments=manifest.segments + added))
                for table in TABLES:
                    manifest = self._merge(table, manifest)

    def drop(self, conditions: Mapping[str, str], value: object) -> int:
        """Delete the rows of which the condition of their table, with `?` for the value, is true; returns how many.

        Files that hold such rows are written anew and the old ones deleted. Raises OSError.
        """
        if not self._manifest_path.exists():
            return 0
        dropped = 0
        with locked(self._manifest_path):
            manifest = self.manifest()
            kept: list[Segment] = []
            for segment in manifest.segments:
                left = self._without(segment, conditions[segment.table], value)
                dropped += segment.rows - (left.rows if left is not None else 0)
                kept += [left] if left is not None else []
            self._tidy(self._save(replace(manifest, segments=tuple(kept))))
        return dropped

    def _without(self, segment: Segment, condition: str, value: object) -> Segment | None:
        """The same segment where nothing is to go, else another one, or None where nothing stays."""
        table = next(table for table in TABLES if table.name == segment.table)
        path = quoted(str(self._folder / segment.name))
        found = self._connection.execute(f"SELECT count(*) FROM {path} WHERE {condition}", [value]).fetchone()
        assert found is not None
        if not found[0]:
            return segment
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE kept AS FROM {path} WHERE ({condition}) IS NOT TRUE", [value]
        )
        left = self._copy(table, "kept")
        self._connection.execute("DROP TABLE kept")
        return left

    def _write(self, table: Table, raws: list[Raw], manifest: Manifest) -> Segment | None:
        self._connection.execute(f"TRUNCATE {table.memory}")
        self.fill(table, raws, manifest)
        written = self._copy(table, table.memory)
        self._connection.execute(f"TRUNCATE {table.memory}")
        return written

    def _copy(self, table: Table, source: str, *, is_sorted: bool = False) -> Segment | None:
        """Write the rows of `source` to a new file, sorted by time; None where it has none. Rows that are nearly so
        already are taken as they come: to sort many of them takes more memory than there is.
        """
        path = self._folder / f"{table.name}-{uuid4().hex}.parquet"
        whole = f"(FROM {table.memory} LIMIT 0) UNION ALL BY NAME (FROM {source})"
        order = "" if is_sorted else f" ORDER BY {named(table.at)}"
        rows = f"SELECT {table.names} FROM ({whole}){order}"
        found = self._connection.execute(
            f"COPY ({rows}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})"
        ).fetchone()
        assert found is not None
        if not found[0]:
            path.unlink()
            return None
        path.chmod(0o600)
        make_durable(path)
        return Segment(path.name, table.name, found[0], path.stat().st_size)

    def _merge(self, table: Table, manifest: Manifest) -> Manifest:
        small = [it for it in manifest.segments if it.table == table.name and it.rows < SMALL_ROWS][:MANY]
        if len(small) < MANY:
            return manifest
        source = self.source(table, replace(manifest, segments=tuple(small)))
        assert source is not None
        merged = self._copy(table, source, is_sorted=True)
        assert merged is not None
        kept = tuple(it for it in manifest.segments if it not in small)
        manifest = self._save(replace(manifest, segments=(*kept, merged)))
        self._tidy(manifest)
        return manifest

    def _save(self, manifest: Manifest) -> Manifest:
        renewed = replace(manifest, generation=uuid4().hex)
        replace_file(self._manifest_path, orjson.dumps(asdict(renewed)))
        return renewed

    def _tidy(self, manifest: Manifest) -> None:
        """Delete files that no list names. Whoever still reads one looks at the list again."""
        listed = {it.name for it in manifest.segments}
        for path in self._folder.glob("*.parquet"):
            if path.name not in listed:
                path.unlink(missing_ok=True)


def folder_of(directory: Path) -> Path:
    """Where the files of a data folder are, as an absolute path."""
    return directory.resolve() / "store"
