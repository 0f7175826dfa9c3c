"""Feature flags as the configuration wants them now: nothing at all where no rollout asks for one."""

from pathlib import Path

from proxy.adapters.flags import FlagService, FlagSettings, Project
from proxy.adapters.flags.kept_file import FILE_NAME, read_kept
from proxy.config import Configuration
from proxy.domain.flag_definitions import Definitions, read_definitions


class FlagSwitch:
    """`service` is asked on the event loop; it is made when the first rollout by a flag is configured."""

    def __init__(self, data_dir: Path, worker: int) -> None:
        self._data_dir = data_dir
        self._fetches = worker == 0
        self.service: FlagService | None = None

    @property
    def is_alarming(self) -> bool:
        """Rollouts run their defaults, or go by definitions that have not been renewed for a while."""
        return self.service is not None and self.service.is_alarming

    async def take_up(self, configuration: Configuration) -> None:
        """From here on decide as this configuration wants. May wait a moment for the first definitions."""
        settings, before = flag_settings(configuration), self.service
        if settings == (before.settings if before is not None else None):
            return
        made = None
        if settings is not None:
            made = FlagService(settings, self._data_dir, fetches=self._fetches)
            await made.start()
        self.service = made
        if before is not None:
            await before.stop()

    async def stop(self) -> None:
        """Fetch no more definitions."""
        if self.service is not None:
            await self.service.stop()


def flag_settings(configuration: Configuration) -> FlagSettings | None:
    """None where no rollout asks for a flag, or a key is missing."""
    destination, policy = configuration.destination, configuration.analytics.flags
    wanted = configuration.flags
    if not wanted or destination.api_key is None or destination.secret_key is None:
        return None
    return FlagSettings(
        project=Project(host=destination.host, api_key=destination.api_key, secret_key=destination.secret_key),
        wanted=wanted,
        person_properties=policy.person_properties,
        poll_s=policy.poll_s,
    )


def kept_definitions(configuration: Configuration, data_dir: Path) -> Definitions | None:
    """Those that a worker fetched last; None where there are none of this project. Reads the disk."""
    if (settings := flag_settings(configuration)) is None:
        return None
    kept = read_kept(data_dir / FILE_NAME, settings.project)
    return None if kept is None else read_definitions(kept.document)
