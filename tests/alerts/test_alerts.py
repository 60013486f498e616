"""Alerts on their way: to real services, slow, dead and refusing ones, by rotated Secrets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alerts.chat_service import ChatService, Sleeps, canary, chat_service
from cluster.lab_api import LabApi, lab_api
from logged import captured
from serinus.alerts.alerts import ATTEMPTS, Alerts
from serinus.alerts.bursts import LISTED, REPEATED
from serinus.alerts.everyone import GlobalAlerts
from serinus.alerts.providers import Providers
from serinus.api.crd import crd_documents
from serinus.api.decode import decode_alert_provider
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.credentials import Credentials
from serinus.cluster.kinds import ALERTPROVIDERS, CRDS

NOWHERE = Connection("http://127.0.0.1:1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(part: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def telling(slack_url: str, **settings: Any) -> AsyncIterator[Alerts]:
    """Alerts that know the operator's own receiver, and no API server."""
    async with Client(NOWHERE) as client:
        cache = Cache(client, ALERTPROVIDERS, decode_alert_provider)
        providers = Providers(cache, Credentials(client))
        alerts = Alerts(providers, GlobalAlerts(slack_url=slack_url), **settings)
        async with running(alerts):
            yield alerts


@pytest.fixture
async def chat() -> AsyncIterator[ChatService]:
    async with chat_service() as service:
        yield service


def text(body: Any) -> str:
    return str(body["attachments"][0]["text"])


async def test_nobody_waits_for_a_stuck_receiver_and_a_crowd_becomes_one(
    chat: ChatService,
) -> None:
    chat.free.clear()
    async with telling(f"{chat.url}/services/x", cluster="blue") as alerts:
        alerts.send(canary("first"), "info", "begins")
        assert text((await chat.next()).body) == "begins"
        # It is stuck now, and we go on.
        for round in range(2):
            for number in range(LISTED + 5):
                severity = "error" if number == 7 and not round else "info"
                alerts.send(canary(f"app{number}"), severity, f"message {round}")
        assert alerts.waiting == 2 * (LISTED + 5)
        chat.free.set()
        summary = (await chat.next()).body["attachments"][0]
        await alerts.close()
    assert alerts.counts["sent"] == 2 and chat.posted.empty() and not alerts.dropped
    assert summary["color"] == "danger"
    assert summary["text"].startswith("50 messages at once about 25 canaries: app7.test, app0.test")
    assert "and 5 more. The last of each" in summary["text"]
    facts = [(one["title"], one["value"]) for one in summary["fields"]]
    assert facts[:2] == [("Cluster", "blue"), ("app7.test (2 messages)", "message 1")]
    assert len(facts) == LISTED + 1


async def test_repeats_are_told_once(chat: ChatService) -> None:
    clock = Clock()
    async with telling(chat.url, clock=clock) as alerts:
        for _ in range(10):
            alerts.send(canary(), "warn", "Canary is waiting for approval.")
        alerts.send(canary("other"), "warn", "Canary is waiting for approval.")
        alerts.send(canary(), "info", "New revision")
        alerts.send(canary(), "warn", "Canary is waiting for approval.")
        clock.now += REPEATED
        alerts.send(canary(), "warn", "Canary is waiting for approval.")
        await alerts.close()
    subjects = [chat.posted.get_nowait().body["attachments"][0] for _ in range(5)]
    assert [(one["author_name"], one["text"][:6]) for one in subjects] == [
        ("podinfo.test", "Canary"),
        ("other.test", "Canary"),
        ("podinfo.test", "New re"),
        ("podinfo.test", "Canary"),
        ("podinfo.test", "Canary"),
    ]
    assert chat.posted.empty() and alerts.counts["repeated"] == 9


