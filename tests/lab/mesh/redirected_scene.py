"""Pods with real redirection, for `test_redirection`: a script that runs in namespaces of its own.

Each pod is a network namespace on a bridge with the kubelet's own iptables rules, an application
(Python's HTTP server, answering with the pod's name) and an Envoy on the mesh's own files.
Writes what was seen to stdout, as JSON.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    form_b,
    mesh,
    namespace,
    pod,
    service,
    trafficroute,
)
from serinus.lab.images.builtin import envoy_binary
from serinus.lab.kubelet.proxy import Redirection, base_rules
from serinus.lab.mesh.model import World, observe
from serinus.lab.mesh.opening import Openings
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.versions import PLAYED
from serinus.lab.mesh.xds import Delivery

PODS = {"client": "10.244.0.9", "primary": "10.244.0.11", "canary": "10.244.0.12"}
APP = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (sys.argv[1] + " " + self.client_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), H).serve_forever()
"""
REDIRECTED = Redirection.of({"kuma.io/transparent-proxying": "enabled"})


def run(*command: str, given: str | None = None) -> None:
    subprocess.run(command, check=True, input=given, text=True, capture_output=True)


def inside(name: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", name, *command]


def make_network() -> None:
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "lab0", "type", "bridge")
    run("ip", "addr", "add", "10.244.0.1/16", "dev", "lab0")
    run("ip", "link", "set", "lab0", "up")
    for number, (name, address) in enumerate(PODS.items()):
        run("ip", "netns", "add", name)
        run(*f"ip link add v{number} type veth peer name eth0 netns {name}".split())
        run(*f"ip link set v{number} master lab0 up".split())
        for line in (
            f"addr add {address}/16 dev eth0",
            "link set eth0 up",
            "link set lo up",
            "route add default via 10.244.0.1",
        ):
            run("ip", "-n", name, *line.split())
        run(*inside(name, "iptables-restore", "--noflush"), given=base_rules(REDIRECTED))


def world(version: str, canary: int) -> World:
    played = PLAYED[version]
    split = [
        ("podinfo-primary_test_svc_9898", 100 - canary),
        ("podinfo-canary_test_svc_9898", canary),
    ]
    routes = [trafficroute("podinfo", "podinfo_test_svc_9898", split), ROUTE_ALL]
    return observe(
        played,
        namespaces=[namespace("test")],
        services=[
            service("podinfo", "10.96.0.10", "podinfo-primary"),
            service("podinfo-primary", "10.96.0.11", "podinfo-primary"),
            service("podinfo-canary", "10.96.0.12", "podinfo"),
        ],
        pods=[
            pod("client", PODS["client"], "client"),
            pod("primary", PODS["primary"], "podinfo-primary"),
            pod("canary", PODS["canary"], "podinfo"),
        ],
        meshes=[mesh(played.mesh_services)],
        traffic_routes=routes if not played.has_meshhttproute else (),
        http_routes=[form_b(100 - canary, canary)] if played.has_meshhttproute else (),
    )


def ask(url: str, netns: str | None = None) -> str:
    """The body of an answer, or what went wrong; from a pod, or from the node."""
    if netns:
        command = inside(netns, "curl", "-s", "--max-time", "5", url)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else f"curl {done.returncode}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            body: str = answer.read().decode()
            return body
    except (urllib.error.URLError, OSError) as error:
        return f"failed: {error}"


def main(version: str, directory: Path) -> dict[str, Any]:
    make_network()
    running: list[subprocess.Popen[bytes]] = []
    openings = Openings()
    deliveries = {
        name: Delivery(directory / name, openings, PurePosixPath(directory / name)) for name in PODS
    }

    def deliver(canary: int) -> None:
        seen = world(version, canary)
        for proxy in seen.proxies:
            deliveries[proxy.name].deliver(proxy, resources(seen, proxy))

    try:
        deliver(0)
        for number, name in enumerate(PODS):
            for port in ("9898", "9999"):
                app = [sys.executable, "-S", "-c", APP, name, port]
                running.append(subprocess.Popen(inside(name, *app)))
            config = str(directory / name / "bootstrap.json")
            command = [envoy_binary(), "-c", config, "--base-id", str(800 + number)]
            command += ["--disable-hot-restart", "--concurrency", "1", "-l", "error"]
            running.append(subprocess.Popen(inside(name, *command)))
        deadline = time.monotonic() + 60
        for address in PODS.values():
            while ask(f"http://{address}:9902/ready") != "LIVE\n":
                assert time.monotonic() < deadline, "Envoy is not ready"
                time.sleep(0.02)
        apex = "http://10.96.0.10:9898/"
        seen: dict[str, Any] = {"at 0": ask(apex, "client")}
        deliver(100)
        deadline = time.monotonic() + 60
        while "canary" not in (answer := ask(apex, "client")) and time.monotonic() < deadline:
            pass
        seen["at 100"] = answer
        seen["by pod address"] = ask(f"http://{PODS['primary']}:9898/", "client")
        seen["undeclared port"] = ask(f"http://{PODS['primary']}:9999/", "client")
        seen["probe from the node"] = ask(f"http://{PODS['primary']}:9999/")
        metrics = ask(f"http://{PODS['canary']}:5670/metrics", "client")
        seen["metrics"] = [line for line in metrics.splitlines() if "upstream_rq{" in line]
        seen["size of metrics"] = len(metrics)
        return seen
    finally:
        for process in running:
            process.terminate()


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
