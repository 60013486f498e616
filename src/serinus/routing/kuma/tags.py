"""Services by their `kuma.io/service` tag: Kuma's first way to name them."""

from serinus.api.canary import Canary

SERVICE = "kuma.io/service"


def service_tag(service: str, namespace: str, port: int) -> str:
    """Kuma's name for a port of a Kubernetes Service."""
    return f"{service}_{namespace}_svc_{port}"


def primary_tag(canary: Canary) -> str:
    """The tag of the Service in front of the primary's pods."""
    return service_tag(canary.primary_service, canary.namespace, canary.spec.service.port)


def canary_tag(canary: Canary) -> str:
    """The tag of the Service in front of the target's pods."""
    return service_tag(canary.canary_service, canary.namespace, canary.spec.service.port)