async def test_a_receiver_that_is_away_for_a_while(chat: ChatService) -> None:
    chat.answers = [
        lambda _: web.Response(status=429, headers={"Retry-After": "7"}),
        lambda _: web.Response(status=503),
    ]
    sleeps = Sleeps()
    async with telling(chat.url, sleep=sleeps) as alerts:
        alerts.send(canary(), "info", "words")
        await alerts.close()
    assert sleeps.waits == [7, 2] and alerts.counts["sent"] == 1


async def test_a_dead_receivers_backlog_is_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/services/SECRETPATH?key=SECRETKEY"
    waiting, go = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await go.wait()

    with captured() as logs:
        async with telling(address, sleep=sleep) as alerts:
            alerts.send(canary(), "info", "first")
            await waiting.wait()
            for number in range(3):
                alerts.send(canary(), "info", f"message {number}")
            go.set()
            await alerts.close()
    assert [(one["event"], one["count"]) for one in logs] == [("alerts dropped", 4)]
    assert f"giving up after {ATTEMPTS} attempt(s)" in logs[0]["why"]
    assert alerts.dropped == 4 and "SECRET" not in str(logs)


async def test_a_refusal_is_told_without_secrets_and_the_rest_goes_on(chat: ChatService) -> None:
    chat.answers = [
        lambda request: web.Response(status=404, text=f"Cannot POST {request.raw_path}"),
        lambda _: web.json_response({"ok": False, "error": "not_in_channel"}),
    ]
    with captured() as logs:
        async with telling(f"{chat.url}/api/SECRETPATH?key=SECRETKEY") as alerts:
            for number in range(3):
                alerts.send(canary(), "info", f"message {number}")
            await alerts.close()
    assert [one["why"] for one in logs] == ["Cannot POST /api/...?...", "not_in_channel"]
    assert alerts.counts == {"refused": 2, "sent": 1} and "SECRET" not in str(logs)


async def test_close_gives_up_in_time_and_says_what_was_lost(chat: ChatService) -> None:
    chat.free.clear()
    with captured() as logs:
        async with telling(chat.url) as alerts:
            alerts.send(canary(), "info", "one")
            await chat.next()
            alerts.send(canary(), "info", "two")
            await alerts.close(timeout=0.05)
    assert [one["count"] for one in logs] == [2]


async def test_an_address_that_makes_no_sense_is_told() -> None:
    with captured() as logs:
        async with telling("http://[") as alerts:
            alerts.send(canary(), "info", "one")
            await alerts.close()
    assert logs[0]["why"] == "-slack-url must be an http or https URL"


def test_teams_wins_and_slack_needs_no_channel() -> None:
    both = GlobalAlerts(slack_url="http://s", msteams_url="http://m", msteams_proxy_url="http://p")
    assert both.receiver is not None and GlobalAlerts().receiver is None
    assert (both.receiver.type, both.receiver.proxy) == ("msteams", "http://p")
    slack = GlobalAlerts(slack_url="http://s").receiver
    assert slack is not None and (slack.username, slack.channel) == ("flagger", "")


# -- AlertProviders and Secrets on the lab's API server ------------------------------------------


@asynccontextmanager
async def providing(api: LabApi, **settings: Any) -> AsyncIterator[tuple[Alerts, Providers]]:
    cache = Cache(api.client, ALERTPROVIDERS, decode_alert_provider)
    credentials = Credentials(api.client)
    providers = Providers(cache, credentials, **settings)
    alerts = Alerts(providers, GlobalAlerts(slack_url="http://127.0.0.1:1"))
    async with running(cache), running(credentials), running(alerts):
        await cache.synced.wait()
        try:
            yield alerts, providers
        finally:
            await credentials.close()


async def provide(api: LabApi, name: str, **spec: Any) -> None:
    body = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": name},
        "spec": spec,
    }
    await api.client.create(ALERTPROVIDERS, "test", body)


def alert(name: str, severity: str = "", **ref: str) -> dict[str, Any]:
    return {"name": name, "severity": severity, "providerRef": {"name": name, **ref}}


