"""Whose series it is, by the labels that the worlds give them."""

import pytest

from serinus.api.canary import Canary, Metric
from serinus.api.decode import decode_canary
from serinus.metrics.builtin import builtin_query
from serinus.metrics.signals import SIGNALS, Service

DEPLOYMENT = "6d5f4b7c98"
CART, PRIMARY = Service("cart", "shop"), Service("cart-primary", "shop")
OTHER = Service("cart", "other")


@pytest.mark.parametrize(
    "labels", [("kubernetes_namespace", "kubernetes_pod_name"), ("namespace", "pod")]
)
@pytest.mark.parametrize(
    ("home", "pod", "owner"),
    [
        ("shop", f"cart-{DEPLOYMENT}-x2x4z", CART),
        ("shop", "cart-x2x4z", CART),
        ("other", "cart-x2x4z", OTHER),
        ("shop", f"cart-primary-{DEPLOYMENT}-x2x4z", PRIMARY),
        ("shop", "cart-primary-x2x4z", PRIMARY),
        ("shop", f"cart-and-horse-{DEPLOYMENT}-x2x4z", None),
        ("shop", "cart-and-horse-x2x4z", None),
        ("shop", "cart", None),
        ("shop", "", None),
        ("nowhere", "cart-x2x4z", None),
    ],
)
def test_pods(labels: tuple[str, str], home: str, pod: str, owner: Service | None) -> None:
    selection = SIGNALS["kubernetes"].selections[labels[0] == "namespace"]
    owned = selection.sorter([CART, PRIMARY, OTHER])
    assert owned({labels[0]: home, labels[1]: pod}) == owner
    assert selection.matchers([CART, PRIMARY, OTHER], "").startswith(
        f'{labels[0]}=~"(?:other|shop)"'
    )


def test_a_name_is_no_pattern() -> None:
    for signals in SIGNALS.values():
        for selection in signals.selections:
            assert "a\\\\.b" in selection.matchers([Service("a.b", "test")], "default")


def test_what_a_canary_is_asked_for() -> None:
    raw = b"""{"metadata":{"name":"c","namespace":"shop"},"spec":{"service":{"name":"front",
    "port":80},"targetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"cart"},
    "analysis":{"stepWeight":5}}}"""
    canary = decode_canary(raw)
    assert isinstance(canary, Canary)
    metric = Metric(name="request-duration", interval="90s")
    plain = builtin_query(canary, metric, "kubernetes")
    assert (plain.canary, plain.primary) == (CART, PRIMARY)
    assert (plain.name, plain.scope.mesh, plain.scope.window_seconds) == (
        "request-duration",
        "",
        90.0,
    )
    meshed = builtin_query(canary, Metric(name="request-success-rate"), "meshservice")
    assert (meshed.canary.name, meshed.primary.name) == ("front-canary", "front-primary")
    assert (meshed.scope.mesh, meshed.scope.window_seconds) == ("default", 60.0)
