"""Changes of rollouts, in a small file of the data folder that every worker watches.

The file is replaced whole, and is on disk before the change counts, so that a stopped rollout stays stopped across any
kind of end. Whoever writes holds a lock, since a guardrail and an operator may write at the same time. A file that
cannot be read stops nothing and resumes nothing: what counted before goes on to count, and where nothing did, since
the process has just begun, every rollout runs its default until somebody has put the file right.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from proxy.adapters.state_file import Signature, locked, replace_file, signature_of
from proxy.domain.overrides import NO_OVERRIDES, UNKNOWN_OVERRIDES, Overrides
from proxy.domain.rollout_changes import AtPostHog, RolloutChange, from_json, overrides_of, to_json

FILE_NAME = "rollouts.json"
KEPT_CHANGES = 200
"""The newest; the last one of each flag is always kept."""


class Damaged(Exception):
    """The file holds something else; the text says which file."""


class RolloutState:
    """For command line and child processes; blocks."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME

    def changes(self) -> list[RolloutChange]:
        """All that are kept, oldest first. Raises OSError, Damaged."""
        try:
            return from_json(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except ValueError:
            raise Damaged(f"{self.path} holds no list of changes") from None

    def add(self, change: RolloutChange, only_if: Callable[[Overrides], bool] = lambda _: True) -> bool:
        """The change counts when this returns True; False where what counts by now spoke against it.

        Raises OSError, Damaged.
        """
        is_added = False

        def extended(changes: list[RolloutChange]) -> list[RolloutChange]:
            nonlocal is_added
            is_added = only_if(overrides_of(changes))
            return _newest([*changes, change]) if is_added else changes

        self._rewrite(extended)
        return is_added

    def note(self, change_id: str, at_posthog: AtPostHog) -> None:
        """What became of the change at PostHog. Raises OSError, Damaged."""
        self._rewrite(
            lambda changes: [
                replace(change, at_posthog=at_posthog) if change.id == change_id else change for change in changes
            ]
        )

    def _rewrite(self, made: Callable[[list[RolloutChange]], list[RolloutChange]]) -> None:
        with locked(self.path):
            before = self.changes()
            if (after := made(before)) != before:
                replace_file(self.path, to_json(after))


class WatchedRollouts:
    """What counts now, for one worker: `look` several times a second, off the event loop."""

    def __init__(self, data_dir: Path) -> None:
        self._state = RolloutState(data_dir)
        self._mark: Signature | None = None
        self.overrides: Overrides = NO_OVERRIDES
        self.changes: Sequence[RolloutChange] = ()
        self.is_readable = True
        """False while the file is damaged or cannot be read: what counted before counts."""
        self._has_read = False

    def look(self) -> bool:
        """True where the changes are not those of the last look. Never raises."""
        mark = signature_of(self._state.path)
        if mark == self._mark and self.is_readable:
            self._has_read = True
            return False
        try:
            changes = self._state.changes()
        except (OSError, Damaged):
            was_readable, self.is_readable = self.is_readable, False
            if not self._has_read:
                self.overrides = UNKNOWN_OVERRIDES
            return was_readable
        self._mark, self.is_readable, self._has_read = mark, True, True
        self.overrides, self.changes = overrides_of(changes), changes
        return True


def _newest(changes: list[RolloutChange]) -> list[RolloutChange]:
    last = {change.flag: change.id for change in changes}
    old, new = changes[:-KEPT_CHANGES], changes[-KEPT_CHANGES:]
    return [change for change in old if last[change.flag] == change.id] + new
