"""Reads the structure of Kubernetes' own types out of its Go modules into the lab's data files.

    go mod download k8s.io/kubernetes@v1.36.3 k8s.io/api@v0.36.3 \
        k8s.io/apimachinery@v0.36.3 k8s.io/apiextensions-apiserver@v0.36.3
    python tools/schemas/generate.py

Facts only are taken (field names, types, keys, numbers), no descriptions. Written are, under
``src/serinus/lab/apiserver/schema/data``:

- ``kinds.json``: what can be asked for: plurals, verbs, subresources;
- ``types.json``: the OpenAPI schemas of these kinds and of all that they refer to;
- ``protobuf.json``: per message, ``"number": [field, type]``, and then, where one
  is due, ``repeated``, ``map`` (type is that of its values), ``inline``, ``pointer`` or ``always``.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

KUBERNETES = "k8s.io/kubernetes@v1.36.3"
API = "k8s.io/api@v0.36.3"
APIMACHINERY = "k8s.io/apimachinery@v0.36.3"
APIEXTENSIONS = "k8s.io/apiextensions-apiserver@v0.36.3"

DATA = Path(__file__).parents[2] / "src/serinus/lab/apiserver/schema/data"

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
CORE = "io.k8s.api.core.v1."

KINDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "v1"): (
        *("Namespace", "Pod", "Service", "Endpoints", "ConfigMap", "Secret", "ServiceAccount"),
        *("Node", "Event", "PersistentVolume", "PersistentVolumeClaim", "ReplicationController"),
        *("LimitRange", "ResourceQuota", "PodTemplate", "Binding"),
    ),
    ("apps", "v1"): (
        *("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "ControllerRevision"),
    ),
    ("batch", "v1"): ("Job", "CronJob"),
    ("autoscaling", "v1"): ("HorizontalPodAutoscaler",),
    ("autoscaling", "v2"): ("HorizontalPodAutoscaler",),
    ("networking.k8s.io", "v1"): ("Ingress", "IngressClass", "NetworkPolicy"),
    ("discovery.k8s.io", "v1"): ("EndpointSlice",),
    ("rbac.authorization.k8s.io", "v1"): (
        *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    ),
    ("coordination.k8s.io", "v1"): ("Lease",),
    ("events.k8s.io", "v1"): ("Event",),
    ("policy", "v1"): ("PodDisruptionBudget",),
    ("apiextensions.k8s.io", "v1"): ("CustomResourceDefinition",),
    ("admissionregistration.k8s.io", "v1"): (
        *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    ),
    ("authorization.k8s.io", "v1"): (
        *("SubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectAccessReview"),
        "SelfSubjectRulesReview",
    ),
    ("authentication.k8s.io", "v1"): ("TokenReview", "SelfSubjectReview"),
    ("scheduling.k8s.io", "v1"): ("PriorityClass",),
    ("storage.k8s.io", "v1"): ("StorageClass",),
}

SHORT_NAMES = {
    "configmaps": ["cm"],
    "endpoints": ["ep"],
    "events": ["ev"],
    "limitranges": ["limits"],
    "namespaces": ["ns"],
    "nodes": ["no"],
    "persistentvolumeclaims": ["pvc"],
    "persistentvolumes": ["pv"],
    "pods": ["po"],
    "replicationcontrollers": ["rc"],
    "resourcequotas": ["quota"],
    "serviceaccounts": ["sa"],
    "services": ["svc"],
    "customresourcedefinitions": ["crd", "crds"],
    "daemonsets": ["ds"],
    "deployments": ["deploy"],
    "replicasets": ["rs"],
    "statefulsets": ["sts"],
    "horizontalpodautoscalers": ["hpa"],
    "cronjobs": ["cj"],
    "ingresses": ["ing"],
    "networkpolicies": ["netpol"],
    "poddisruptionbudgets": ["pdb"],
    "priorityclasses": ["pc"],
    "storageclasses": ["sc"],
}
IN_CATEGORY_ALL = frozenset(
    {
        *("pods", "replicationcontrollers", "services", "daemonsets", "deployments"),
        *("replicasets", "statefulsets", "horizontalpodautoscalers", "jobs", "cronjobs"),
    }
)
IN_CATEGORY_API_EXTENSIONS = frozenset(
    {
        "customresourcedefinitions",
        *("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    }
)

EXTRA_TYPES = (
    *(META + name for name in ("DeleteOptions", "Status")),
    *(META + name for name in ("APIResourceList", "WatchEvent", "Patch")),
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.api.authentication.v1.TokenRequest",
)

VERBS = {"post": "create", "put": "update", "deletecollection": "deletecollection"}
DROPPED = ("description", "x-kubernetes-group-version-kind", "x-kubernetes-unions")


def module_dir(module: str) -> Path:
    """Where Go keeps the module (downloaded if it must be)."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], check=True, capture_output=True, cwd="/"
    )
    return Path(json.loads(answer.stdout)["Dir"])


