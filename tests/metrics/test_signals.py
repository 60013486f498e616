"""Whose series it is, by the labels that the worlds give them."""

import re

import pytest

from serinus.api.canary import Canary, Metric
from serinus.api.decode import decode_canary
from serinus.metrics.builtin import builtin_query
from serinus.metrics.signals import SIGNALS, Selection, Service, World

DEPLOYMENT = "6d5f4b7c98"
CART = Service("front-canary", "shop", "cart")
PRIMARY = Service("front-primary", "shop", "cart-primary")
OTHER = Service("front-canary", "other", "cart")
HASH = "de1397ec09e96dfb"


def selected(*labels: str) -> list[tuple[World, Selection]]:
    """Every world's way to tell whose a series is by these labels."""
    return [
        (world, selection)
        for world, signals in SIGNALS.items()
        for selection in signals.selections
        if selection.labels == labels
    ]


def owner(selection: Selection, **labels: str) -> Service | None:
    return selection.sorter([CART, PRIMARY, OTHER])(labels)


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
    found = selected(*labels)
    assert {world for world, _ in found} == {"kuma-2", "kuma-3", "kubernetes"}
    for _, selection in found:
        owned = selection.sorter([CART, PRIMARY, OTHER])
        assert owned({labels[0]: home, labels[1]: pod}) == owner
        assert selection.matchers([CART, PRIMARY, OTHER]).startswith(
            f'{labels[0]}=~"(?:other|shop)",{labels[1]}=~"(?:cart|cart-primary|cart)-'
        )


@pytest.mark.parametrize("label", ["kuma_io_service", "service"])
def test_tags(label: str) -> None:
    ((_, selection), (_, same)) = selected(label)
    assert selection == same
    for tag, expected in {
        "front-canary_shop_svc_80": CART,
        "front-canary_shop_svc_http": CART,
        "front-primary_shop_svc_80": PRIMARY,
        "front-canary_other_svc_80": OTHER,
        "front_shop_svc_80": None,
        "front-canary_shop_svc": None,
        "": None,
    }.items():
        assert owner(selection, **{label: tag}) == expected


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ("front-canary_shop_svc_80", CART),
        (f"front-canary_shop_svc_80-{HASH}", CART),
        (f"front-primary_shop_svc_80-{HASH}", PRIMARY),
        ("front-canary_shop_svc_80-backup", None),
        ("front_shop_svc_80", None),
        ("default_front-canary_shop_default_msvc_80", CART),
        ("prod_front-canary_other_west-1_msvc_80", OTHER),
        ("default_front_shop_default_msvc_80", None),
        ("kri_msvc_default_default_shop_front-canary_80", CART),
        ("kri_msvc_default_default_shop_front-primary_http", PRIMARY),
        ("kri_msvc_default__shop_front-canary_http", CART),
        ("kri_msvc_default_default_front-canary_shop_80", None),
        ("kri_extsvc_default_default_shop_front-canary_80", None),
        ("localhost_80", None),
        ("self_inbound_dp_http", None),
    ],
)
def test_clusters_of_callers(cluster: str, expected: Service | None) -> None:
    ((_, selection), (_, same)) = selected("envoy_cluster_name")
    assert selection == same and selection.of_callers
    assert owner(selection, envoy_cluster_name=cluster) == expected
    # What Prometheus is asked for is no less than what is sorted out, and nothing of others.
    matcher = selection.matchers([CART, PRIMARY, OTHER])
    pattern = re.fullmatch(r'envoy_cluster_name=~"(.*)"', matcher)
    assert pattern is not None
    assert (re.fullmatch(pattern[1], cluster) is not None) == (expected is not None)


def test_callers_come_last_and_inbound_is_for_the_pods_own() -> None:
    for world in ("kuma-2", "kuma-3"):
        signals = SIGNALS[world]
        *own, callers = signals.selections
        assert callers.of_callers and not any(one.of_callers for one in own)
        for selection in signals.selections:
            text = signals.matchers(selection, [CART], "default")
            assert ('envoy_cluster_name=~"localhost_.*|self_inbound_dp_.*"' in text) == (
                not selection.of_callers
            )
            assert text.endswith('mesh=~"|default"')
    # The mesh's own way first: the others are asked only about what it has no series of.
    assert SIGNALS["kuma-2"].selections[0].labels == ("kuma_io_service",)
    assert SIGNALS["kuma-3"].selections[0].labels == ("namespace", "pod")


def test_a_name_is_no_pattern() -> None:
    for signals in SIGNALS.values():
        for selection in signals.selections:
            assert "a\\\\.b" in selection.matchers([Service("a.b", "test", "a.b")])


def test_what_a_canary_is_asked_for() -> None:
    raw = b"""{"metadata":{"name":"c","namespace":"shop"},"spec":{"service":{"name":"front",
    "port":80},"targetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"cart"},
    "analysis":{"stepWeight":5}}}"""
    canary = decode_canary(raw)
    assert isinstance(canary, Canary)
    metric = Metric(name="request-duration", interval="90s")
    plain = builtin_query(canary, metric, "kubernetes")
    assert plain.canary == Service("cart", "shop", "cart")
    assert plain.primary == Service("cart-primary", "shop", "cart-primary")
    assert (plain.name, plain.scope.mesh, plain.scope.window_seconds) == (
        "request-duration",
        "",
        90.0,
    )
    meshed = builtin_query(canary, Metric(name="request-success-rate"), "kuma-3")
    assert (meshed.canary, meshed.primary) == (CART, PRIMARY)
    assert (meshed.scope.mesh, meshed.scope.window_seconds) == ("default", 60.0)
