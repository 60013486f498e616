"""The tree of commands. What a command needs is imported when it runs, so that help is quick."""

import typer

import serinus
from serinus.cli import (
    check,
    crds,
    demo,
    explain,
    forward,
    get,
    history,
    lab,
    lint,
    programs,
    reference,
    status,
    verbs,
)

app = typer.Typer(
    help="Progressive delivery for the Kuma service mesh.\n\n"
    "Try it without a cluster: `serinus demo`. A cluster of your own to play with: "
    "`serinus lab up`, then `serinus lab shell`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
lab.app.command("forward")(forward.forward)
app.add_typer(lab.app, name="lab")
app.command("crds")(crds.crds)
app.command("lint")(lint.lint)
app.command("check")(check.check)
app.command("reference")(reference.reference)
app.command("demo")(demo.demo)
app.command("get")(get.get)
app.command("status")(status.status)
app.command("explain")(explain.explain)
app.command("history")(history.history)
for verb in (verbs.pause, verbs.resume, verbs.promote, verbs.abort, verbs.retry):
    app.command(verb.__name__)(verb)

_RAW = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command("operator", context_settings=_RAW)
def operator(context: typer.Context) -> None:
    """Run the operator. Its flags are Flagger's; `serinus operator --help` lists them.

    Example: serinus operator -mesh-provider=kuma -metrics-server=http://prometheus:9090
    """
    raise typer.Exit(programs.run("operator", context.args))


@app.command("loadtester", context_settings=_RAW)
def loadtester(context: typer.Context) -> None:
    """Run the load tester. Its flags are Flagger's; `serinus loadtester --help` lists them.

    Example: serinus loadtester -port=8080 -timeout=1h
    """
    raise typer.Exit(programs.run("loadtester", context.args))


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(serinus.__version__)
