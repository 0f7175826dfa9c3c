"""A message's header fields, looked at once.

Which names a message has settles most of what is decided about it: what is ours, what goes on, where a key may stand.
The same few sets of names come again and again, from the same SDKs and the same providers, so what follows from a set
is worked out when it is first seen and remembered: here, and by the functions elsewhere that are given a `Names`.
Names alone are remembered, never a value.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

MOST_SETS = 128
"""How many sets of names are remembered, by each who does. A head has 32 KiB at most, so that whoever sends one set of
long names after the other fills some 25 MiB and no more."""


class Names:
    """A message's names. Compared by identity, so that it costs nothing to remember something by them."""

    __slots__ = ("at", "form", "lower", "spelled")

    def __init__(self, spelled: tuple[str, ...]) -> None:
        self.spelled = spelled
        """As they came (any case), in order, repeated ones too."""
        self.lower = tuple(name.lower() for name in spelled)
        self.at: dict[str, int] = {}
        """Where each stands first, by its lower-case name."""
        for position, name in enumerate(self.lower):
            self.at.setdefault(name, position)
        self.form = "".join(f"{name.replace('%', '%%')}: %s\r\n" for name in spelled)
        """Their lines, with a place for each value: to fill them in at once takes a quarter of the time."""


@lru_cache(maxsize=MOST_SETS)
def names_of(spelled: tuple[str, ...]) -> Names:
    """The same object for the same names, as long as they are remembered."""
    return Names(spelled)


class Fields:
    """A head's fields; yields (name, value) pairs as they came, in order, duplicates kept. Shows no value of itself."""

    __slots__ = ("names", "values")

    def __init__(self, names: Names, values: Sequence[str]) -> None:
        """A value for each name."""
        self.names = names
        self.values = values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.names.spelled, self.values, strict=True)

    def first(self, name: str) -> str | None:
        """The first value of a field, by lower-case name."""
        position = self.names.at.get(name)
        return None if position is None else self.values[position]

    def all(self, name: str) -> list[str]:
        """Every value of a field, by lower-case name."""
        names = self.names
        if name not in names.at:
            return []
        if names.lower.count(name) == 1:
            return [self.values[names.at[name]]]
        return [value for other, value in zip(names.lower, self.values, strict=True) if other == name]

    def lines(self) -> str:
        """As they are written, each with the end of its line."""
        return self.names.form % tuple(self.values)


def fields_of(pairs: Iterable[tuple[str, str]]) -> Fields:
    """Fields from (name, value) pairs."""
    listed = list(pairs)
    return Fields(names_of(tuple([name for name, _ in listed])), [value for _, value in listed])


NO_FIELDS = fields_of(())
