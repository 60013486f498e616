"""JSON patch (RFC 6902), as forgiving and as terse as the API server is."""

import copy
from typing import Any

import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from serinus.lab.apiserver.patch.errors import PatchError

REFUSED = "the server rejected our request due to an error in our request"
"""All that a real API server says of an operation that does not fit."""

MAX_OPERATIONS = 10_000
"""As many as a real API server accepts."""


def json_patch(target: Any, operations: Any) -> Any:
    """``target`` after all ``operations``; it is left as it was.

    Raises ``PatchError``: code 400 if the patch is malformed, 413 if it is too long, 422 if an
    operation does not fit the object or a ``test`` fails.
    """
    if not isinstance(operations, list):
        raise PatchError(
            "error decoding patch: json: cannot unmarshal object into Go value of type"
            " []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS},"
            f" got {len(operations)}",
            code=413,
        )
    patched = copy.deepcopy(target)
    for operation in operations:
        patched = _apply(patched, operation)
    return patched


def _apply(target: Any, operation: Any) -> Any:
    if not isinstance(operation, dict):
        raise PatchError("error decoding patch: an operation must be an object")
    name, path = operation.get("op"), operation.get("path")
    if name == "replace" and _may_be_added(target, path):
        operation = {**operation, "op": "add"}
    try:
        return jsonpatch.JsonPatch([operation]).apply(target, in_place=True)
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError) as error:
        raise PatchError(REFUSED, code=422) from error


def _may_be_added(target: Any, path: Any) -> bool:
    """The real server's library replaces a field of an object even where there is none."""
    try:
        holder, key = JsonPointer(path).to_last(target)
    except (JsonPointerException, TypeError):
        return False
    return isinstance(holder, dict) and key is not None
