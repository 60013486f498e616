"""From the tree to text. Nothing is called but the functions in `FUNCTIONS` and the names given."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from serinus.metrics.gotemplate import nodes as n
from serinus.metrics.gotemplate.error import TemplateError, error_at
from serinus.metrics.gotemplate.formatting import show
from serinus.metrics.gotemplate.functions import FUNCTIONS, LAZY, kind, truth
from serinus.metrics.gotemplate.nodes import Value

MOST_STEPS = 100_000
"""Nodes that one rendering may visit: ranges within ranges are the only way to many."""

LONGEST = 100_000
"""Characters that the text, or a value, may have."""

Given = TypeVar("Given")
Made = TypeVar("Made")


def evaluate(text: str, nodes: Iterable[n.Node], names: Mapping[str, Value]) -> str:
    """The text that the template's ``nodes`` make; ``names`` are the functions without arguments.

    Raises `TemplateError` with the place in ``text``.
    """
    evaluator = _Evaluator(text, names)
    evaluator.walk(nodes, None)
    return "".join(evaluator.written)


class _Evaluator:
    def __init__(self, text: str, names: Mapping[str, Value]) -> None:
        self.written: list[str] = []
        self._text = text
        self._names = names
        self._variables: list[tuple[str, Value]] = [("$", None)]
        self._steps = 0
        self._length = 0

    def walk(self, nodes: Iterable[n.Node], dot: Value) -> None:
        """Write what the nodes say; the variables that they declare end with them."""
        outside = len(self._variables)
        for node in nodes:
            self._step(node.at)
            match node:
                case n.Text(at, text):
                    self._write(at, text)
                case n.Print(at, pipeline):
                    value = self._pipeline(pipeline, dot)
                    if not pipeline.variables:
                        self._write(at, self._try(pipeline.at, show, value))
                case n.Block():
                    self._block(node, dot)
        del self._variables[outside:]

    def _block(self, block: n.Block, dot: Value) -> None:
        outside = len(self._variables)
        if block.kind == "range":
            self._range(block, dot)
        else:
            value = self._pipeline(block.pipeline, dot)
            holds = truth(value)
            inner = value if block.kind == "with" and holds else dot
            self.walk(block.body if holds else block.otherwise, inner)
        del self._variables[outside:]

    def _range(self, block: n.Block, dot: Value) -> None:
        pipeline = block.pipeline
        value = self._commands(pipeline, dot)
        if value is not None and not isinstance(value, Mapping):
            raise self._error(pipeline.at, f"range wants a map, not {kind(value)}")
        if not value:
            self.walk(block.otherwise, dot)
            return
        for key, entry in sorted(value.items()):
            outside = len(self._variables)
            given = (key, entry)[-len(pipeline.variables) :] if pipeline.variables else ()
            for name, content in zip(pipeline.variables, given, strict=True):
                self._give(pipeline, name, content)
            self.walk(block.body, entry)
            del self._variables[outside:]

    def _pipeline(self, pipeline: n.Pipeline, dot: Value) -> Value:
        value = self._commands(pipeline, dot)
        for name in pipeline.variables:
            self._give(pipeline, name, value)
        return value

    def _give(self, pipeline: n.Pipeline, name: str, value: Value) -> None:
        if pipeline.declares:
            self._variables.append((name, value))
            return
        place = next(
            i for i, (known, _) in reversed([*enumerate(self._variables)]) if known == name
        )
        self._variables[place] = (name, value)

    def _commands(self, pipeline: n.Pipeline, dot: Value) -> Value:
        first, *others = pipeline.commands
        value = self._command(first, dot)
        for command in others:
            value = self._command(command, dot, n.Constant(command.at, value))
        return value

    def _command(self, command: n.Command, dot: Value, piped: n.Constant | None = None) -> Value:
        first = command.first
        arguments = command.arguments if piped is None else (*command.arguments, piped)
        if not isinstance(first, n.Function):
            return self._operand(first, dot)
        self._step(first.at)
        if first.name in self._names:
            if arguments:
                raise self._error(first.at, f"{first.name} takes no arguments")
            return self._names[first.name]
        if first.name in LAZY:
            return self._lazy(first, arguments, dot)
        values = [self._operand(argument, dot) for argument in arguments]
        value = self._try(first.at, FUNCTIONS[first.name], values)
        if isinstance(value, str) and len(value) > LONGEST:
            raise self._error(first.at, f"a text of more than {LONGEST} characters")
        return value

    def _lazy(self, function: n.Function, arguments: Iterable[n.Operand], dot: Value) -> Value:
        value: Value = None
        given = False
        for argument in arguments:
            value, given = self._operand(argument, dot), True
            if truth(value) == LAZY[function.name]:
                break
        if not given:
            raise self._error(function.at, f"{function.name} wants an argument")
        return value

    def _operand(self, operand: n.Operand, dot: Value) -> Value:
        self._step(operand.at)
        match operand:
            case n.Constant(_, value):
                return value
            case n.Dot():
                return dot
            case n.Variable(_, name):
                return next(value for known, value in reversed(self._variables) if known == name)
            case n.Function():
                return self._command(n.Command(operand.at, operand), dot)
            case n.Group(_, pipeline):
                return self._pipeline(pipeline, dot)
            case n.Field(at, of, name):
                return self._field(at, self._operand(of, dot), name)

    def _field(self, at: int, value: Value, name: str) -> Value:
        if not isinstance(value, Mapping):
            raise self._error(at, f'{kind(value)} has no ".{name}"')
        if name not in value:
            given = ", ".join(sorted(value)) or "none at all"
            raise self._error(at, f'variable "{name}" is not given', f"; given are {given}")
        return value[name]

    def _write(self, at: int, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST:
            raise self._error(at, f"a text of more than {LONGEST} characters")
        self.written.append(text)

    def _step(self, at: int) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise self._error(at, f"more than {MOST_STEPS} steps")

    def _try(self, at: int, call: Callable[[Given], Made], given: Given) -> Made:
        try:
            return call(given)
        except ValueError as error:
            raise self._error(at, str(error)) from error

    def _error(self, at: int, message: str, more: str = "") -> TemplateError:
        return error_at(self._text, at, message, more)
