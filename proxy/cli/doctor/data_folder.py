"""The data folder: whose it is, what it stands on, whether it has room, and what its journals say."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IMODE, S_IRWXG, S_IRWXO

import apsw

from proxy.adapters.journal import JournalReader, journal_files
from proxy.adapters.journal.place import free_bytes
from proxy.adapters.journal.schema import Unusable
from proxy.cli.doctor.finding import Finding, fail, ok, skip, warn
from proxy.domain.policy import AnalyticsPolicy

MIN_FREE_BYTES = 64 << 20
OLD_S = 900.0
"""Events that wait longer are not merely on their way."""
_OTHERS = S_IRWXG | S_IRWXO
_NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone",
        "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
    }
)  # fmt: skip
_CLOSED = "cannot be opened"
_PASSING = {"tmpfs": "memory", "ramfs": "memory", "overlay": "the container's own layer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """One file. `trouble` says in our words why it cannot be read; the numbers are then nothing."""

    name: str
    trouble: str | None = None
    size_bytes: int = 0
    pending: int = 0
    oldest_pending_unix_us: int | None = None
    newest_call_unix_us: int | None = None
    dead: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """What is there. Where the folder is absent, `free_bytes`, `file_system` and `is_writable` are of the nearest
    folder above, in which it would be made."""

    path: Path
    exists: bool
    is_folder: bool = True
    is_writable: bool = True
    mode: int = 0o700
    owner: int = 0
    we: int = 0
    """The user whose process looks; `owner` is the folder's."""
    open_to_others: Sequence[str] = ()
    """Names of secret and journal files that group or others may open."""
    file_system: str | None = None
    """As the kernel calls its kind; None where it does not say."""
    free_bytes: int = 0
    journals: Sequence[Journal] = ()


def look(path: Path, mounts: Path = Path("/proc/self/mounts")) -> DataFolder:
    """Reads, and makes nothing."""
    exists = _is_there(path)
    place = path.absolute()
    while not _is_there(place):
        place = place.parent
    status = place.stat()
    is_folder = place.is_dir()
    return DataFolder(
        path=path,
        exists=exists,
        is_folder=is_folder,
        is_writable=os.access(place, os.W_OK | os.X_OK),
        mode=S_IMODE(status.st_mode),
        owner=status.st_uid,
        we=os.geteuid(),
        open_to_others=_open_to_others(place) if exists and is_folder else (),
        file_system=file_system(place.resolve(), _text(mounts)),
        free_bytes=free_bytes(place),
        journals=[_journal(file) for file in journal_files(path)] if exists and is_folder else (),
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above is closed to us
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def file_system(path: Path, mounts: str) -> str | None:
    """The kind of the last file system that is mounted nearest above; `mounts` is the kernel's list."""
    kinds: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(point.replace(r"\040", " "))] = kind
    return next((kinds[above] for above in (path, *path.parents) if above in kinds), None)


def _open_to_others(folder: Path) -> list[str]:
    ours = [*folder.glob("journal-*"), *folder.glob("secret")]
    return sorted(path.name for path in ours if path.stat().st_mode & _OTHERS)


def _journal(path: Path) -> Journal:
    try:
        with JournalReader(path) as reader:
            stats, latest = reader.stats(), reader.latest(1)
    except Unusable as unusable:
        return Journal(name=path.name, trouble=unusable.why)
    except (apsw.CorruptError, apsw.NotADBError):
        return Journal(name=path.name, trouble="is damaged")
    except (apsw.Error, OSError):
        return Journal(name=path.name, trouble=_CLOSED)
    return Journal(
        name=path.name,
        size_bytes=path.stat().st_size,
        pending=stats.pending,
        oldest_pending_unix_us=stats.oldest_pending_unix_us,
        newest_call_unix_us=latest[0].ended_unix_us if latest else None,
        dead=stats.dead,
        dropped=stats.dropped,
    )


def findings(folder: DataFolder, policy: AnalyticsPolicy, *, is_shipped: bool, now_s: float) -> Iterator[Finding]:
    """`is_shipped`: there is a project to send events to."""
    if not folder.is_folder:
        yield fail("folder", f"{folder.path} is a file", "name another folder with --data or PROMPTLANE_DATA")
        return
    yield _folder(folder)
    if folder.exists:
        yield _permissions(folder)
    yield _disk(folder)
    yield _room(folder, policy)
    yield from _journals(folder, is_shipped=is_shipped, now_s=now_s)


