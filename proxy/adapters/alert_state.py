"""What fires and what was told of it, in a file of the data folder that outlives restarts.

Whoever looks at the alerts has the file to himself for the whole look, so that a look by hand and one by the proxy
never tell twice of the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy.adapters.state_file import locked, replace_file
from proxy.domain.alert_records import from_json, to_json
from proxy.domain.alerts import AlertBook, AlertChange

FILE_NAME = "alerts.json"


class Damaged(Exception):
    """The file holds something else; the text says which file."""


class AlertState:
    """Blocks; not for the event loop."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME

    def read(self) -> AlertBook:
        """What the last look left. Raises OSError, Damaged."""
        try:
            return from_json(self.path.read_bytes())
        except FileNotFoundError:
            return AlertBook()
        except ValueError:
            raise Damaged(f"{self.path} holds no alerts") from None

    @contextmanager
    def looking(self) -> Iterator[AlertBook]:
        """Nobody else looks meanwhile; yields what the last look left. Raises OSError, Damaged."""
        with locked(self.path):
            yield self.read()

    def write(self, book: AlertBook) -> None:
        """Within `looking`. Raises OSError."""
        replace_file(self.path, to_json(book))


def firing_alerts(data_dir: Path) -> tuple[AlertChange, ...]:
    """What fires now, as it was when it began, oldest first; nothing where nobody can say."""
    try:
        book = AlertState(data_dir).read()
    except (OSError, Damaged):
        return ()
    return tuple(sorted((each.fired for each in book.firing.values()), key=lambda fired: fired.at_unix_us))
