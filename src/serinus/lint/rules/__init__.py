"""The rules by theme. To import this is to declare them all."""

from serinus.lint.rules import (
    analysis,
    canaries,
    gateway,
    injection,
    metrics,
    policies,
    routes,
    schema,
    services,
    webhooks,
    workloads,
)

__all__ = [
    "analysis",
    "canaries",
    "gateway",
    "injection",
    "metrics",
    "policies",
    "routes",
    "schema",
    "services",
    "webhooks",
    "workloads",
]
