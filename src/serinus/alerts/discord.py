"""Discord, by the part of its webhooks that speaks Slack."""

from urllib.parse import urlsplit, urlunsplit

from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Receiver, Request
from serinus.alerts.slack import attachment

_COLORS = {"info": "good", "warn": "warning", "error": "danger"}


def request(receiver: Receiver, notice: Notice) -> Request:
    """Slack's attachment, sent to the webhook's path with /slack behind it."""
    parts = urlsplit(receiver.address)
    path = parts.path.rstrip("/")
    if not path.endswith("/slack"):
        path += "/slack"
    address = urlunsplit(parts._replace(path=path))
    return Request(address, attachment(receiver, notice, _COLORS[notice.severity]))
