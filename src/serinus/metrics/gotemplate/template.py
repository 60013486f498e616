"""A template, read once."""

from collections.abc import Mapping
from functools import lru_cache

from serinus.metrics.gotemplate.error import error_at
from serinus.metrics.gotemplate.evaluator import LONGEST, evaluate
from serinus.metrics.gotemplate.functions import FUNCTIONS, LAZY
from serinus.metrics.gotemplate.nodes import Node, Value
from serinus.metrics.gotemplate.parser import parse

REMEMBERED = 1024


def render(text: str, names: Mapping[str, Value]) -> str:
    """The template ``text`` as it reads with these names, which it calls as functions.

    Raises `TemplateError`, and nothing else, for what it cannot be read or rendered for.
    """
    return evaluate(text, _parsed(text, frozenset(names)), names)


@lru_cache(REMEMBERED)
def _parsed(text: str, names: frozenset[str]) -> tuple[Node, ...]:
    if len(text) > LONGEST:
        raise error_at(text, LONGEST, f"a template of more than {LONGEST} characters")
    return parse(text, names | FUNCTIONS.keys() | LAZY.keys())
