"""Value classes: made for each call by the dozen, and never changed.

That nobody changes them is held by the type checker, which refuses to assign to a field of theirs. A frozen dataclass
holds it at run time, too, and pays for it whenever one is made: with a call of `object.__setattr__` for each field,
some two hundred for one request.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value_class(made: type[T]) -> type[T]:
    """A dataclass that is compared and hashed by its fields, which are given by name."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(made)
