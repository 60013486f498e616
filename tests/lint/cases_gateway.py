"""The traps in a Canary whose provider is the Gateway API. `# <-` marks the line."""

from lint.manifests import CANARY, PORT, PROTOCOL, Case, added, edited

RULE = "gateway-api/route"
REF = '    - {group: "", kind: Service, name: podinfo}'
GATED = added(
    edited(CANARY, ("spec:\n", "spec:\n  provider: gatewayapi:v1\n")), PORT, "    gatewayRefs:", REF
)


def gated(path: str, old: str, new: str, *kuma: str) -> Case:
    return Case(RULE, path, (edited(GATED, (old, new)),), kuma or ("2.7", "2.14", "3.0"))


CASES = (
    gated("spec.service.gatewayRefs", f"gatewayRefs:\n{REF}", "gatewayRefs: []  # <-"),
    gated("spec.service.gatewayRefs[0].group", REF, "    - {kind: Service, name: podinfo}  # <-"),
    gated("spec.service.timeout", PORT, f"{PORT}\n    timeout: 5s  # <-"),
    gated("spec.service.appProtocol", PROTOCOL, PROTOCOL.replace("http", "tcp  # <-")),
    gated("spec.provider", "gatewayapi:v1", "gatewayapi:v1  # <-", "1.8"),
)