async def test_providers(tmp_path: Path, chat: ChatService) -> None:
    async with lab_api(tmp_path) as api:
        await api.namespace("test")
        for definition in crd_documents():
            if definition["metadata"]["name"].startswith("alertproviders"):
                # Without its schema, as an older one would let things through.
                loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = loose
                await api.client.create(CRDS, None, definition)
        await api.secret("test", "slack", address=f"{chat.url}/one\n", token="t1")
        await api.secret("test", "empty", token="t1")
        await _until_served(api)
        await provide(api, "slack", type="slack", channel="dev", secretRef={"name": "slack"})
        await provide(
            api, "teams", type="msteams", address="http://nobody.invalid/x", proxy=chat.url
        )
        await provide(api, "empty", type="slack", secretRef={"name": "empty"})
        await provide(api, "pager", type="pager", address="http://a")
        await provide(api, "silent", type="slack")
        await provide(api, "broken", type=7)
        async with providing(api) as (alerts, providers):
            await _rotate(api, alerts, chat)
            await _proxied(alerts, chat)
            with captured() as logs:
                alerts.send(canary(alerts=[alert("empty"), alert("gone")]), "info", "lost")
                await alerts.close()
            assert sorted(one["why"] for one in logs) == [
                'Secret "empty" of AlertProvider empty.test has no key address',
                "there is no AlertProvider gone.test; create it or correct the reference",
            ]
            named = ("slack", "gone", "pager", "silent", "broken")
            told = providers.problems(canary(alerts=[alert(name) for name in named]))
        assert [str(problem) for problem in told] == [
            "spec.analysis.alerts[1].providerRef: there is no AlertProvider gone.test; create it"
            " or correct the reference",
            'spec.analysis.alerts[2].providerRef: AlertProvider pager.test: spec.type: "pager" is'
            " not known; use one of slack, msteams, discord, rocket, gchat",
            "spec.analysis.alerts[3].providerRef: AlertProvider silent.test: spec: says no address;"
            " give address or secretRef",
            "spec.analysis.alerts[4].providerRef: AlertProvider broken.test cannot be read:"
            " spec.type: must be text, not a number",
        ]
        async with providing(api, confined=True) as (alerts, providers):
            foreign = canary(namespace="prod", alerts=[alert("slack", namespace="test")])
            assert [str(problem) for problem in providers.problems(foreign)] == [
                "spec.analysis.alerts[0].providerRef.namespace: can't access alert provider"
                " slack.test, cross-namespace references are blocked; use one in namespace"
                ' "prod"'
            ]
            alerts.send(foreign, "error", "not sent")
            assert alerts.waiting == 0


async def _until_served(api: LabApi) -> None:
    async with asyncio.timeout(60):
        cache = Cache(api.client, ALERTPROVIDERS, decode_alert_provider)
        async with running(cache):
            await cache.synced.wait()


async def _rotate(api: LabApi, alerts: Alerts, chat: ChatService) -> None:
    severe = canary(alerts=[alert("slack", "warn")])
    alerts.send(severe, "info", "not for this one")
    alerts.send(severe, "error", "message 0")
    first = await chat.next()
    assert (first.path, first.headers["Authorization"]) == ("/one", "Bearer t1")
    assert (first.body["channel"], first.body["username"]) == ("dev", "flagger")
    await api.rotate("test", "slack", address=f"{chat.url}/two", token="t2")
    # The watch tells when it tells; from then on it is the new one.
    for number in range(1, 500):
        alerts.send(severe, "error", f"message {number}")
        posted = await chat.next()
        if posted.path == "/two":
            break
    assert (posted.path, posted.headers["Authorization"]) == ("/two", "Bearer t2")


async def _proxied(alerts: Alerts, chat: ChatService) -> None:
    alerts.send(canary(alerts=[alert("teams")]), "info", "by proxy")
    posted = await chat.next()
    assert posted.headers["Host"] == "nobody.invalid"
    assert posted.body["sections"][0]["activityTitle"] == "by proxy"
