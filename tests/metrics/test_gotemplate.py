"""Our engine against what Go's own rendered (``recorded/``), and against anything at all."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serinus.metrics.gotemplate import TemplateError, Value, render

RECORDED = Path(__file__).with_name("recorded")
NAMES: dict[str, Value] = {
    "name": "podinfo",
    "namespace": "test",
    "target": "podinfo",
    "service": "front",
    "ingress": "podinfo",
    "route": "podinfo",
    "interval": "1m",
    "variables": {"direction": "inbound", "empty": "", "quantile": "0.99"},
}


def ours(text: str) -> str | None:
    try:
        return render(text, NAMES)
    except TemplateError:
        return None


def recorded(name: str) -> list[tuple[str, str | None]]:
    pairs = json.loads((RECORDED / f"{name}.json").read_text())
    return [(text, rendered) for text, rendered in pairs]


@pytest.mark.parametrize(("text", "rendered"), recorded("queries"))
def test_queries_are_rendered_and_refused_as_go_does(text: str, rendered: str | None) -> None:
    assert ours(text) == rendered


def test_generated_templates_are_rendered_as_go_does_or_refused() -> None:
    same = 0
    for text, rendered in recorded("odd"):
        mine = ours(text)
        assert mine in (rendered, None), text
        same += mine == rendered
    assert same > 380


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{{ foo }}",
            'function "foo" not defined at 1:4; known are and, eq, ge, gt, index, ingress,'
            " interval, le, len, lt, name, namespace, ne, not, or, printf, route, service,"
            " target, variables",
        ),
        (
            'a\n  {{ variables.direction }}{{ variables.region }}"',
            'variable "region" is not given at 2:40; given are direction, empty, quantile',
        ),
        ("{{ target.x }}", 'a string has no ".x" at 1:10'),
        ("{{ .Name }}", 'nothing has no ".Name" at 1:4'),
        ("{{ . }}", "there is nothing to print at 1:4"),
        ("{{ variables }}", "a map cannot be printed; name one of its entries at 1:4"),
        ('{{ printf "%d" target }}', 'printf "%d" cannot write podinfo at 1:4'),
        ('{{ printf "%s" }}', "printf has no argument for %s at 1:4"),
        ('{{ printf "%s" target name }}', "printf has too many arguments (1) at 1:4"),
        ('{{ printf "%" }}', "printf has a % without a verb at 1:4"),
        ('{{ printf "%9999d" 1 }}', "printf cannot write 9999 characters; 1000 are the most at"),
        ('{{ printf "%U" 1 }}', 'printf knows no "%U"; use %s, %q, %v, %d, %x, %f, %e, %g, %t at'),
        ('{{ define "x" }}{{ end }}', '"define" is not supported at 1:4'),
        ("{{ if true }}\n{{ end", "unclosed action at 2:1"),
        ("{{ if true }}", 'unexpected end of the template: "{{end}}" is missing at 1:14'),
        ("x{{ end }}", 'unexpected "{{end}}" at 1:5'),
        ("{{ 'a' }}", 'unexpected "\'" at 1:4'),
        ("{{ target 1 }}", "target takes no arguments at 1:4"),
        ("{{ $x }}", 'variable "$x" not defined at 1:4'),
        ("{{/* a", "unclosed comment at 1:1"),
        ("{{" + "(" * 60 + "1" + ")" * 60 + "}}", "nested more than 50 times at 1:53"),
        ("{{ if 1 }}" * 60 + "{{ end }}" * 60, "nested more than 50 times at 1:504"),
        ("x" * 100_001, "a template of more than 100000 characters at 1:100001"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, NAMES)
    assert str(caught.value).startswith(message)


def test_a_template_cannot_run_for_ever_nor_grow_without_bound() -> None:
    many = {"variables": {f"v{number}": "" for number in range(50)}}
    loops = "{{ range variables }}" * 5 + "{{ end }}" * 5
    with pytest.raises(TemplateError, match="more than 100000 steps at 1:"):
        render(loops, many)
    doubled = '{{ $x := "abcdefgh" }}' + '{{ $x = printf "%s%s" $x $x }}' * 40
    with pytest.raises(TemplateError, match="a text of more than 100000 characters at 1:"):
        render(doubled, {})
    shown = '{{ $x := printf "%1000s" "" }}{{ range variables }}{{ range variables }}{{ $x }}'
    with pytest.raises(TemplateError, match="a text of more than 100000 characters at 1:"):
        render(shown + "{{ end }}{{ end }}", many)


@given(st.text().filter(lambda text: "{{" not in text))
@example("}} {% x %} ${y}")
def test_text_without_actions_is_unchanged(text: str) -> None:
    assert render(text, NAMES) == text


PIECES = [
    *("{{", "}}", "{{- ", " -}}", "{{/*", "*/}}", "(", ")", "|", ",", ":=", "=", ".", "$", "$x"),
    *(" ", "\n", '"', "`", "\\", "'", "-", "%", "if", "else", "end", "range", "with", "define"),
    *("target", "variables", ".direction", "printf", '"%5.2f"', '"%s"', "1", "2.5", "1e", "0x"),
    *("eq", "and", "index", "len", "not", "true", "nil", "foo", "é", "\u2028", "٣"),
    *("{{ if target }}", "{{ end }}", "{{ else }}", "{{ range $k, $v := variables }}"),
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
def test_nothing_but_a_template_error_is_ever_raised(text: str) -> None:
    try:
        assert isinstance(render(text, NAMES), str)
    except TemplateError as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.column >= 1


@given(st.text(alphabet="%-+# 0123456789.sqvdxfegtU[*", max_size=12), st.integers(0, 4))
def test_no_format_breaks_printf(form: str, which: int) -> None:
    argument = ("target", "7", "-2.5", "true", "variables")[which]
    try:
        render(f"{{{{ printf `{form}` {argument} }}}}", NAMES)
    except TemplateError as error:
        assert error.line == 1


@given(st.text(), st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), st.text()))
def test_values_are_put_in_as_they_are(target: str, variables: dict[str, str]) -> None:
    names: dict[str, Value] = {"target": target, "variables": variables}
    assert render("<{{ target }}>", names) == f"<{target}>"
    shown = render("{{ range $k, $v := variables }}{{ $k }}={{ $v }};{{ end }}", names)
    assert shown == "".join(f"{key}={variables[key]};" for key in sorted(variables))
