"""The dialects of MeshHTTPRoutes, by the names of their golden files."""

from serinus.routing.kuma.addressing import Addressing, ByLabels, ByName, ByTag

SYSTEM = "kuma-system"
DIALECTS: dict[str, Addressing] = {
    "service-tag-system": ByTag(SYSTEM),
    "service-tag": ByTag(),
    "meshservice-name": ByName(),
    "labels": ByLabels(),
}
EVERY = tuple(DIALECTS.values())
IDS = tuple(DIALECTS)
