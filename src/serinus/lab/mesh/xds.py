"""Delivery: a proxy's resources as files that its Envoy watches.

Kuma keeps routes inline in the listener. Delivered like that, each change of a weight would
replace a filter chain and drain the connections on it; so a listener that leads elsewhere than to
its own service has its routes apart (RDS), in a file of their own, and a new weight touches no
connection. All else is inside what it belongs to, endpoints in their cluster too: each file that
Envoy watches costs it an inotify instance, of which a user has 128 in all on most machines.

Each file is replaced by a rename, and only when its content changed. Clusters go out before all
else, so that they are there when routes name them, and nobody calls a pod that is going away. An
Envoy that finds two files changed reads them in any order; so where there are new clusters the
rest is held back until it has read them. Clusters stay for a while after the last route that named
them was replaced: an Envoy that reads late would else find them gone while it still has that route,
and answer 503 (`NC`), which it does not retry.

With Kuma 3.0 this matters most where a route is deleted. The clusters of its backendRefs have names
of their own there and leave with it; before, they are those of the Services' own listeners, too.
"""

import copy
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from serinus.lab.mesh.bootstrap import MOUNT, bootstrap, file_source, socket_mark
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Proxy
from serinus.lab.mesh.opening import Openings
from serinus.lab.mesh.proxy import Resources

LINGER_SECONDS = 5.0
"""How long a cluster without routes stays at least; the next delivery after that leaves it out."""

PATIENCE = 10.0
"""Seconds that routes are held back at the most: longer than an Envoy on a busy machine needs, and
one that never starts reads nothing."""

_TYPES = "type.googleapis.com/envoy.config."
_LISTENER = _TYPES + "listener.v3.Listener"
_CLUSTER = _TYPES + "cluster.v3.Cluster"
_ROUTES = _TYPES + "route.v3.RouteConfiguration"

log = structlog.get_logger(__name__)


