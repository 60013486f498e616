"""What is special about single kinds when they are written."""

from typing import Any

from serinus.lab.apiserver import crds, errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest import jobs, services
from serinus.lab.apiserver.rest.call import Api
from serinus.lab.apiserver.rest.lifecycle import CRD_FINALIZER
from serinus.lab.apiserver.schema.registry import Kind

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def prepare_create(kind: Kind, obj: Obj) -> None:
    """The first state of a new object: the status is the server's, not the client's."""
    if "status" in kind.subresources and (kind.group, kind.plural) != ("", "nodes"):
        obj.pop("status", None)
    match kind.group, kind.plural:
        case "", "namespaces":
            obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
            obj["status"] = {"phase": "Active"}
            label_namespace(obj)
        case "", "pods":
            obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}
        case "", "services":
            obj["status"] = {"loadBalancer": {}}
        case "", "secrets":
            take_string_data(obj)
        case "batch", "jobs":
            obj["status"] = {}
            jobs.select_own_pods(obj)
        case "apps", _ if "status" in kind.subresources:
            obj["status"] = {}
            if kind.plural == "daemonsets":
                _count_templates(obj, 1)
        case "apiextensions.k8s.io", "customresourcedefinitions":
            finalizers = obj["metadata"].setdefault("finalizers", [])
            if CRD_FINALIZER not in finalizers:
                finalizers.append(CRD_FINALIZER)


def prepare_update(kind: Kind, live: Obj, new: Obj) -> None:
    """What an update of the main resource may not touch."""
    if "status" in kind.subresources:
        keep(live, new, "status")
    match kind.group, kind.plural:
        case "", "namespaces":
            spec = new.setdefault("spec", {})
            spec["finalizers"] = (live.get("spec") or {}).get("finalizers") or []
            label_namespace(new)
        case "", "secrets":
            take_string_data(new)
        case "", "services":
            services.keep_address(live, new)
            services.drop_ports(live, new)
        case "apps", "daemonsets":
            old, spec = live["spec"], new.get("spec") or {}
            count = int((live["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, 1))
            same = all(old.get(part) == spec.get(part) for part in ("template", "updateStrategy"))
            _count_templates(new, count if same else count + 1)


def _count_templates(daemonset: Obj, count: int) -> None:
    annotations = daemonset["metadata"].get("annotations") or {}
    daemonset["metadata"]["annotations"] = {**annotations, TEMPLATE_GENERATION: str(count)}


def metadata_beside(kind: Kind, subresource: str, live: Obj, new: Obj) -> Obj:
    """The metadata after a write of a subresource. That of a built-in kind's status takes what
    is said beside it, as Kubernetes' own kinds do, each with its exceptions."""
    kept = dict(live["metadata"])
    taken = ["managedFields"]
    if subresource == "status" and not kind.is_custom:
        taken += ["annotations", "finalizers"]
        if (kind.group, kind.plural) != ("apps", "deployments"):
            taken.append("labels")
        if (kind.group, kind.plural) != ("", "pods"):
            taken.append("ownerReferences")
    for name in taken:
        if name in new["metadata"]:
            kept[name] = new["metadata"][name]
        elif name != "managedFields":
            kept.pop(name, None)
    return kept


def keep(live: Obj, new: Obj, name: str) -> None:
    """``new`` has the field as ``live`` has it."""
    if name in live:
        new[name] = live[name]
    else:
        new.pop(name, None)


def label_namespace(obj: Obj) -> None:
    labels = obj["metadata"].get("labels") or {}
    labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj["metadata"]["labels"] = labels


def take_string_data(secret: Obj) -> None:
    """``stringData`` is for writing only: it becomes ``data``."""
    import base64

    plain = secret.pop("stringData", None)
    if plain:
        data = secret.get("data") or {}
        data.update({key: base64.b64encode(text.encode()).decode() for key, text in plain.items()})
        secret["data"] = data


def allocate(api: Api, kind: Kind, obj: Obj, live: Obj | None) -> None:
    """What must be unique in the lab; called right before the write, with nothing in between."""
    if (kind.group, kind.plural) == ("", "services"):
        services.allocate(api.store, obj, live)


def qos_class(spec: dict[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, from the containers' requests and limits."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(found.get("requests") or found.get("limits") for found in resources):
        return "BestEffort"
    for found in resources:
        limits, requests = found.get("limits") or {}, found.get("requests") or {}
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"


def check_namespace(api: Api, kind: Kind, namespace: str, name: str) -> None:
    """A new object's namespace exists and is not on its way out."""
    if not kind.namespaced:
        return
    entry = api.store.get(("", "namespaces"), "", namespace)
    if entry is None:
        raise errors.not_found("", "namespaces", namespace)
    if "deletionTimestamp" in entry.decode()["metadata"]:
        error = errors.forbidden(
            kind.group,
            kind.plural,
            name,
            f"unable to create new content in namespace {namespace} because it is being terminated",
        )
        assert error.details is not None
        error.details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise error


def removed(api: Api, kind: Kind, obj: Obj) -> None:
    """The consequences of an object's disappearance: the last object of a deleted CRD frees it."""
    if (kind.group, kind.plural) == crds.RESOURCE:
        api.registry.remove_crd(obj["metadata"]["name"])
    elif kind.is_custom:
        crds.finish(api, f"{kind.plural}.{kind.group}")
