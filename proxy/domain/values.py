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
    """A dataclass that is compared and hashed by its fields, which are given by name, but where a call makes one each
    time and the order is plain.

    A name costs as much as the field itself, since Python puts names into a dictionary on their way to a class; and a
    default that may be given by name alone is looked up, where one that has a place is found there.
    """
    return dataclass(slots=True, unsafe_hash=True)(made)
