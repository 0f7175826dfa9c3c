"""Text to checked domain values: the only place that knows YAML and pydantic.

Start at `load`. A file becomes a `Document` (values with their places), a `Section` model checks its shape, and a
`compile_…` function makes domain values of it and reports what only the whole can show.
"""

from proxy.config.changes import Changes, Refused, lost_files
from proxy.config.load import Configuration, Places, compile_files, find_places, load, load_prices
from proxy.config.problems import ConfigError, Problem
from proxy.config.secret import load_secret

__all__ = [
    "Changes",
    "ConfigError",
    "Configuration",
    "Places",
    "Problem",
    "Refused",
    "compile_files",
    "find_places",
    "load",
    "load_prices",
    "load_secret",
    "lost_files",
]
