"""Text to checked domain values: the only place that knows YAML and pydantic.

Start at `load`. A file becomes a `Document` (values with their places), a `Section` model checks its shape, and a
`compile_…` function makes domain values of it and reports what only the whole can show.

What is named here knows neither of the two: who serves has its configuration read by another process.
"""

from proxy.config.changes import Changes, Refused, Seen, lost_files
from proxy.config.configuration import Configuration
from proxy.config.places import Places, find_places
from proxy.config.problems import ConfigError, Problem
from proxy.config.secret import given_secret, load_secret

__all__ = [
    "Changes",
    "ConfigError",
    "Configuration",
    "Places",
    "Problem",
    "Refused",
    "Seen",
    "find_places",
    "given_secret",
    "load_secret",
    "lost_files",
]
