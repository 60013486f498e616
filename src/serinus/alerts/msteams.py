"""Microsoft Teams: a channel's connector, or a flow of the Workflows app that took its place.

The two take different cards and neither takes the other's; which one it is shows in the address.
"""

from urllib.parse import urlsplit

from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Json, Receiver, Request

FLOW_HOSTS = ("logic.azure.com", "powerplatform.com", "powerautomate.com", "flow.microsoft.com")
"""Hosts (and domains of hosts) of Power Automate."""

FLOW_PATH = "/workflows/"
"""In the path of every flow's address, whatever proxy or national cloud its host is."""

_THEMES = {"info": "0076D7", "warn": "FFA500", "error": "FF0000"}
_COLORS = {"info": "Accent", "warn": "Warning", "error": "Attention"}


def request(receiver: Receiver, notice: Notice) -> Request:
    """The card that the address takes."""
    make = _adaptive_card if is_flow(receiver.address) else _message_card
    return Request(receiver.address, make(notice))


def is_flow(address: str) -> bool:
    """Whether a flow of Power Automate is there, and no connector."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return FLOW_PATH in parts.path or any(
        host == domain or host.endswith(f".{domain}") for domain in FLOW_HOSTS
    )


def _message_card(notice: Notice) -> Json:
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": _THEMES[notice.severity],
        "summary": notice.subject,
        "sections": [
            {
                "activityTitle": notice.text,
                "activitySubtitle": notice.subject,
                "facts": [{"name": name, "value": value} for name, value in notice.facts],
            }
        ],
    }


def _adaptive_card(notice: Notice) -> Json:
    body: list[Json] = [
        {
            "type": "TextBlock",
            "text": notice.text,
            "weight": "Bolder",
            "color": _COLORS[notice.severity],
            "wrap": True,
        },
        {"type": "TextBlock", "text": notice.subject, "isSubtle": True, "spacing": "None"},
    ]
    if notice.facts:
        facts = [{"title": name, "value": value} for name, value in notice.facts]
        body.append({"type": "FactSet", "facts": facts})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "summary": notice.subject,
        "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
    }
