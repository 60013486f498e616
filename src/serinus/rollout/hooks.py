"""The webhooks of a rollout: services that are asked at one point of it, in the order listed.

Gates (`confirm-*`) are hooks too, but what a closed one means is `serinus.rollout.gates`' business.
"""

from collections.abc import Generator

from serinus.api.canary import Canary, Phase, Webhook
from serinus.rollout import messages
from serinus.rollout.effects import Effect, Failed, Outcome, Record, RunHook
from serinus.rollout.tick import Check, Tick

Refusal = Generator[Effect, Outcome, tuple[Webhook, str] | None]
"""Asks hooks, and returns the first that said no, with its words."""


def of_kind(canary: Canary, kind: str) -> tuple[Webhook, ...]:
    """The hooks of one type."""
    return tuple(hook for hook in canary.spec.analysis.webhooks if hook.kind == kind)


def ask(canary: Canary, kind: str, phase: str = Phase.PROGRESSING) -> Refusal:
    """Ask the hooks of one type, up to the first that says no, telling of each that says yes.

    ``phase`` is what the payload says; for most hooks it is always Progressing, as in Flagger.
    """
    for hook in of_kind(canary, kind):
        outcome = yield RunHook(hook, phase)
        if isinstance(outcome, Failed):
            return hook, outcome.why
        if kind != "rollout":
            yield Record("Normal", messages.hook_passed(kind, hook.name))
    return None


def rollback_asked(canary: Canary, phase: Phase) -> Check:
    """Whether a `rollback` hook calls for going back. One that cannot be reached does not."""
    for hook in of_kind(canary, "rollback"):
        outcome = yield RunHook(hook, phase)
        if not isinstance(outcome, Failed):
            yield Record("Warning", messages.hook_passed("rollback", hook.name))
            return True
        yield Record("Normal", messages.no_rollback_asked(hook.name), lasting=True)
    return False


def after_rollout(canary: Canary, phase: Phase) -> Tick:
    """Tell the `post-rollout` hooks how it ended. They cannot change it any more."""
    refusal = yield from ask(canary, "post-rollout", phase)
    if refusal is not None:
        hook, why = refusal
        yield Record("Warning", messages.post_rollout_failed(hook.name, why))
