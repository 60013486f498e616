"""Records the protobuf bodies that kubectl posts, as fixtures for the decoder's tests.

    python tools/schemas/capture_kubectl.py

Plays an API server on loopback that knows only discovery, lets kubectl create one object of each
kind that it has a ``create`` command for, and keeps the body under
``tests/lab/apiserver_schema/protobuf/NAME.pb``; ``NAME.json`` is what the same command prints with
``--dry-run=client -o json``.
"""

import json
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serinus.lab.apiserver.schema.registry import Registry

FIXTURES = Path(__file__).parents[2] / "tests/lab/apiserver_schema/protobuf"
KUBECTL = Path(sys.executable).with_name("kubectl")
REGISTRY = Registry.builtin()

COMMANDS = {
    "namespace": "ns test",
    "configmap": "configmap settings --from-literal=colour=yellow --from-literal=empty=",
    "secret": "secret generic keys --from-literal=user=finch --type=Opaque",
    "secret-tls-like": "secret docker-registry pull --docker-username=u --docker-password=p",
    "serviceaccount": "sa robot",
    "deployment": "deployment web --image=nginx:1.27 --image=busybox --replicas=0 --port=80",
    "job": "job once --image=busybox -- sh -c date",
    "cronjob": "cronjob often --image=busybox '--schedule=*/5 * * * *' -- date",
    "service-clusterip": "service clusterip web --tcp=80:8080 --tcp=9090:metrics",
    "service-externalname": "service externalname out --external-name=example.test",
    "role": "role reader --verb=get,list --resource=pods,deployments.apps",
    "rolebinding": "rolebinding read --role=reader --serviceaccount=test:robot --user=finch",
    "clusterrole": "clusterrole reader --verb=get --non-resource-url=/healthz",
    "clusterrolebinding": "clusterrolebinding read --clusterrole=reader --group=birds",
    "quota": "quota small --hard=cpu=1,memory=1Gi,pods=3",
    "poddisruptionbudget": "pdb web --selector=app=web --min-available=50%",
    "priorityclass": "priorityclass high --value=1000 --description=first",
    "ingress": "ingress web --rule=web.test/path*=web:80,tls=cert --class=plain",
    "token": "token robot --duration=10m",
}


class Recorder(BaseHTTPRequestHandler):
    """Answers discovery, keeps what is posted, and refuses it, so that kubectl ends."""

    body = b""

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        groups = REGISTRY.groups()
        if parts == ["api"]:
            self.answer({"kind": "APIVersions", "versions": ["v1"]})
        elif parts == ["apis"]:
            listed = []
            for group, versions in groups.items():
                entries = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
                listed.append({"name": group, "versions": entries, "preferredVersion": entries[0]})
            self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed[1:]})
        elif parts[0] in ("api", "apis") and len(parts) == (2 if parts[0] == "api" else 3):
            group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
            resources = [
                {
                    "name": kind.plural,
                    "singularName": kind.singular,
                    "namespaced": kind.namespaced,
                    "kind": kind.kind,
                    "verbs": kind.verbs,
                    "shortNames": kind.short_names,
                }
                for kind in REGISTRY.kinds(group, version)
            ]
            group_version = "/".join(parts[1:])
            self.answer(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": group_version,
                    "resources": resources,
                }
            )
        else:
            self.answer({"kind": "Status", "apiVersion": "v1", "code": 404}, 404)

    def do_POST(self) -> None:
        type(self).body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 418}, 418)

    def answer(self, content: object, code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the recorded files are the output."""


def main() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubectl = [str(KUBECTL), f"--server=http://127.0.0.1:{server.server_port}", "-n", "test"]
    for name, command in COMMANDS.items():
        words = shlex.split(command)
        Recorder.body = b""
        subprocess.run([*kubectl, "create", *words], check=False, capture_output=True, timeout=30)
        if not Recorder.body.startswith(b"k8s\x00"):
            raise SystemExit(f"kubectl create {command}: no protobuf was sent: {Recorder.body!r}")
        (FIXTURES / f"{name}.pb").write_bytes(Recorder.body)
        at = words.index("--") if "--" in words else len(words)
        dry = [*words[:at], "--dry-run=client", "-ojson", *words[at:]]
        printed = subprocess.run(
            [*kubectl, "create", *dry], check=False, capture_output=True, timeout=30
        )
        if printed.returncode == 0:
            expected = json.dumps(json.loads(printed.stdout), indent=1, sort_keys=True)
            (FIXTURES / f"{name}.json").write_text(expected + "\n")
    server.shutdown()


if __name__ == "__main__":
    main()
