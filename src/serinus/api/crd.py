"""The CustomResourceDefinitions, generated from the structs; `deploy/crds` holds their text.

They are a superset of Flagger's: every manifest that Flagger's accept is accepted, and the names,
enums, printer columns, category and Helm annotation are the same.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from serinus.api.alertprovider import AlertProviderSpec
from serinus.api.canary import CanarySpec, CanaryStatus
from serinus.api.metrictemplate import MetricTemplateSpec
from serinus.api.schema import schema_of

GROUP = "flagger.app"
VERSION = "v1beta1"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of `kubectl get`; those of priority 1 need `-o wide`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def document(self) -> dict[str, Any]:
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**column, "priority": self.priority} if self.priority else column


@dataclass(frozen=True, slots=True)
class _Definition:
    """What is particular to one kind."""

    kind: str
    plural: str
    description: str
    columns: tuple[_Column, ...]
    parts: dict[str, dict[str, Any]]

    def document(self) -> dict[str, Any]:
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{self.plural}.{GROUP}",
                "annotations": {"helm.sh/resource-policy": "keep"},
            },
            "spec": {
                "group": GROUP,
                "names": {
                    "kind": self.kind,
                    "listKind": f"{self.kind}List",
                    "plural": self.plural,
                    "singular": self.kind.lower(),
                    "categories": ["all"],
                },
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": VERSION,
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "additionalPrinterColumns": [column.document() for column in self.columns],
                        "schema": {"openAPIV3Schema": self._schema()},
                    }
                ],
            },
        }

    def _schema(self) -> dict[str, Any]:
        return {
            "description": self.description,
            "type": "object",
            "properties": {
                "apiVersion": {
                    "description": f"Version of the schema of this object: {GROUP}/{VERSION}.",
                    "type": "string",
                },
                "kind": {"description": f"Kind of this object: {self.kind}.", "type": "string"},
                "metadata": {"type": "object"},
                **self.parts,
            },
        }


_DEFINITIONS = (
    _Definition(
        kind="Canary",
        plural="canaries",
        description="Rolls new revisions of a workload out step by step, and back when they fail.",
        columns=(
            _Column("Status", ".status.phase"),
            _Column("Weight", ".status.canaryWeight"),
            _Column("Suspended", ".spec.suspend", "boolean", 1),
            _Column("FailedChecks", ".status.failedChecks", priority=1),
            _Column("Interval", ".spec.analysis.interval", priority=1),
            _Column("Mirror", ".spec.analysis.mirror", "boolean", 1),
            _Column("StepWeight", ".spec.analysis.stepWeight", priority=1),
            _Column("StepWeights", ".spec.analysis.stepWeights", priority=1),
            _Column("MaxWeight", ".spec.analysis.maxWeight", priority=1),
            _Column("LastTransitionTime", ".status.lastTransitionTime"),
        ),
        parts={
            "spec": schema_of(
                CanarySpec, description="What is rolled out, how it is reached and judged."
            ),
            "status": schema_of(CanaryStatus, description="Where the rollout stands."),
        },
    ),
    _Definition(
        kind="MetricTemplate",
        plural="metrictemplates",
        description="A query against a metrics server, to be shared between canaries.",
        columns=(_Column("Provider", ".spec.provider.type"),),
        parts={"spec": schema_of(MetricTemplateSpec, description="Whom to ask, and what.")},
    ),
    _Definition(
        kind="AlertProvider",
        plural="alertproviders",
        description="A chat service that alerts are sent to.",
        columns=(_Column("Type", ".spec.type"),),
        parts={
            "spec": schema_of(
                AlertProviderSpec,
                description="Where messages go.",
                oneOf=[
                    {"required": ["type", "address"]},
                    {"required": ["type", "secretRef"]},
                ],
            )
        },
    ),
)


def crd_documents() -> list[dict[str, Any]]:
    """The definitions of all kinds, each of them fit to be applied."""
    return [definition.document() for definition in _DEFINITIONS]


def crd_texts() -> dict[str, str]:
    """The YAML of each definition, by its plural name: the files of `deploy/crds`."""
    return {
        document["spec"]["names"]["plural"]: yaml.dump(
            document, Dumper=_PlainDumper, sort_keys=False, width=100
        )
        for document in crd_documents()
    }


def crd_yaml() -> str:
    """All definitions as one stream of YAML documents."""
    return "---\n".join(crd_texts().values())


class _PlainDumper(yaml.SafeDumper):
    """Writes values that occur twice twice: kubectl reads anchors, people do not like to."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML calls it)
        return True
