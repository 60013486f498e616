"""What a MeshProxyPatch changes in Envoy's configuration: one modification of one of five kinds."""

from serinus.lab.mesh.crds.definition import Json, array, string, strings, struct

_RESOURCE = ("Add", "Remove", "Patch")
_FILTER = ("Remove", "Patch", "AddFirst", "AddBefore", "AddAfter", "AddLast")


def modification() -> Json:
    """The schema of an entry of ``appendModifications``; that it has exactly one of its fields,
    Kuma's webhook sees to."""
    of_listener = {"listenerName": string(), "listenerTags": strings()}
    virtual_host = _change(_RESOURCE, routeConfigurationName=string())
    virtual_host["required"] = ["match", "operation"]
    return struct(
        cluster=_change(_RESOURCE),
        listener=_change(_RESOURCE, tags=strings()),
        virtualHost=virtual_host,
        networkFilter=_change(_FILTER, **of_listener),
        httpFilter=_change(_FILTER, **of_listener),
    )


def _change(operations: tuple[str, ...], **match: Json) -> Json:
    step = struct(
        ["op", "path"],
        op=string("add", "remove", "replace", "move", "copy"),
        path=string(),
        value={"x-kubernetes-preserve-unknown-fields": True},
    )
    step["properties"]["from"] = string()
    where = struct(name=string(), origin=string())
    where["properties"] |= match
    return struct(
        ["operation"],
        operation=string(*operations),
        match=where,
        value=string(),
        jsonPatches=array(step),
    )
