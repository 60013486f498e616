"""What is written for a Canary in each dialect: the files under `golden/`, byte for byte.

Each is made by the router itself in a cluster with that Kuma's CRDs, and has to be taken by that
Kuma: its schemas strictly (an unknown field is an error), and its webhooks. After a change that is
meant, write them anew by ``SERINUS_GOLDEN=write python -m pytest tests/kuma/test_golden.py`` and
read the difference.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import yaml

from routing.api_server import ApiServer
from routing.cluster import FULL, SPLIT, SYSTEM, VERSIONS, Cluster
from serinus.api.canary import Canary
from serinus.api.decode import decode_canary
from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.prune import unknown_fields
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.validation import validate
from serinus.lab.mesh.admission import completed, refusal
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, KumaVersion
from serinus.rollout.effects import Affinity, Traffic, Weights
from workload.guide import Json

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("SERINUS_GOLDEN") == "write"
DEFAULT_MESH = {"default": {"kind": "Mesh", "metadata": {"name": "default"}}}

MANIFEST = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test, uid: 8f6a5c1e-0000-4000-8000-000000000001}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898, portName: http, appProtocol: http}
  analysis: {interval: 1m, threshold: 5}
"""


@dataclass(frozen=True, slots=True)
class World:
    """A cluster in which one dialect is spoken."""

    version: str
    mode: str | None = None
    by_route: bool = True
    """Whether MeshHTTPRoutes are written, which can do more than a TrafficRoute."""

    @property
    def kuma(self) -> KumaVersion:
        return VERSIONS[self.version]


@dataclass(frozen=True, slots=True)
class Case:
    """What a Canary's manifest says beside `MANIFEST`, and which traffic it is to carry."""

    traffic: Traffic
    service: str = "{}"
    analysis: str = "{maxWeight: 50, stepWeight: 5}"
    everywhere: bool = False
    """Whether a TrafficRoute can do it, too."""


WORLDS = {
    "trafficroute": World("1.8", by_route=False),
    "service-tag-system": World("2.7"),
    "service-tag": World("2.14", "Disabled"),
    "meshservice-name": World("2.14", "Exclusive"),
    "labels": World("3.0"),
}
CASES = {
    "at-rest": Case(FULL, everywhere=True),
    "weights": Case(SPLIT, everywhere=True),
    "tcp": Case(SPLIT, service="{appProtocol: tcp, portName: tcp}", everywhere=True),
    "ab": Case(
        Traffic(Weights(100, 0), matched=True),
        analysis="""
            iterations: 10
            match:
            - headers: {x-canary: {exact: insider}}
            - headers: {cookie: {regex: "^(.*?;)?(canary=always)(;.*)?$"}}
        """,
        everywhere=True,
    ),
    "mirror": Case(
        Traffic(Weights(100, 0), mirrored=True),
        analysis="{mirror: true, mirrorWeight: 20, iterations: 10}",
    ),
    "affinity": Case(
        Traffic(Weights(90, 10), affinity=Affinity("side=c4n4ry", "old=pr1m4ry")),
        analysis="""
            maxWeight: 50
            stepWeight: 10
            sessionAffinity: {cookieName: side, primaryCookieName: old, maxAge: 3600}
        """,
    ),
    "timeout-retries": Case(
        FULL,
        service="""
            timeout: 15s
            retries: {attempts: 3, perTryTimeout: 1s, retryOn: "gateway-error,connect-failure,503"}
        """,
    ),
    "headers-rewrite-match": Case(
        SPLIT,
        service="""
            match:
            - {uri: {prefix: /api}, method: {exact: GET}}
            - {uri: {exact: /shop}, headers: {x-region: {regex: "eu-.*"}}}
            rewrite: {uri: /v2, authority: shop.example, type: ReplaceFullPath}
            headers:
              request: {set: {x-told: "yes"}, add: {x-more: a}, remove: [x-secret]}
              response: {remove: [server]}
        """,
    ),
}
FILES = [
    (dialect, case)
    for dialect, world in WORLDS.items()
    for case, asked in CASES.items()
    if world.by_route or asked.everywhere
]


class Readable(yaml.SafeDumper):
    """Writes a text of several lines as such, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Readable, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


Readable.add_representer(str, _text)


def manifest(case: Case) -> Canary:
    """The whole Canary of a case."""
    whole = yaml.safe_load(MANIFEST)
    whole["spec"]["service"] |= yaml.safe_load(case.service)
    whole["spec"]["analysis"] |= yaml.safe_load(case.analysis)
    canary = decode_canary(msgspec.json.encode(whole))
    assert isinstance(canary, Canary)
    return canary


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        yield Cluster(server)


@pytest.mark.parametrize(("dialect", "name"), FILES)
async def test_what_is_written_is_as_it_was_and_is_taken(
    cluster: Cluster, dialect: str, name: str
) -> None:
    world, case = WORLDS[dialect], CASES[name]
    await cluster.kuma(world.version, world.mode)
    await cluster.dataplanes()
    if world.kuma.has_meshservice:
        await cluster.mesh_services()
    cluster.canary = manifest(case)
    async with cluster.running():
        assert cluster.router.problems(cluster.canary) == ()
        await cluster.carry(case.traffic)
    objects = [body for method, _, body in cluster.server.writes if method == "POST"]
    assert len(objects) == len(cluster.server.writes)
    text = yaml.dump_all(objects, Dumper=Readable, sort_keys=False, width=100)
    file = GOLDEN / dialect / f"{name}.yaml"
    if WRITE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text
    for item in yaml.safe_load_all(text):
        assert refused(world.kuma, item) == []


def refused(version: KumaVersion, item: Json) -> list[str]:
    """Why this Kuma would not take the object, by its schema or its webhooks."""
    registry = Registry()
    for crd in definitions(version):
        registry.add_crd(crd)
    kind = registry.by_kind("kuma.io", "v1alpha1", item["kind"])
    if kind is None:
        return [f"no kind {item['kind']}"]
    unknown = [f"unknown field {path}" for path in unknown_fields(kind.schema, item)]
    apply_defaults(kind, item)
    wrong = [str(error) for error in validate(kind, item)]
    found = refusal(version, item, DEFAULT_MESH)
    if found is None:
        completed(version, item, "mesh-uid")
    return unknown + wrong + ([] if found is None else [found.message])


def test_every_file_is_of_a_case() -> None:
    made = {f"{dialect}/{name}.yaml" for dialect, name in FILES}
    found = {str(file.relative_to(GOLDEN)) for file in GOLDEN.glob("*/*.yaml")}
    assert {file for file in found if file.split("/")[0] in WORLDS} == made


def test_the_check_can_refuse() -> None:
    (route,) = yaml.safe_load_all((GOLDEN / "meshservice-name" / "weights.yaml").read_text())
    assert refused(VERSIONS["2.14"], route) == []
    assert any("unknown field" in one for one in refused(VERSIONS["3.0"], route))
    assert any("system namespace" in one for one in refused(VERSIONS["2.7"], route))
    assert SYSTEM == SYSTEM_NAMESPACE
