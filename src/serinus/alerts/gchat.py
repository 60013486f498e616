"""Google Chat: a card in a space's incoming webhook."""

from html import escape

from serinus.alerts.notice import Notice
from serinus.alerts.receiver import Json, Receiver, Request

_COLORS = {"info": "#0076D7", "warn": "#FFA500", "error": "#FF0000"}


def request(receiver: Receiver, notice: Notice) -> Request:
    """The message as one card; its texts are a kind of HTML."""
    color = _COLORS[notice.severity]
    texts = [f'<b><font color="{color}">{escape(notice.text)}</font></b>']
    texts += [f"<b>{escape(name)}</b><br>{escape(value)}" for name, value in notice.facts]
    widgets: list[Json] = [{"textParagraph": {"text": text}} for text in texts]
    card = {
        "header": {"title": "Serinus", "subtitle": notice.subject},
        "sections": [{"widgets": widgets}],
    }
    return Request(receiver.address, {"cards": [card]})
