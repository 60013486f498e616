"""JSON patch (RFC 6902), with failures in the API server's words."""

import copy
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from serinus.lab.apiserver.patch.errors import PatchError

MAX_OPERATIONS = 10_000
"""As many as a real API server accepts."""


def json_patch(target: Any, operations: Any) -> Any:
    """``target`` after all ``operations``; it is left as it was.

    Raises ``PatchError``: code 400 if the patch is malformed, 413 if it is too long, 422 if an
    operation does not fit the object or a ``test`` fails.
    """
    if not isinstance(operations, list):
        raise PatchError("error decoding patch: a JSON patch must be an array of operations")
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
    try:
        return jsonpatch.JsonPatch([operation]).apply(target, in_place=True)
    except jsonpatch.JsonPatchTestFailed as error:
        raise PatchError(f"testing path {path} failed: test failed", code=422) from error
    except (jsonpatch.JsonPatchConflict, JsonPointerException) as error:
        if name in ("move", "copy"):
            words = f'{name} operation does not apply: doc is missing from path: "{path}"'
        elif name == "test":
            words = f"testing path {path} failed"
        elif name == "replace":
            words = f"replace operation does not apply: doc is missing key: {path}"
        elif name == "remove" and isinstance(error, jsonpatch.JsonPatchConflict):
            key = str(path).rsplit("/", 1)[-1]
            words = f"error in remove for path: '{path}': Unable to remove nonexistent key: {key}"
        else:
            words = f'{name} operation does not apply: doc is missing path: "{path}"'
        raise PatchError(f"{words}: missing value", code=422) from error
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise PatchError(f"Unexpected kind: {name}: {error}", code=422) from error
