"""The columns of the other built-in kinds: configuration, access, storage, events, admission."""

from datetime import datetime
from typing import Any

from serinus.lab.apiserver.tables.age import age, human_duration, parse_time
from serinus.lab.apiserver.tables.column import (
    AGE,
    CREATED_AT,
    NAME,
    Column,
    Object,
    at,
    computed,
    count,
    joined,
    shown,
    wide,
)

CONFIG_MAP = (
    NAME,
    computed(
        "Data", lambda o: len(o.get("data") or {}) + len(o.get("binaryData") or {}), "integer"
    ),
    AGE,
)
SECRET = (NAME, shown("Type", "type", default="Opaque"), count("Data", "data", type="string"), AGE)
SERVICE_ACCOUNT = (NAME, AGE)
NAMESPACE = (NAME, shown("Status", "status", "phase", default=""), AGE)
LEASE = (NAME, shown("Holder", "spec", "holderIdentity", default=""), AGE)
WEBHOOKS = (NAME, count("Webhooks", "webhooks"), AGE)
CREATED = (NAME, CREATED_AT)


def _subjects(kind: str) -> Any:
    def cell(binding: Object) -> str:
        return ", ".join(
            f"{s.get('namespace', '')}/{s['name']}" if kind == "ServiceAccount" else s["name"]
            for s in binding.get("subjects") or []
            if s.get("kind") == kind
        )

    return cell


BINDING = (
    NAME,
    computed("Role", lambda b: f"{at(b, 'roleRef', 'kind')}/{at(b, 'roleRef', 'name')}"),
    AGE,
    wide(computed("Users", _subjects("User"))),
    wide(computed("Groups", _subjects("Group"))),
    wide(computed("ServiceAccounts", _subjects("ServiceAccount"))),
)


def _last_seen(event: Object, now: datetime) -> str:
    """A repeated event shows when it came last, how often, and since when."""
    first, last = _seen(event)
    times = at(event, "series", "count") or event.get("count") or 1
    if at(event, "series"):
        last = at(event, "series", "lastObservedTime") or last
    if times > 1 and first and last:
        span = human_duration((now - parse_time(first)).total_seconds())
        return f"{age(last, now)} (x{times} over {span})"
    return age(last, now)


def _seen(event: Object) -> tuple[Any, Any]:
    first = event.get("firstTimestamp") or event.get("eventTime")
    return first, event.get("lastTimestamp") or first


def _involved(event: Object) -> Object:
    return event.get("involvedObject") or event.get("regarding") or {}


def _event_source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent")
    parts = (component or event.get("reportingController"), source.get("host"))
    return ", ".join(str(part) for part in parts if part)


def _event_object(event: Object) -> str:
    involved = _involved(event)
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


EVENT = (
    Column("Last Seen", _last_seen),
    shown("Type", "type", default=""),
    shown("Reason", "reason", default=""),
    computed("Object", _event_object),
    wide(computed("Subobject", lambda e: _involved(e).get("fieldPath", ""))),
    wide(computed("Source", _event_source)),
    computed("Message", lambda e: str(e.get("message") or e.get("note") or "").strip()),
    Column("First Seen", lambda e, now: age(_seen(e)[0], now), wide=True),
    wide(
        computed(
            "Count",
            lambda e: str(at(e, "series", "count") or e.get("count") or 1),
        )
    ),
    wide(NAME),
)


def _quota(prefix: str) -> Any:
    """Used and hard values, those of limits apart from those of requests and counts."""

    def cell(quota: Object) -> str:
        hard, used = at(quota, "status", "hard") or {}, at(quota, "status", "used") or {}
        return ", ".join(
            f"{name}: {used.get(name, 0)}/{value}"
            for name, value in sorted(hard.items())
            if name.startswith("limits.") == (prefix == "limits.")
        )

    return cell


RESOURCE_QUOTA = (
    NAME,
    computed("Request", _quota("")),
    computed("Limit", _quota("limits.")),
    AGE,
)

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(*path: str) -> Any:
    return lambda o: ",".join(_MODES.get(mode, mode) for mode in at(o, *path) or [])


def _claim(volume: Object) -> str:
    claim = at(volume, "spec", "claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


VOLUME = (
    NAME,
    shown("Capacity", "spec", "capacity", "storage", default=""),
    computed("Access Modes", _modes("spec", "accessModes")),
    shown("Reclaim Policy", "spec", "persistentVolumeReclaimPolicy", default=""),
    shown("Status", "status", "phase", default=""),
    computed("Claim", _claim),
    shown("StorageClass", "spec", "storageClassName", default=""),
    shown("VolumeAttributesClass", "spec", "volumeAttributesClassName", default="<unset>"),
    shown("Reason", "status", "reason", default=""),
    AGE,
    wide(shown("VolumeMode", "spec", "volumeMode", default="<unset>")),
)
CLAIM = (
    NAME,
    computed(
        "Status",
        lambda o: (
            "Terminating"
            if at(o, "metadata", "deletionTimestamp")
            else at(o, "status", "phase") or ""
        ),
    ),
    shown("Volume", "spec", "volumeName", default=""),
    shown("Capacity", "status", "capacity", "storage", default=""),
    computed("Access Modes", _modes("status", "accessModes")),
    shown("StorageClass", "spec", "storageClassName", default=""),
    shown("VolumeAttributesClass", "spec", "volumeAttributesClassName", default="<unset>"),
    AGE,
    wide(shown("VolumeMode", "spec", "volumeMode", default="<unset>")),
)
STORAGE_CLASS = (
    NAME,
    shown("Provisioner", "provisioner", default=""),
    shown("ReclaimPolicy", "reclaimPolicy", default="Delete"),
    shown("VolumeBindingMode", "volumeBindingMode", default="<unset>"),
    computed("AllowVolumeExpansion", lambda o: bool(o.get("allowVolumeExpansion")), "string"),
    AGE,
)
PRIORITY_CLASS = (
    NAME,
    count("Value", "value"),
    computed("Global-Default", lambda o: bool(o.get("globalDefault")), "boolean"),
    AGE,
    shown("PreemptionPolicy", "preemptionPolicy", default="PreemptLowerPriority"),
)


def _api_service_backend(service: Object) -> str:
    backend = at(service, "spec", "service")
    return f"{backend.get('namespace')}/{backend.get('name')}" if backend else "Local"


def _api_service_available(service: Object) -> str:
    for condition in at(service, "status", "conditions") or []:
        if condition.get("type") == "Available":
            status = str(condition.get("status"))
            return status if status == "True" else f"{status} ({condition.get('reason')})"
    return "True"


API_SERVICE = (
    NAME,
    computed("Service", _api_service_backend),
    computed("Available", _api_service_available),
    AGE,
)
CONTROLLER_REVISION = (
    NAME,
    computed("Controller", lambda o: joined(_owner(o))),
    count("Revision", "revision"),
    AGE,
)


def _owner(obj: Object) -> list[str]:
    owners = at(obj, "metadata", "ownerReferences") or []
    found = next((o for o in owners if o.get("controller")), None)
    if found is None:
        return []
    group = found.get("apiVersion", "").rpartition("/")[0]
    return [f"{found['kind'].lower()}{'.' + group if group else ''}/{found['name']}"]


DEFAULT = (NAME, AGE)
