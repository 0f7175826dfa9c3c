"""DuckDB within bounds: no extension is fetched, no file is read or written but in one folder, memory is limited."""

import os
from pathlib import Path

import duckdb

MEMORY = "512MB"
MAX_THREADS = 2
"""Whoever looks at pages shares the machine with calls."""


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """An empty database in memory that may use the files of `folder`, and no others."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": MEMORY,
            "temp_directory": "",
            "threads": str(min(MAX_THREADS, os.cpu_count() or 1)),
        },
    )
    connection.execute(f"SET allowed_directories = [{quoted(f'{folder}/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")  # a file keeps its bytes for as long as it has its name
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(text: str) -> str:
    """As a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """As an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
