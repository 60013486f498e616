"""`serinus check`: whether a cluster is fit for its canaries."""

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import Context, Kubeconfig, access, named, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serinus.operator.checkup import Report, ToMend


def check(
    canaries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[[canary/]NAME...]", help="These canaries alone.", show_default=False
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="The canaries of this namespace; of all unless told."
        ),
    ] = None,
    metrics_server: Annotated[
        str,
        typer.Option(
            "--metrics-server",
            metavar="URL",
            help="Prometheus, as it is reached from here; the operator's unless told.",
        ),
    ] = "",
    form: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Look at a cluster: versions, the dialect of each mesh and why, what keeps canaries back.

    Nothing is written. Exit status 0 when all is well, 1 when there is something to mend, 2 when
    the cluster cannot be read.

    Example: serinus check -n test
    """
    import asyncio
    import json

    from serinus.cluster.errors import ApiError, Unreachable
    from serinus.cluster.kubeconfig import NoConnection

    output(form, "text", "json")
    names = [named(one) for one in canaries or ()]
    if metrics_server and not metrics_server.startswith(("http://", "https://")):
        raise typer.BadParameter(f'"{metrics_server}" is no address; write http://HOST:PORT')

    async def work() -> "Report":
        from serinus.cluster.client import Client
        from serinus.operator.checkup import examine

        async with access(kubeconfig, context, namespace) as cluster:
            # Canaries that are named are those of one namespace, as in every other command.
            where = cluster.namespace if names else namespace
            async with Client(cluster.client.connection, may_write=lambda: False) as reader:
                return await examine(reader, where, names, metrics_server)

    try:
        report = asyncio.run(work())
    except (ApiError, Unreachable, NoConnection) as error:
        typer.echo(f"serinus: {error}", err=True)
        raise typer.Exit(2) from None
    absent = set(names) - {one.name for one in report.canaries}
    if absent:
        typer.echo(f"serinus: there is no canary {', '.join(sorted(absent))}", err=True)
        raise typer.Exit(2)
    if form == "json":
        import msgspec

        typer.echo(json.dumps(msgspec.to_builtins(report), indent=2))
    else:
        typer.echo("\n".join(_lines(report)))
    if report.count:
        raise typer.Exit(1)


def _lines(report: "Report") -> "Iterator[str]":
    yield f"{'Kubernetes':<12}{report.kubernetes}"
    planes = ", ".join(report.control_planes) or "no control plane to be seen"
    yield f"{'Kuma':<12}{report.kuma} by its CRDs; {planes}"
    crds = ", ".join(name.partition(".")[0] for name in report.crds)
    yield f"{'':<12}{crds or 'no CRDs'}"
    if report.sidecars:
        pods = (f"{version} in {count} pods" for version, count in report.sidecars.items())
        yield f"{'':<12}sidecars: {', '.join(pods)}"
    yield f"{'Serinus':<12}{', '.join(report.operators) or 'no operator'}"
    yield f"{'Prometheus':<12}{report.metrics_server}"
    yield from _mend(report.to_mend)
    for mesh in report.meshes:
        yield ""
        yield f"Mesh {mesh.name}: MeshServices {mesh.mode}"
        if mesh.dialect:
            yield f"  {mesh.dialect}: {mesh.why}"
        if mesh.prometheus and not mesh.to_mend:
            yield f"  Prometheus: {mesh.prometheus}"
        yield from _mend(mesh.to_mend)
    for one in report.canaries:
        yield ""
        kept = "refused" if one.to_mend else "not ready for traffic" if one.unprepared else "well"
        phase = f", {one.phase}" if one.phase else ""
        yield f"Canary {one.namespace}/{one.name}{phase}: {kept}"
        if one.dialect:
            chosen = f", as its annotation says: {one.chosen_by}" if one.chosen_by else ""
            yield f"  mesh {one.mesh}, {one.dialect}{chosen}"
        yield from _mend(one.to_mend + one.unprepared)
    yield ""
    things = "1 thing" if report.count == 1 else f"{report.count} things"
    yield f"{things} to mend." if report.count else "All is well."


def _mend(found: "tuple[ToMend, ...]") -> "Iterator[str]":
    for one in found:
        yield f"  ! {one.field}: {one.message}" if one.field else f"  ! {one.message}"
