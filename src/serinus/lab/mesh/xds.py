"""Delivery: a proxy's resources as files that its Envoy watches.

Kuma keeps routes inline in the listener. Delivered like that, each change of a weight would
replace a filter chain and drain the connections on it; so the files hold the routes apart (RDS),
one file per route, and a new weight touches no connection. Endpoints, on the other hand, are
inside their cluster: each file that Envoy watches costs it an inotify instance, of which a user
has 128 in all on most machines, and there would be one per cluster.

Each file is replaced by a rename, and only when its content changed. What gains clusters is told
of them before routes name them, and loses them after; clusters go out before all else, so that
nobody calls a pod that is going away.
"""

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from serinus.lab.mesh.bootstrap import MOUNT, bootstrap, file_source, socket_mark
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Proxy
from serinus.lab.mesh.proxy import Resources

_TYPES = "type.googleapis.com/envoy.config."
_LISTENER = _TYPES + "listener.v3.Listener"
_CLUSTER = _TYPES + "cluster.v3.Cluster"
_ROUTES = _TYPES + "route.v3.RouteConfiguration"


class Delivery:
    """The directory of one proxy, and what was last written there."""

    def __init__(self, directory: Path, seen_as: PurePosixPath = MOUNT) -> None:
        """``seen_as`` is where the proxy finds the directory."""
        self.directory = directory
        self._seen_as = seen_as
        self._written: dict[str, str] = {}

    def deliver(self, proxy: Proxy, resources: Resources) -> list[str]:
        """Write what changed, in the order in which it is safe; the names of the files written.

        The bootstrap comes last: its existence tells the sidecar that it can start.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        routes, lists = self._files(resources)
        before = json.loads(self._written.get("cds.json", '{"resources": []}'))["resources"]
        leaving = {cluster["name"]: cluster for cluster in before}
        clusters = {cluster["name"]: cluster for cluster in lists["cds.json"]}
        changed = []
        changed += self._write("cds.json", _answer(_CLUSTER, {**leaving, **clusters}))
        for name, content in routes.items():
            changed += self._write(name, content)
        listeners = {one["name"]: one for one in lists["lds.json"]}
        changed += self._write("lds.json", _answer(_LISTENER, listeners))
        changed += self._write("cds.json", _answer(_CLUSTER, clusters))
        for name in [n for n in self._written if n.startswith("rds-") and n not in routes]:
            (self.directory / name).unlink(missing_ok=True)
            del self._written[name]
        changed += self._write("bootstrap.json", _dump(bootstrap(proxy, self._seen_as)))
        return changed

    def remove(self) -> None:
        """Forget the proxy."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _files(self, resources: Resources) -> tuple[dict[str, str], dict[str, list[Json]]]:
        routes: dict[str, str] = {}
        listeners = []
        for original in resources.listeners.values():
            listener = copy.deepcopy(original)
            for manager in _managers(listener):
                config = manager.pop("routeConfig")
                name = f"rds-{config['name']}.json"
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
        if self._written.get(name) == content:
            return []
        temporary = self.directory / f".{name}.new"
        temporary.write_text(content)
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


def _answer(kind: str, resources: Mapping[str, Json]) -> str:
    return _dump({"resources": [{"@type": kind, **resource} for resource in resources.values()]})


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def prune(root: Path, uids: set[str]) -> None:
    """Remove the directories of pods that are gone."""
    for directory in root.iterdir():
        if directory.name not in uids:
            shutil.rmtree(directory, ignore_errors=True)