class Delivery:
    """The directory of one proxy, and what was last written there."""

    def __init__(
        self,
        directory: Path,
        openings: Openings,
        seen_as: PurePosixPath = MOUNT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seen_as`` is where the proxy finds the directory; ``clock`` tells seconds."""
        self.directory = directory
        self._openings = openings
        self._seen_as = seen_as
        self._clock = clock
        self._written: dict[str, str] = {}
        self._rest: dict[str, str] = {}
        self._held = False
        self._opening: int | None = None
        """The watch of the newest clusters that routes wait for."""
        self._clusters: dict[str, Json] = {}
        self._left: dict[str, tuple[Json, float | None]] = {}
        """Clusters that linger, each with the moment when routes without it were written; None
        while those are held back."""

    def deliver(self, proxy: Proxy, resources: Resources) -> list[str]:
        """Write what changed, in the order in which it is safe; the names of the files written.

        The bootstrap comes last: its existence tells the sidecar that it can start. If some are
        `held` back then, have them follow by `settle`; a delivery until then takes their place.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        routes, lists = self._files(resources)
        clusters = {cluster["name"]: cluster for cluster in lists["cds.json"]}
        new = bool(clusters.keys() - self._clusters.keys() - self._left.keys())
        content = _answer(_CLUSTER, {**self._lingering(clusters), **clusters})
        listeners = {one["name"]: one for one in lists["lds.json"]}
        self._rest = {
            **routes,
            "lds.json": _answer(_LISTENER, listeners),
            "bootstrap.json": _dump(bootstrap(proxy, self._seen_as)),
        }
        reads = "bootstrap.json" in self._written
        differs = any(self._written.get(name) != text for name, text in self._rest.items())
        self._held |= reads and new and differs
        changed = self._write("cds.json", content)
        return changed if self.held else changed + self._write_rest()

    @property
    def held(self) -> bool:
        """Whether routes wait for their clusters."""
        return self._held

    async def settle(self) -> list[str]:
        """Write what is held back, once the proxy has its clusters; the names of the files."""
        if not self._held:
            return []
        try:
            await self._clusters_read()
        finally:
            self._held, self._opening = False, None
        return self._write_rest()

    async def _clusters_read(self) -> None:
        while (awaited := self._opening) is not None:
            if not await self._openings.over(awaited, PATIENCE):
                log.warning("a sidecar has not read its clusters", directory=self.directory.name)
                return
            if awaited == self._opening:
                return

    def _write_rest(self) -> list[str]:
        changed = [name for name, text in self._rest.items() if self._write(name, text)]
        for name in [n for n in self._written if n.startswith("rds-") and n not in self._rest]:
            (self.directory / name).unlink(missing_ok=True)
            del self._written[name]
        now = self._clock()
        self._left = {
            name: (cluster, now if since is None else since)
            for name, (cluster, since) in self._left.items()
        }
        return changed

    def remove(self) -> None:
        """Forget the proxy."""
        self._rest = {}
        shutil.rmtree(self.directory, ignore_errors=True)

    def _lingering(self, clusters: dict[str, Json]) -> dict[str, Json]:
        """The clusters that left a moment ago, now that there are these."""
        now = self._clock()
        self._left |= {name: (cluster, None) for name, cluster in self._clusters.items()}
        self._clusters = clusters
        self._left = {
            name: (cluster, since)
            for name, (cluster, since) in self._left.items()
            if name not in clusters and (since is None or now - since < LINGER_SECONDS)
        }
        return {name: cluster for name, (cluster, _) in self._left.items()}

    def _files(self, resources: Resources) -> tuple[dict[str, str], dict[str, list[Json]]]:
        routes: dict[str, str] = {}
        listeners = []
        for original in resources.listeners.values():
            listener = copy.deepcopy(original)
            for manager in _managers(listener):
                name = f"rds-{manager['routeConfig']['name']}.json"
                # What was apart once stays so: putting it back would drain connections, too.
                if not (name in self._written or _leads_elsewhere(listener, manager)):
                    continue
                config = manager.pop("routeConfig")
                manager["rds"] = {
                    "routeConfigName": config["name"],
                    "configSource": file_source(self._seen_as, name),
                }
                routes[name] = _answer(_ROUTES, {config["name"]: config})
            listeners.append(listener)
        clusters = []
        for original in resources.clusters.values():
            cluster = copy.deepcopy(original)
            if cluster.pop("edsClusterConfig", None) is not None:
                cluster["type"] = "STATIC"
                cluster["loadAssignment"] = resources.assignments[cluster["name"]]
            if "upstreamBindConfig" in cluster:
                cluster["upstreamBindConfig"]["socketOptions"] = [socket_mark()]
            clusters.append(cluster)
        return routes, {"lds.json": listeners, "cds.json": clusters}

    def _write(self, name: str, content: str) -> list[str]:
        """Its name, if it is another one than before."""
        if self._written.get(name) == content:
            return []
        temporary = self.directory / f".{name}.new"
        temporary.write_text(content)
        if name == "cds.json" and self._held:
            self._opening = self._openings.watch(temporary)
        temporary.replace(self.directory / name)
        self._written[name] = content
        return [name]


def _managers(listener: Json) -> list[Json]:
    return [
        network_filter["typedConfig"]
        for chain in listener["filterChains"]
        for network_filter in chain.get("filters", ())
        if "routeConfig" in network_filter["typedConfig"]
    ]


def _leads_elsewhere(listener: Json, manager: Json) -> bool:
    """Whether a caller's requests go to another cluster than the one of the service's name."""
    if listener.get("trafficDirection") != "OUTBOUND":
        return False
    actions = [
        route.get("route", {})
        for host in manager["routeConfig"]["virtualHosts"]
        for route in host["routes"]
    ]
    return any(action.get("cluster") != manager["statPrefix"] for action in actions)


def _answer(kind: str, resources: Mapping[str, Json]) -> str:
    return _dump({"resources": [{"@type": kind, **resource} for resource in resources.values()]})


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def prune(root: Path, uids: set[str]) -> None:
    """Remove the directories of pods that are gone."""
    for directory in root.iterdir():
        if directory.name not in uids:
            shutil.rmtree(directory, ignore_errors=True)
