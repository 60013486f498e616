"""The chat services that an AlertProvider can name, and how each is spoken to."""

from collections.abc import Callable, Mapping

from serinus.alerts import discord, gchat, msteams, rocket, slack
from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Receiver, Request

SERVICES: Mapping[str, Callable[[Receiver, Notice], Request]] = {
    "slack": slack.request,
    "msteams": msteams.request,
    "discord": discord.request,
    "rocket": rocket.request,
    "gchat": gchat.request,
}

REFUSALS: Mapping[str, Callable[[str], str | None]] = {"slack": slack.refusal}
"""Who may answer 200 and mean no: why, by the answer's text; None when it means yes."""