def _folder(folder: DataFolder) -> Finding:
    if not folder.is_writable:
        advice = "give it to the user that runs the proxy (chown), or name another with --data or PROMPTLANE_DATA"
        return fail(
            "folder", f"{folder.path} {'' if folder.exists else 'does not exist and '}cannot be written", advice
        )
    if not folder.exists:
        return ok("folder", f"{folder.path} does not exist; the first start makes it")
    if folder.owner != folder.we:
        found = f"{folder.path} belongs to user {folder.owner}, and you are user {folder.we}"
        return warn(
            "folder", found, "run this as the user that runs the proxy; else what is found is not what it meets"
        )
    return ok("folder", str(folder.path))


def _permissions(folder: DataFolder) -> Finding:
    if folder.open_to_others:
        names, more = folder.open_to_others[:3], len(folder.open_to_others) - 3
        listed = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        return warn(
            "permissions", f"others may open {listed}", f"chmod 600 {folder.path}/secret {folder.path}/journal-*"
        )
    if folder.mode & _OTHERS:
        return warn("permissions", f"others may look into the folder ({folder.mode:04o})", f"chmod 700 {folder.path}")
    return ok("permissions", f"{folder.mode:04o}, and nobody else may open the files")


def _disk(folder: DataFolder) -> Finding:
    kind = folder.file_system
    if kind in _NETWORK:
        advice = "SQLite's log needs shared memory, which no network has: use a disk of this machine"
        return fail("disk", f"a network file system ({kind})", advice)
    if kind in _PASSING:
        advice = (
            "mount a volume there: the outbox holds what PostHog has not acknowledged, and the secret is kept there"
        )
        return warn("disk", f"{_PASSING[kind]} ({kind}), which does not last", advice)
    return ok("disk", f"a local file system ({kind})" if kind else "its kind is not known here")


def _room(folder: DataFolder, policy: AnalyticsPolicy) -> Finding:
    may_take_bytes = policy.outbox.max_bytes + policy.store.max_bytes
    taken_bytes = sum(journal.size_bytes for journal in folder.journals)
    found = (
        f"{_gib(folder.free_bytes)} free; the journal takes {_gib(taken_bytes)} of the {_gib(may_take_bytes)} it may"
    )
    advice = "free some, or lower outbox.max_bytes and store.max_bytes in analytics.yaml"
    if folder.free_bytes < MIN_FREE_BYTES:
        return fail("room", found, advice)
    if folder.free_bytes + taken_bytes < may_take_bytes:
        return warn("room", found, advice)
    return ok("room", found)


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:,.1f} GiB"


def _journals(folder: DataFolder, *, is_shipped: bool, now_s: float) -> Iterator[Finding]:
    if not folder.journals:
        yield skip("journal", "there is none yet", "start the proxy: `promptlane serve`")
        return
    for journal in folder.journals:
        if journal.trouble == _CLOSED:
            yield fail("journal", f"{journal.name} {_CLOSED}", "run this as the user that runs the proxy")
        elif journal.trouble:
            advice = "the next start puts it aside under another name and begins a new one"
            yield fail("journal", f"{journal.name} {journal.trouble}", advice)
    dead, dropped = (_sum(counts) for counts in zip(*((j.dead, j.dropped) for j in folder.journals), strict=True))
    yield _waiting(folder.journals, is_shipped=is_shipped, now_s=now_s)
    data = "" if folder.path == Path("data") else f" --data {folder.path}"
    if dead:
        advice = f"see them with `promptlane outbox dead{data}`; when the cause is gone, send them with `outbox replay`"
        yield warn("refused events", _reasons(dead), advice)
    if dropped:
        advice = f"they are lost; `promptlane outbox stats{data}` tells how much room an outage has"
        yield warn("dropped events", f"{_reasons(dropped)}, since the files were made", advice)


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Without what came to nothing."""
    return +sum(map(Counter, counts), Counter())


def _waiting(journals: Sequence[Journal], *, is_shipped: bool, now_s: float) -> Finding:
    pending = sum(journal.pending for journal in journals)
    oldest_us = min((j.oldest_pending_unix_us for j in journals if j.oldest_pending_unix_us is not None), default=None)
    found = f"{pending:,} events wait" if pending else "no event waits"
    if is_shipped and oldest_us is not None and (age_s := now_s - oldest_us / 1e6) > OLD_S:
        advice = "does the proxy run? if it does, PostHog does not take them: --online tells why"
        return warn("outbox", f"{found}, the oldest for {age_s / 60:,.0f} minutes", advice)
    return ok("outbox", found if is_shipped else f"{found}; without a project to send them to, events stay here")


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.items()))
