"""`serinus pause | resume | promote | abort | retry`: ask something of a rollout."""

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.access import Context, Kubeconfig, Name, Namespace, access, named, run

if TYPE_CHECKING:
    from serinus.cluster.client import Client

Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Whether to wait for the operator's answer.")
]
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait, such as 30s.")]

ANSWER_WITHIN = "1m"


def pause(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = True,
    timeout: Timeout = ANSWER_WITHIN,
) -> None:
    """Hold a rollout where it is, until it is resumed. Rollbacks still happen.

    Example: serinus pause -n test canary/podinfo
    """
    _ask("pause", name, namespace, context, kubeconfig, wait=wait, timeout=timeout)


def resume(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = True,
    timeout: Timeout = ANSWER_WITHIN,
) -> None:
    """Let a paused rollout go on.

    Example: serinus resume -n test canary/podinfo
    """
    _ask("resume", name, namespace, context, kubeconfig, wait=wait, timeout=timeout)


def promote(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = True,
    timeout: Timeout = ANSWER_WITHIN,
    force: Annotated[bool, typer.Option("--force", help="Pass closed gates too.")] = False,
) -> None:
    """Promote the revision on its way without the rest of its analysis; gates hold.

    Example: serinus promote -n test canary/podinfo --force
    """
    _ask("promote", name, namespace, context, kubeconfig, wait=wait, timeout=timeout, force=force)


def abort(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = True,
    timeout: Timeout = ANSWER_WITHIN,
) -> None:
    """Roll back now.

    Example: serinus abort -n test canary/podinfo
    """
    _ask("abort", name, namespace, context, kubeconfig, wait=wait, timeout=timeout)


def retry(
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    wait: Wait = True,
    timeout: Timeout = ANSWER_WITHIN,
) -> None:
    """Analyse once more the revision that failed.

    Example: serinus retry -n test canary/podinfo
    """
    _ask("retry", name, namespace, context, kubeconfig, wait=wait, timeout=timeout)


def request_of(user: str, now: datetime, *, force: bool) -> str:
    """The annotation's value: who asks, and when; so fine that asking again is a new request."""
    who = user or os.environ.get("USER") or "somebody"
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{who} at {at}" + (" --force" if force else "")


def _ask(
    verb: str,
    name: str,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
    *,
    wait: bool,
    timeout: str,
    force: bool = False,
) -> None:
    from serinus.api import duration

    name = named(name)
    try:
        seconds = duration.seconds(timeout)
    except ValueError as error:
        raise typer.BadParameter(f"--timeout: {error}") from None

    async def work() -> str | None:
        async with access(kubeconfig, context, namespace) as cluster:
            from serinus.cli.canaries import fetch
            from serinus.cluster.kinds import CANARIES
            from serinus.rollout.verbs import PREFIX

            await fetch(cluster.client, cluster.namespace, name)
            request = request_of(cluster.user, datetime.now(UTC), force=force)
            body = {"metadata": {"annotations": {PREFIX + verb: request}}}
            await cluster.client.patch(CANARIES, cluster.namespace, name, body)
            if not wait:
                typer.echo(f"{verb} canary/{name}: requested by {request}")
                return None
            return await _answer(cluster.client, cluster.namespace, name, verb, request, seconds)

    outcome = run(work)
    if outcome is None:
        return
    typer.echo(f"{verb} canary/{name}: {outcome}")
    if outcome != "Accepted":
        raise typer.Exit(1)


async def _answer(
    client: "Client", namespace: str, name: str, verb: str, request: str, seconds: float
) -> str:
    from serinus.cli.canaries import follow
    from serinus.cli.errors import CommandError

    try:
        async with asyncio.timeout(seconds):
            async for canary in follow(client, namespace, name):
                answer = canary.status.acknowledged.get(verb)
                if answer is not None and answer.request == request:
                    return answer.outcome
    except TimeoutError:
        raise CommandError(
            f"nobody has answered the {verb} of {name}.{namespace} within {seconds:g}s; is the"
            " operator running? The request stays, and will be answered when it does"
        ) from None
    raise AssertionError("unreachable: a canary is followed for ever")
