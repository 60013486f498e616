"""Data files about Kubernetes' own types, written by ``tools/schemas/generate.py``."""

from functools import cache
from importlib import resources
from typing import Any

import msgspec


@cache
def load(name: str) -> Any:
    """The content of ``NAME.json``. Callers share it: it must not be changed."""
    return msgspec.json.decode((resources.files(__name__) / f"{name}.json").read_bytes())