def openapi_file(group: str, version: str) -> str:
    return f"apis__{group}__{version}_openapi.json" if group else f"api__{version}_openapi.json"


# -- kinds -------------------------------------------------------------------


def read_kinds(document: dict[str, Any], group: str, version: str) -> list[dict[str, Any]]:
    """The wanted kinds of one group and version, from the document's paths."""
    prefix = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    found: dict[str, dict[str, Any]] = {}
    subresources: dict[str, dict[str, Any]] = {}
    kind_of_plural: dict[str, str] = {}
    for path, operations in document["paths"].items():
        rest = path.removeprefix(prefix)
        if rest == path or rest.startswith("watch/"):
            continue
        namespaced = rest.startswith("namespaces/{namespace}/")
        parts = rest.removeprefix("namespaces/{namespace}/").split("/")
        plural, sub = parts[0], parts[2] if len(parts) > 2 and "{" not in parts[2] else ""
        if len(parts) > 3:
            continue
        for method, operation in operations.items():
            if not isinstance(operation, dict) or "x-kubernetes-action" not in operation:
                continue
            action = operation["x-kubernetes-action"]
            gvk = operation["x-kubernetes-group-version-kind"]
            verb = VERBS.get(action, "get" if action == "connect" else action)
            if sub:
                entry = subresources.setdefault(plural, {}).setdefault(
                    sub, {"name": sub, **gvk, "verbs": set()}
                )
                entry["verbs"].add({"connect": "create"}.get(action, verb))
                if action == "connect":
                    entry["verbs"] |= {"get"} if method == "get" else {"create"}
                continue
            kind_of_plural.setdefault(plural, gvk["kind"])
            entry = found.setdefault(
                plural, {"kind": gvk["kind"], "plural": plural, "namespaced": False, "verbs": set()}
            )
            entry["namespaced"] |= namespaced
            entry["verbs"].add(verb)
    kinds = []
    for plural, entry in found.items():
        if entry["kind"] not in KINDS[group, version]:
            continue
        verbs = entry["verbs"] | ({"watch"} if "list" in entry["verbs"] else set())
        kinds.append(
            {
                "group": group,
                "version": version,
                "kind": entry["kind"],
                "plural": plural,
                "singular": entry["kind"].lower(),
                "shortNames": SHORT_NAMES.get(plural, []),
                "namespaced": entry["namespaced"],
                "categories": (["all"] if plural in IN_CATEGORY_ALL else [])
                + (["api-extensions"] if plural in IN_CATEGORY_API_EXTENSIONS else []),
                "verbs": sorted(verbs),
                "subresources": [
                    {**sub, "verbs": sorted(sub["verbs"])}
                    for _, sub in sorted(subresources.get(plural, {}).items())
                ],
            }
        )
    missing = set(KINDS[group, version]) - {kind["kind"] for kind in kinds}
    if missing:
        raise SystemExit(f"{group}/{version}: no paths for {sorted(missing)}")
    return sorted(kinds, key=lambda kind: str(kind["plural"]))


