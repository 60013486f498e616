"""Canaries whose provider is the Gateway API: what the operator itself says of them."""

from collections.abc import Iterator

from serinus.lint.files import Files
from serinus.lint.kuma import Kuma
from serinus.lint.offline import routers
from serinus.lint.registry import Found, said, versioned


@versioned(
    "gateway-api/route",
    "A Canary of provider gatewayapi:v1 has its apex Service, or a Gateway, for a parent, asks for "
    "nothing that Kuma leaves out of an HTTPRoute, and is in no mesh of TrafficRoutes.",
)
def route(files: Files, kuma: Kuma) -> Iterator[Found]:
    for one in files.by_gateway_api:
        for problem in routers(kuma).problems(one.canary):
            yield said(one.document, problem)
