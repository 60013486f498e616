"""What real kubectl makes of our OpenAPI documents."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from serinus.lab.apiserver.schema import openapi
from serinus.lab.apiserver.schema.registry import Registry

KUBECTL = Path(sys.executable).with_name("kubectl")

CRD = {
    "metadata": {"name": "birds.example.test"},
    "spec": {
        "group": "example.test",
        "scope": "Namespaced",
        "names": {"kind": "Bird", "plural": "birds"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["song"],
                                "properties": {
                                    "song": {
                                        "type": "string",
                                        "description": "What it sings.",
                                        "enum": ["loud", "soft"],
                                    },
                                    "port": {"x-kubernetes-int-or-string": True},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def registry_with_crd() -> Registry:
    registry = Registry.builtin()
    registry.add_crd(CRD)
    return registry


class Handler(BaseHTTPRequestHandler):
    """Discovery and OpenAPI; objects are not found, and what is posted is kept."""

    registry = registry_with_crd()
    posted: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        answer = self.answer(path)
        if answer is None:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}
            self.send({**status, "reason": "NotFound"}, 404)
        else:
            self.send(answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append(self.path)
        self.send(json.loads(body), 201)

    def answer(self, path: str) -> Any:
        if path == "openapi/v3":
            return openapi.index(self.registry)
        if path.startswith("openapi/v3/"):
            return openapi.document(self.registry, path.removeprefix("openapi/v3/"))
        if path == "api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        groups = self.registry.groups()
        if path == "apis":
            listed = []
            for group, versions in groups.items():
                entries = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
                listed.append({"name": group, "versions": entries, "preferredVersion": entries[0]})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed[1:]}
        found = re.fullmatch(r"(?:api|apis/([^/]+))/([^/]+)", path)
        if found is None:
            return None
        resources = [
            {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": kind.verbs,
                "shortNames": kind.short_names,
            }
            for kind in self.registry.kinds(found[1] or "", found[2])
        ]
        group_version = f"{found[1]}/{found[2]}" if found[1] else found[2]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": resources,
        }

    def send(self, content: Any, code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The test's own output is enough."""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    cache = tmp_path_factory.mktemp("kubectl")
    address = f"--server=http://127.0.0.1:{server.server_port}"
    yield [str(KUBECTL), address, f"--cache-dir={cache}", "--kubeconfig=/dev/null"]
    server.shutdown()
    server.server_close()
    thread.join()


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, input=stdin, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_explain_a_built_in_kind(kubectl: list[str]) -> None:
    text = run(*kubectl, "explain", "deployment.spec.template.spec.containers")
    assert "FIELD: containers <[]Container>" in text
    assert re.search(r"name\t<string> -required-", text)
    assert re.search(r"livenessProbe\t<Probe>", text)
    assert re.search(r"imagePullPolicy\t<string>\n\s+enum: Always, IfNotPresent, Never", text)


def test_explain_a_custom_kind(kubectl: list[str]) -> None:
    text = run(*kubectl, "explain", "bird.spec", "--recursive")
    assert re.search(r"GROUP:\s+example.test", text)
    assert re.search(r"song\t<string> -required-\n\s+enum: loud, soft", text)
    assert "What it sings." in run(*kubectl, "explain", "bird.spec.song")
    assert "metadata\t<ObjectMeta>" in run(*kubectl, "explain", "bird")


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("example.test/v1", "Bird")],
)
def test_apply_leaves_validation_to_the_server(
    kubectl: list[str], api_version: str, kind: str
) -> None:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "test"}}
    Handler.posted.clear()
    run(*kubectl, "apply", "-f", "-", stdin=json.dumps(obj))
    assert len(Handler.posted) == 1
    assert "fieldValidation=Strict" in Handler.posted[0]


def test_every_document_holds_what_it_refers_to() -> None:
    registry = registry_with_crd()
    for path in openapi.index(registry)["paths"]:
        document = openapi.document(registry, path)
        assert document is not None
        referred = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(document)))
        assert referred <= document["components"]["schemas"].keys(), path
    assert openapi.document(registry, "apis/example.test/v2") is None


def test_merge_keys_and_lists_are_there() -> None:
    document = openapi.document(registry_with_crd(), "apis/apps/v1")
    assert document is not None
    schemas = document["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]


def test_the_hash_changes_with_the_crd_alone() -> None:
    registry = registry_with_crd()
    before = openapi.index(registry)["paths"]
    changed = json.loads(json.dumps(CRD))
    spec = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["song"]["description"] = "What it sang."
    registry.add_crd(changed)
    after = openapi.index(registry)["paths"]
    assert {path for path in after if after[path] != before[path]} == {"apis/example.test/v1"}
