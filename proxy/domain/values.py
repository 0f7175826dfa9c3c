"""Value classes: made for each call by the dozen, and never changed.

That nobody changes them is held by the type checker, which refuses to assign to a field of theirs. A frozen dataclass
holds it at run time, too, and pays for it whenever one is made: with a call of `object.__setattr__` for each field,
some two hundred for one request.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(made: type[T]) -> type[T]:
    """A dataclass that is compared and hashed by its fields, which are given by name.

    They could be given by their order, too, so that Python finds a default by its place: where only names are allowed
    it looks each of them up, which makes a class of twenty fields half as dear again.
    """
    return dataclass(slots=True, unsafe_hash=True)(made)
