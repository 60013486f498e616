"""What a schema cannot say of built-in kinds, one module per family of kinds.

Each rule gets the object and, for an update, the object that it replaces; both have the types that
their schema asks for, and their defaults.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from serinus.lab.apiserver.schema.field_errors import FieldError

Object = Mapping[str, Any]
Rule = Callable[[Object, Object | None], Iterator[FieldError]]
