"""Where an experiment's numbers come from: the records of a data folder, or PostHog."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.adapters.experiments.journal import JournalRecords
from proxy.adapters.experiments.posthog import PostHogRecords
from proxy.adapters.experiments.source import Question, Records
from proxy.adapters.journal import journal_files
from proxy.adapters.posthog_api import PostHogApi, Refused, Unavailable
from proxy.cli.configured_rollouts import Failed
from proxy.cli.posthog_project import Project, explained, find_project

if TYPE_CHECKING:
    from proxy.adapters.analysis import Analysis

_SCOPES = "the scope query:read"


@contextmanager
def kept_tables(data_dir: Path) -> Iterator["Analysis"]:
    """The kept records as tables. Raises Failed where there are none, or they cannot be asked."""
    if not journal_files(data_dir):
        raise Failed(f"There is no journal in {data_dir}/: name the proxy's own folder with --data.")
    import duckdb

    from proxy.adapters.analysis import open_analysis

    try:
        with open_analysis(data_dir) as tables:
            yield tables
    except duckdb.Error as error:
        raise Failed(f"The records in {data_dir}/ cannot be asked ({type(error).__name__}).") from None


@contextmanager
def records_of(source: str, question: Question, data_dir: Path) -> Iterator[Records]:
    """From `journal` or `posthog`. Raises Misused, Failed."""
    if source == "journal":
        with kept_tables(data_dir) as tables:
            yield JournalRecords(tables, question)
        return
    project = find_project(os.environ, _SCOPES)
    try:
        yield PostHogRecords(partial(_query, project), question)
    except Refused as error:
        raise Failed(explained(error, project)) from None
    except Unavailable as error:
        raise Failed(f"PostHog at {project.host}: {error}. Try again later.") from None


def _query(project: Project, text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
    """One query, in a loop of its own."""
    query = {"kind": "HogQLQuery", "query": text, "values": dict(values)}

    async def asked() -> dict[str, Any]:
        async with PostHogApi(project.host, project.key, project.project_id) as api:
            return await api.post("query/", {"query": query, "name": "promptlane: experiment", "refresh": "blocking"})

    found = asyncio.run(asked()).get("results")
    if not isinstance(found, list):
        raise Unavailable("it gave no rows")
    return found
