"""Slack: an incoming webhook, or chat.postMessage where there is a token."""

import msgspec

from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Json, Receiver, Request

_COLORS = {"info": "good", "warn": "warning", "error": "danger"}


class _Answer(msgspec.Struct):
    ok: bool = True
    error: str = ""


_answer = msgspec.json.Decoder(_Answer)


def request(receiver: Receiver, notice: Notice) -> Request:
    """The message as one attachment, with a bar in the severity's colour."""
    shown = Notice(
        notice.subject,
        notice.severity,
        _escaped(notice.text),
        tuple((_escaped(name), _escaped(value)) for name, value in notice.facts),
    )
    body = attachment(receiver, shown, _COLORS[notice.severity])
    token = receiver.token
    return Request(receiver.address, body, {"Authorization": f"Bearer {token}"} if token else {})


def attachment(receiver: Receiver, notice: Notice, color: str) -> Json:
    """Slack's attachment, which Discord and Rocket.Chat understand too."""
    sender = {"channel": receiver.channel, "username": receiver.username}
    return {
        **{name: value for name, value in sender.items() if value},
        "icon_emoji": ":rocket:",
        "attachments": [
            {
                "color": color,
                "author_name": notice.subject,
                "text": notice.text,
                "mrkdwn_in": ["text"],
                "fields": [
                    {"title": name, "value": value, "short": False} for name, value in notice.facts
                ],
            }
        ],
    }


def refusal(text: str) -> str | None:
    """Why Slack did not take a message though it answered 200, as its API does."""
    try:
        answer = _answer.decode(text)
    except msgspec.DecodeError:
        return None
    return None if answer.ok else answer.error or "Slack did not say why"


def _escaped(text: str) -> str:
    """Slack's three: else an error text such as <!channel> would call everyone."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
