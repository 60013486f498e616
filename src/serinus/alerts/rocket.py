"""Rocket.Chat: Slack's attachment, in colours that Rocket.Chat knows."""

from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Receiver, Request
from serinus.alerts.slack import attachment

_COLORS = {"info": "#0076D7", "warn": "#FFA500", "error": "#FF0000"}


def request(receiver: Receiver, notice: Notice) -> Request:
    """The message as one attachment."""
    return Request(receiver.address, attachment(receiver, notice, _COLORS[notice.severity]))
