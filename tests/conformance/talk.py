"""A conversation with an API server, written down so that two servers' can be compared.

What no two servers share is masked: the same value becomes the same word wherever it appears, so
that "the version is still that of before" remains visible (``rv1``, ``rv1``, ``rv2``).
"""

import json
import re
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Protocol, Self

from controlplane.api import Answer

Object = dict[str, Any]

PATIENCE = 60.0

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"\b10\.(96|244)\.\d+\.\d+\b")
_AGE = re.compile(r"(?:^|(?<=\s))(<invalid>|\d+s)$")
_TOO_OLD = re.compile(r"too old resource version: \d+ \(\d+\)")
_TOO_LARGE = re.compile(r"(Too large resource version: \d+, current: )\d+")
_VERSION_ASKED = re.compile(r"(?<=resourceVersion=)[1-9]\d+")
_VERSION_TOLD = re.compile(r"(?<=resourceVersion\\\":\\\")\d+|(?<=in record \()\d+")
_CONTINUE = re.compile(r"(?<=continue=)ey\w+(%3D|=)*")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.S)
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}")


class Server(Protocol):
    """One of the two."""

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer: ...

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str: ...


class Talk:
    """What a case holds: it asks through here, in a namespace of its own.

    Methods return the answer as it came; what is written down is masked.
    """

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.core = f"/api/v1/namespaces/{namespace}"
        self.apps = f"/apis/apps/v1/namespaces/{namespace}"
        self.written: list[Object] = []
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    @classmethod
    def begin(cls, server: Server, case: str) -> Self:
        """In a new namespace, with what every namespace has."""
        name = case.replace("/", "-").replace("_", "-")
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        talk = cls(server, name)
        talk.until(f"{talk.core}/serviceaccounts/default", lambda seen: seen.get("metadata"))
        talk.until(f"{talk.core}/configmaps/kube-root-ca.crt", lambda seen: seen.get("metadata"))
        return talk

    # -- asking -----------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        keep: Callable[[Any], Any] | None = None,
        **headers: str,
    ) -> Any:
        """Ask and write down. ``keep`` picks what of the body is of interest."""
        answer = self.quietly(method, path, body, token, **headers)
        self._write(f"{method} {path}", answer, keep)
        return _content(answer)

    def quietly(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        """Ask without writing down."""
        headers.setdefault("User_Agent", "conformance/1 (test)")
        return self.server.request(method, path, body, token, **headers)

    def get(self, path: str, **options: Any) -> Any:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self.ask("POST", path, body, **options)

    def put(self, path: str, body: Any, **options: Any) -> Any:
        return self.ask("PUT", path, body, **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.ask("DELETE", path, body, **options)

    def merge(self, path: str, body: Any, **options: Any) -> Any:
        return self.ask("PATCH", path, body, Content_Type="application/merge-patch+json", **options)

    def strategic(self, path: str, body: Any, **options: Any) -> Any:
        kind = "application/strategic-merge-patch+json"
        return self.ask("PATCH", path, body, Content_Type=kind, **options)

    def json_patch(self, path: str, *operations: Object, **options: Any) -> Any:
        kind = "application/json-patch+json"
        return self.ask("PATCH", path, list(operations), Content_Type=kind, **options)

    def apply(
        self, path: str, body: Any, manager: str = "one", force: bool = False, **options: Any
    ) -> Any:
        separator = "&" if "?" in path else "?"
        path += f"{separator}fieldManager={manager}" + ("&force=true" if force else "")
        return self.ask("PATCH", path, body, Content_Type="application/apply-patch+yaml", **options)

    def table(self, path: str, **options: Any) -> Any:
        kind = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        return self.ask("GET", path, Accept=kind, **options)

    def watch(
        self, path: str, seconds: int = 1, keep: Callable[[Any], Any] | None = None, **params: str
    ) -> list[Object]:
        """The events of a watch that the server ends after ``seconds``."""
        query = "&".join(f"{key}={value}" for key, value in params.items())
        full = f"{path}?watch=true&timeoutSeconds={seconds}" + (f"&{query}" if query else "")
        answer = self.quietly("GET", full)
        told = _without_reminders(answer.lines) if answer.status == 200 else answer.json
        shown = [keep(one) for one in told] if keep and isinstance(told, list) else told
        self.note(f"WATCH {path} {query}".strip(), {"status": answer.status, "events": shown})
        return answer.lines if answer.status == 200 else []

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What a person reads, written down."""
        printed = self.server.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=False)
        self.note(f"kubectl {' '.join(arguments)}", printed.splitlines())
        return printed

    def until(self, path: str, holds: Callable[[Any], object]) -> None:
        """Wait, without writing down, for the object or the refusal at ``path``."""
        end = time.monotonic() + PATIENCE
        while True:
            seen = self.quietly("GET", path)
            if holds(_content(seen)):
                return
            assert time.monotonic() < end, f"waited {PATIENCE} s in vain; last: {seen.body!r}"
            time.sleep(0.05)

    # -- writing down -----------------------------------------------------------------------

    def note(self, ask: str, told: Any) -> None:
        """Write down anything."""
        self.written.append({"ask": self._text(ask), "told": self._masked(deepcopy(told), "")})

    def _write(self, ask: str, answer: Answer, keep: Callable[[Any], Any] | None) -> None:
        content = _content(answer)
        if keep is not None and answer.status < 300:
            content = keep(content)
        entry: Object = {
            "ask": self._text(ask),
            "status": answer.status,
            "told": self._masked(deepcopy(content), ""),
        }
        if warning := answer.headers.get("Warning"):
            entry["warning"] = warning
        if retry := answer.headers.get("Retry-After"):
            entry["retry"] = retry
        self.written.append(entry)

    def _masked(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            if str(value.get("kind", "")).endswith(("List", "Table")) and "metadata" in value:
                # The server's own business moves the version of a collection on.
                value["metadata"].pop("resourceVersion", None)
                value["metadata"].pop("continue", None)
            if value.get("kind") == "Status":
                _in_order(value)
            return {self._text(name): self._masked(value[name], name) for name in sorted(value)}
        if isinstance(value, list):
            return [self._masked(one, key) for one in value]
        if key == "resourceVersion" and isinstance(value, str) and value not in ("", "0"):
            return self._word("rv", value)
        if key in ("nodePort", "healthCheckNodePort") and value:
            return self._word("port", str(value))
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _TIME.sub("TIME", text)
        text = _UID.sub(lambda found: self._word("uid", found[0]), text)
        text = _ADDRESS.sub(lambda found: self._word("ip", found[0]), text)
        text = _VERSION_ASKED.sub(lambda found: self._word("rv", found[0]), text)
        text = _VERSION_TOLD.sub(lambda found: self._word("rv", found[0]), text)
        text = _CONTINUE.sub("TOKEN", text)
        text = _CERTIFICATE.sub("CERTIFICATE", text)
        text = _TOO_OLD.sub("too old resource version: OLD (NEW)", text)
        text = _TOO_LARGE.sub(r"\1NOW", text)
        text = _TOKEN_VOLUME.sub("kube-api-access-TOKEN", text)
        return _AGE.sub("AGE", text)

    def _word(self, kind: str, value: str) -> str:
        if (kind, value) not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[kind, value] = f"{kind}{self._counts[kind]}"
        return self._words[kind, value]


def _in_order(status: Object) -> None:
    """Kubernetes lists several causes in any order."""
    causes = (status.get("details") or {}).get("causes") or []
    causes.sort(key=lambda cause: (str(cause.get("field")), str(cause.get("message"))))
    said = [f"{one.get('field')}: {one.get('message')}" for one in causes]
    head, bracket, _ = status.get("message", "").partition(" is invalid: [")
    if bracket and len(said) > 1 and all(one in status["message"] for one in said):
        status["message"] = f"{head}{bracket}{', '.join(said)}]"


def _without_reminders(events: list[Object]) -> list[Object]:
    """Bookmarks come when the server likes, but for the one that ends the initial events."""
    return [
        one
        for one in events
        if one["type"] != "BOOKMARK" or one["object"]["metadata"].get("annotations")
    ]


def _content(answer: Answer) -> Any:
    try:
        return answer.json
    except json.JSONDecodeError:
        return answer.body.decode(errors="replace")
