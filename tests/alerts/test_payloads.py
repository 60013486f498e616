"""What each chat service is sent, to the letter."""

import json
from pathlib import Path

import pytest

from alerts.chat_service import canary
from serinus.alerts import discord, slack
from serinus.alerts.msteams import is_flow
from serinus.alerts.notice import SEVERITIES, Notice, admits, notice
from serinus.alerts.receiver import Receiver
from serinus.alerts.services import SERVICES

GOLDEN = Path(__file__).with_name("golden")
FLOW = (
    "https://prod-1.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=x"
)
ADDRESSES = {
    "slack": "https://hooks.slack.com/services/T/B/X",
    "msteams": "https://example.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4",
    "msteams-flow": FLOW,
    "discord": "https://discord.com/api/webhooks/1/x",
    "rocket": "https://chat.example.com/hooks/1/x",
    "gchat": "https://chat.googleapis.com/v1/spaces/1/messages?key=k&token=t",
}
TEXT = "Promotion failed, primary not ready: 1 < 2 & <!channel>"


@pytest.mark.parametrize("service", ADDRESSES)
def test_the_payload(service: str) -> None:
    kind = service.partition("-")[0]
    told = notice(canary(), "error", TEXT, described=True, cluster="blue")
    request = SERVICES[kind](Receiver(kind, ADDRESSES[service]), told)
    assert request.body == json.loads((GOLDEN / f"{service}.json").read_text())


@pytest.mark.parametrize("kind", SERVICES)
def test_severities_look_different_and_few_words_are_enough(kind: str) -> None:
    bodies = [
        SERVICES[kind](Receiver(kind, ADDRESSES[kind]), Notice("a.b", severity, "words")).body
        for severity in SEVERITIES
    ]
    assert len({json.dumps(body) for body in bodies}) == 3
    assert all("words" in json.dumps(body) and "Cluster" not in json.dumps(body) for body in bodies)


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        ({}, "Weight step: 5 max: 50"),
        ({"stepWeight": None, "stepWeights": [1, 2, 10]}, "Weight steps: 1,2,10 max: 10"),
        ({"stepWeight": None, "iterations": 10}, "Blue/Green"),
        (
            {"stepWeight": None, "iterations": 10, "match": [{"headers": {"x": {"exact": "y"}}}]},
            "A/B Testing",
        ),
    ],
)
def test_the_routing_is_described(analysis: dict[str, object], routing: str) -> None:
    told = notice(canary(**analysis), "info", "words", described=True, cluster="")
    assert told.facts == (
        ("Target", "Deployment/podinfo.test"),
        ("Failed checks threshold", "5"),
        ("Progress deadline", "60s"),
        ("Traffic routing", routing),
    )


def test_an_omitted_severity_is_info() -> None:
    """A difference from Flagger, which sends nothing then."""
    sent = {
        lowest: [severity for severity in SEVERITIES if admits(lowest, severity)]
        for lowest in ("", "info", "warn", "error")
    }
    assert sent == {
        "": ["info", "warn", "error"],
        "info": ["info", "warn", "error"],
        "warn": ["warn", "error"],
        "error": ["error"],
    }


@pytest.mark.parametrize(
    ("address", "flow"),
    [
        (FLOW, True),
        ("https://a.73.environment.api.powerplatform.com/powerautomate/automations/1", True),
        ("https://proxy.example.com/teams/workflows/1/triggers", True),
        (ADDRESSES["msteams"], False),
        ("https://notlogic.azure.com.example.com/webhookb2/1", False),
    ],
)
def test_teams_gets_the_card_that_its_address_takes(address: str, flow: bool) -> None:
    assert is_flow(address) == flow


def test_discord_keeps_what_else_is_in_its_address() -> None:
    base = "https://discord.com/api/webhooks/1/x"
    for address in (base, f"{base}/", f"{base}/slack"):
        receiver = Receiver("discord", f"{address}?thread_id=7")
        assert discord.request(receiver, Notice("a.b", "info", "x")).url == (
            f"{base}/slack?thread_id=7"
        )


def test_slack_by_token_may_say_no_with_200() -> None:
    request = slack.request(Receiver("slack", "https://a.b", "xoxb"), Notice("a.b", "info", "x"))
    assert request.headers == {"Authorization": "Bearer xoxb"}
    assert slack.refusal('{"ok": false, "error": "not_in_channel"}') == "not_in_channel"
    assert slack.refusal('{"ok": true}') is slack.refusal("ok") is None


def test_no_receiver_shows_its_secrets() -> None:
    receiver = Receiver(
        "gchat", "https://u:passw0rd@h/v1/spaces/SECRETSPACE?token=SECRET%3DTOKEN", "SECRETBEARER"
    )
    answer = "cannot post to /v1/spaces/SECRETSPACE with SECRET=TOKEN, SECRET%3DTOKEN, SECRETBEARER"
    shown = f"{receiver!r} {receiver.shown} {receiver.redacted(answer)}"
    assert "SECRET" not in shown and "passw0rd" not in shown and "/v1/spaces/..." in shown
