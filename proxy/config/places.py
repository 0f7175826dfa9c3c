"""Where configuration and data are."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.config.problems import ConfigError, Problem

DEFAULT_CONFIG_DIR, DEFAULT_PRICING_FILE, DEFAULT_DATA_DIR = Path("config"), Path("pricing.yaml"), Path("data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where configuration and data are; see `find_places`."""

    config_dir: Path
    pricing_file: Path
    data_dir: Path


def find_places(
    env: Mapping[str, str], *, config: str | None = None, pricing: str | None = None, data: str | None = None
) -> Places:
    """Flags, then variables, then defaults. Raises ConfigError for a named place that does not exist.

    A default place may be absent, and so may the data folder, which is made when it is needed.
    """
    problems = []
    config = config or env.get("PROMPTLANE_CONFIG") or None
    pricing = pricing or env.get("PROMPTLANE_PRICING") or None
    if config and not stat.S_ISDIR(mode_of(Path(config))):
        problems.append(Problem(file=config, message="there is no such folder"))
    if pricing and not stat.S_ISREG(mode_of(Path(pricing))):
        problems.append(Problem(file=pricing, message="there is no such file"))
    if problems:
        raise ConfigError(problems)
    return Places(
        config_dir=Path(config) if config else DEFAULT_CONFIG_DIR,
        pricing_file=Path(pricing) if pricing else DEFAULT_PRICING_FILE,
        data_dir=Path(data or env.get("PROMPTLANE_DATA") or DEFAULT_DATA_DIR),
    )


def mode_of(path: Path) -> int:
    """What kind of thing is there; 0 for nothing, and for what nobody lets us look at."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