def type_names(document: dict[str, Any], kind: dict[str, Any]) -> tuple[str, list[str]]:
    """The names of the kind's type and of its list's type, where it has one."""
    names: dict[str, str] = {}
    for name, schema in document["components"]["schemas"].items():
        for gvk in schema.get("x-kubernetes-group-version-kind", [])[:1]:
            if (gvk["group"], gvk["version"]) == (kind["group"], kind["version"]):
                names[gvk["kind"]] = name
    lists = [names[kind["kind"] + "List"]] if kind["kind"] + "List" in names else []
    return names[kind["kind"]], lists


# -- types -------------------------------------------------------------------


def structure(node: Any) -> Any:
    """The schema without descriptions and without defaults that say only "the zero value"."""
    if isinstance(node, list):
        return [structure(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key in DROPPED or (key == "default" and value in ({}, "", 0, False)):
            continue
        if key == "properties":
            kept[key] = {name: structure(schema) for name, schema in value.items()}
        elif key == "allOf" and len(value) == 1:
            kept.update(structure(value[0]))
        elif key == "$ref":
            kept[key] = value.rsplit("/", 1)[1]
        else:
            kept[key] = structure(value) if key != "default" else value
    return kept


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(references(value) for value in node.values()))


def reachable(roots: set[str], types: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    todo = sorted(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen[name] = types[name]
            todo.extend(references(types[name]))
    return dict(sorted(seen.items()))


# -- enums: only Go's source knows them ----------------------------------------

ENUM_TYPE = re.compile(r"// \+enum\n(?://[^\n]*\n)*type (\w+) string")
CONSTANT = re.compile(r"^\s*(?:const )?\w+\s+(\w+)\s*=\s*\"([^\"]*)\"", re.M)
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^\s+\w+\s+(?:\*|\[\])?(\w+)\s+`[^`]*json:\"([^\",]+)[^`]*`", re.M)


def add_enums(go_source: str, prefix: str, types: dict[str, Any]) -> None:
    """Sets ``enum`` on the fields whose Go type is marked as an enumeration."""
    values: dict[str, list[str]] = {name: [] for name in ENUM_TYPE.findall(go_source)}
    for type_name, value in CONSTANT.findall(go_source):
        if type_name in values and value:
            values[type_name].append(value)
    for struct, body in STRUCT.findall(go_source):
        properties = types.get(prefix + struct, {}).get("properties", {})
        for go_type, json_name in FIELD.findall(body):
            if values.get(go_type) and json_name in properties:
                schema = properties[json_name]
                schema = schema.get("items", schema)
                if schema.get("type") == "string":
                    schema["enum"] = sorted(set(values[go_type]))


# -- protobuf ----------------------------------------------------------------

MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
PROTO_FIELD = re.compile(
    r"^\s+(optional |repeated |)(map<string, ([\w.]+)>|[\w.]+) (\w+) = (\d+);", re.M
)


def read_messages(proto: str) -> dict[str, Any]:
    """Message name (as ``k8s.io.api.core.v1.Pod``) to its fields by number."""
    package = re.search(r"^package ([\w.]+);", proto, re.M)
    assert package, "a .proto file has no package"
    messages = {}
    for name, body in MESSAGE.findall(proto):
        fields = {}
        for label, whole, of_map, field, number in PROTO_FIELD.findall(body):
            kind = of_map or whole
            if kind[0].isupper():
                kind = f"{package[1]}.{kind}"
            many = ["map"] if of_map else ["repeated"] if label.strip() == "repeated" else []
            fields[number] = [field, kind.lstrip("."), *many]
        messages[f"{package[1]}.{name}"] = fields
    return messages


GO_FIELD = re.compile(
    r"^\s+\w+\s+(\*?)[\w.\[\]*]+\s+`[^`]*json:\"([^\",]+)(,omitempty|,omitzero)?", re.M
)


def read_presence(go_source: str) -> dict[str, dict[str, str]]:
    """Struct to JSON field to how Go shows that the field is absent.

    ``pointer``: whatever is in the message was set; ``always``: JSON has it even when it is zero;
    otherwise a zero value in the message means that the field is absent.
    """
    presence = {}
    for struct, body in STRUCT.findall(go_source):
        presence[struct] = {
            name: "pointer" if pointer else "always"
            for pointer, name, omitempty in GO_FIELD.findall(body)
            if pointer or not omitempty
        }
    return presence


def openapi_name(message: str) -> str:
    return "io.k8s." + message.removeprefix("k8s.io.").replace("_", "-")


def fit_to_json(
    messages: dict[str, Any], types: dict[str, Any], presence: dict[str, dict[str, str]]
) -> None:
    """Gives fields their JSON names; marks presence, and fields that JSON spreads into the parent.

    ``presence`` is by message. Go's embedded structs are the ones that JSON spreads.
    """
    for message, fields in messages.items():
        properties = types.get(openapi_name(message), {}).get("properties", {})
        json_name = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in properties}
        for field in fields.values():
            field[0] = json_name.get(field[0].lower(), field[0])
            if len(field) > 2:
                continue
            if properties and field[0] not in properties and field[1] in messages:
                field.append("inline")
            elif mark := presence.get(message, {}).get(field[0]):
                field.append(mark)


