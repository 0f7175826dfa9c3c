"""Other collections of prices that are at hand: litellm's map, and genai-prices."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from proxy.config.base_table import prices_of
from proxy.config.litellm_map import MEMBER, NotAMap, convert, installed_map, parse_map, read_map
from proxy.domain.rates import Price

INSTALLED = ""
"""`--litellm` without a file: the map of the installed package."""
_NO_GENAI = "genai-prices is not installed: pip install genai-prices"
_NO_LITELLM = (
    "litellm is not installed; it need not be: name its price map after --litellm, a wheel (pip download --no-deps "
    f"litellm) or the file {Path(MEMBER).name}"
)


class PriceSource(Protocol):
    """A collection of prices, by vendors' labels as ours."""

    name: str

    def names(self, label: str) -> Iterable[str]:
        """The models of one vendor."""

    def find(self, label: str, model: str) -> Price | None:
        """The price of a model; None where the collection has none."""


@dataclass(slots=True)
class TablePrices:
    """A collection that is a table."""

    name: str
    models: Mapping[str, Mapping[str, Price]]

    def names(self, label: str) -> Iterable[str]:
        """The models of one vendor."""
        return self.models.get(label, {})

    def find(self, label: str, model: str) -> Price | None:
        """The price of a model; None where the collection has none."""
        return self.models.get(label, {}).get(model)


def open_sources(litellm: str | None, *, genai: bool, on: date) -> tuple[list[PriceSource], list[str]]:
    """What was asked for, else what is installed; and why what was asked for, or all of them, cannot be read."""
    is_asked = litellm is not None or genai
    opened: list[PriceSource | str] = []
    if litellm is not None or not is_asked:
        opened.append(_litellm(litellm or INSTALLED))
    if genai or not is_asked:
        opened.append(_genai(on))
    sources = [each for each in opened if not isinstance(each, str)]
    problems = [each for each in opened if isinstance(each, str)]
    return sources, problems if is_asked or not sources else []


def _litellm(source: str) -> PriceSource | str:
    """The map in a file, a wheel or a folder, or that of the installed package; else why there is none."""
    path = installed_map() if source == INSTALLED else Path(source)
    if path is None:
        return _NO_LITELLM
    try:
        models = prices_of(convert(parse_map(read_map(path))).models)
    except OSError:
        return f"{path}: this cannot be read"
    except (KeyError, zipfile.BadZipFile, NotAMap):
        return f"{path}: this is neither litellm's price map nor a wheel with it"
    return TablePrices(f"litellm {_installed_version()}" if source == INSTALLED else path.name, models)


def _installed_version() -> str:
    try:
        return version("litellm")
    except PackageNotFoundError:  # a bare folder on the path
        return "of no version"


def _genai(on: date) -> PriceSource | str:
    if find_spec("genai_prices") is None:
        return _NO_GENAI
    from proxy.config.genai_map import GenaiPrices  # an extra, and slow to import

    return GenaiPrices(on)
