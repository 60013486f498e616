"""From tokens to the tree. What the language of Flagger's templates does not need is refused."""

from collections.abc import Collection
from typing import Literal

from serinus.metrics.gotemplate import nodes as n
from serinus.metrics.gotemplate.error import TemplateError, error_at
from serinus.metrics.gotemplate.lexer import Kind, Token, tokens

DEEPEST = 50
"""How far parentheses and blocks may be nested."""

_BLOCKS: dict[str, Literal["if", "with", "range"]] = {"if": "if", "with": "with", "range": "range"}
_ENDS = ("else", "end")
_UNKNOWN_WORDS = ("template", "define", "block", "break", "continue", "nil")


def parse(text: str, functions: Collection[str]) -> tuple[n.Node, ...]:
    """The template's content; ``functions`` are the names that it may call.

    Raises `TemplateError`.
    """
    return _Parser(text, functions).nodes(())


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self._text = text
        self._functions = functions
        self._tokens = list(tokens(text))
        self._next = 0
        self._variables = ["$"]
        self._depth = 0

    def nodes(self, ends: tuple[str, ...]) -> tuple[n.Node, ...]:
        """What comes up to ``{{end}}`` or ``{{else``, of which `_peek` is then the word; without
        ``ends``, up to the end of the text."""
        found: list[n.Node] = []
        while True:
            token = self._take()
            if token.kind == "text":
                found.append(n.Text(token.at, token.text))
            elif token.kind == "end":
                if ends:
                    raise self._error(token, 'unexpected end of the template: "{{end}}" is missing')
                return tuple(found)
            else:
                word = self._peek()
                if word.kind == "word" and word.text in _ENDS:
                    if word.text not in ends:
                        raise self._error(word, f'unexpected "{{{{{word.text}}}}}"')
                    return tuple(found)
                found.append(self._block() or self._print(token.at))

    def _print(self, at: int) -> n.Print:
        pipeline = self._pipeline()
        self._expect("close")
        return n.Print(at, pipeline)

    def _block(self) -> n.Block | None:
        word = self._peek()
        kind = _BLOCKS.get(word.text) if word.kind == "word" else None
        if kind is None:
            return None
        self._take()
        self._enter(word)
        outside = len(self._variables)
        pipeline = self._pipeline(both=kind == "range")
        self._expect("close")
        inside = len(self._variables)
        body = self.nodes(_ENDS)
        del self._variables[inside:]
        otherwise = self._otherwise(kind)
        del self._variables[outside:]
        self._depth -= 1
        return n.Block(word.at, kind, pipeline, body, otherwise)

    def _otherwise(self, kind: str) -> tuple[n.Node, ...]:
        """From ``else`` or ``end`` to behind the block's ``{{end}}``."""
        word = self._take()
        if word.text == "end":
            self._expect("close")
            return ()
        after = self._peek()
        if after.kind == "word" and after.text == kind and kind != "range":
            # {{else if}}: a block in the place of the else, that shares its {{end}}.
            block = self._block()
            return () if block is None else (block,)
        self._expect("close")
        nodes = self.nodes(("end",))
        self._take()
        self._expect("close")
        return nodes

    def _pipeline(self, *, both: bool = False) -> n.Pipeline:
        """``both`` tells that two variables may be declared."""
        at = self._peek().at
        variables, declares = self._declaration(both)
        commands = [self._command()]
        while self._peek().kind == "|":
            self._take()
            commands.append(self._command())
            first = commands[-1].first
            if not isinstance(first, n.Function):
                raise error_at(self._text, first.at, "only a function can stand behind a |")
        if declares:
            self._variables += variables
        return n.Pipeline(at, tuple(commands), variables, declares)

    def _declaration(self, both: bool) -> tuple[tuple[str, ...], bool]:
        """The variables that the pipeline goes to; (), True for none."""
        start, names = self._next, []
        while self._peek().kind == "variable":
            names.append(self._take())
            mark = self._peek().kind
            if mark in (":=", "="):
                self._take()
                if mark == "=":
                    for name in names:
                        self._known(name)
                return tuple(name.text for name in names), mark == ":="
            if mark != "," or not both or len(names) == 2:
                break
            self._take()
        if len(names) == 2 or (names and self._peek().kind == ","):
            raise self._error(self._peek(), f'unexpected "{self._peek().text}" in a declaration')
        self._next = start
        return (), True

    def _command(self) -> n.Command:
        first = self._operand()
        arguments: list[n.Operand] = []
        while self._peek().kind not in ("|", ")", "close"):
            following = self._peek()
            if not following.spaced:
                raise self._error(following, f'unexpected "{following.text}"')
            arguments.append(self._operand())
        if arguments and not isinstance(first, n.Function):
            raise error_at(self._text, first.at, "only a function takes arguments")
        return n.Command(first.at, first, tuple(arguments))

    def _operand(self) -> n.Operand:
        token = self._peek()
        operand = self._term()
        while self._peek().kind == "field" and not self._peek().spaced:
            field = self._take()
            if isinstance(operand, n.Constant | n.Dot):
                raise self._error(field, f'unexpected ".{field.text}" after "{token.text}"')
            operand = n.Field(field.at, operand, field.text)
        if self._peek().kind == "dot" and not self._peek().spaced:
            raise self._error(self._peek(), 'unexpected "."')
        return operand

    def _term(self) -> n.Operand:
        token = self._take()
        match token.kind:
            case "value":
                return n.Constant(token.at, token.value)
            case "dot":
                return n.Dot(token.at)
            case "field":
                return n.Field(token.at, n.Dot(token.at), token.text)
            case "variable":
                self._known(token)
                return n.Variable(token.at, token.text)
            case "word":
                return self._function(token)
            case "(":
                self._enter(token)
                pipeline = self._pipeline()
                self._expect(")")
                self._depth -= 1
                return n.Group(token.at, pipeline)
            case "close" | "end":
                raise self._error(token, "a value is missing")
        raise self._error(token, f'unexpected "{token.text}"')

    def _function(self, token: Token) -> n.Function:
        if token.text in self._functions:
            return n.Function(token.at, token.text)
        if token.text in (*_BLOCKS, *_ENDS):
            raise self._error(token, f'unexpected "{token.text}"')
        known = ", ".join(sorted(self._functions))
        if token.text in _UNKNOWN_WORDS:
            raise self._error(token, f'"{token.text}" is not supported')
        raise self._error(token, f'function "{token.text}" not defined', f"; known are {known}")

    def _known(self, token: Token) -> None:
        if token.text not in self._variables:
            raise self._error(token, f'variable "{token.text}" not defined')

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(token, f"nested more than {DEEPEST} times")

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _expect(self, kind: Kind) -> None:
        token = self._take()
        if token.kind != kind:
            raise self._error(token, f'unexpected "{token.text}"')

    def _error(self, token: Token, message: str, more: str = "") -> TemplateError:
        return error_at(self._text, token.at, message, more)