def read_all_messages(
    api: Path, machinery: Path, extensions: Path, types: dict[str, Any]
) -> dict[str, Any]:
    messages: dict[str, Any] = {}
    presence: dict[str, dict[str, str]] = {}
    for proto in (
        *sorted(api.glob("*/*/generated.proto")),
        machinery / "pkg/apis/meta/v1/generated.proto",
        machinery / "pkg/api/resource/generated.proto",
        machinery / "pkg/runtime/generated.proto",
        machinery / "pkg/util/intstr/generated.proto",
        extensions / "pkg/apis/apiextensions/v1/generated.proto",
    ):
        found = read_messages(proto.read_text())
        messages |= found
        for source in sorted(proto.parent.glob("types*.go")):
            structs = read_presence(source.read_text())
            for message in found:
                presence.setdefault(message, {}).update(structs.get(message.rsplit(".")[-1], {}))
    fit_to_json(messages, types, presence)
    return messages


def needed_messages(messages: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """The messages of the types, of the envelope, and all that they are made of."""
    needed: dict[str, Any] = {}
    todo = [name for name in messages if openapi_name(name) in types]
    todo += [name for name in messages if name.startswith("k8s.io.apimachinery.pkg.runtime.")]
    while todo:
        name = todo.pop()
        if name in messages and name not in needed:
            needed[name] = messages[name]
            todo.extend(field[1] for field in messages[name].values())
    return needed


def main() -> None:
    kubernetes, api = module_dir(KUBERNETES), module_dir(API)
    machinery, extensions = module_dir(APIMACHINERY), module_dir(APIEXTENSIONS)
    kinds: list[dict[str, Any]] = []
    types: dict[str, Any] = {}
    roots = set(EXTRA_TYPES)
    for group, version in KINDS:
        path = kubernetes / "api/openapi-spec/v3" / openapi_file(group, version)
        document = json.loads(path.read_text())
        found = read_kinds(document, group, version)
        for kind in found:
            kind["type"], list_type = type_names(document, kind)
            roots |= {kind["type"], *list_type}
        kinds += found
        for name, schema in document["components"]["schemas"].items():
            types[name] = structure(schema)
    types = reachable(roots, types)

    for source in sorted(api.glob("*/*/types.go")):
        group, version = source.parent.parent.name, source.parent.name
        add_enums(source.read_text(), f"io.k8s.api.{group}.{version}.", types)

    messages = needed_messages(read_all_messages(api, machinery, extensions, types), types)
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / "kinds.json").write_text(
        "[\n" + ",\n".join(json.dumps(kind, sort_keys=True) for kind in kinds) + "\n]\n"
    )
    for name, content in (("types", types), ("protobuf", messages)):
        lines = (
            f"{json.dumps(key)}:{json.dumps(value, sort_keys=True, separators=(',', ':'))}"
            for key, value in sorted(content.items())
        )
        (DATA / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
