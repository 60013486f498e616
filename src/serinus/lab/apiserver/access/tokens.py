"""Who is calling: bearer tokens of ``tokens.json``, and ServiceAccount tokens (JWT, RS256).

``tokens.json`` maps each token to its user::

    {"TOKEN": {"user": "admin", "groups": ["system:masters"]}}
"""

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.store import Entry, Store

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def info(self) -> Obj:
        """As in reviews (``authentication.k8s.io/v1 UserInfo``)."""
        info: Obj = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))


def service_account_user(namespace: str, name: str, uid: str = "") -> User:
    return User(
        f"system:serviceaccount:{namespace}:{name}",
        ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED),
        uid,
    )


def write_tokens(path: Path, users: Mapping[str, tuple[str, Iterable[str]]]) -> None:
    """Writes ``tokens.json`` for its owner's eyes only: token -> (user, groups)."""
    content = {
        token: {"user": user, "groups": list(groups)} for token, (user, groups) in users.items()
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))


def load_signing_key(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path}: ServiceAccount tokens are signed with an RSA key")
    return key


class TokenIssuer:
    """Signs and checks ServiceAccount tokens. A token dies with its account, pod or secret."""

    def __init__(self, store: Store, key: RSAPrivateKey) -> None:
        self._store = store
        self._key = key
        self._public = key.public_key()

    def issue(
        self, account: Entry, audiences: list[str], seconds: int, bound: Mapping[str, Any] | None
    ) -> tuple[str, int]:
        """A token and its expiry (Unix seconds). ``bound`` is kind, name and uid of a Pod."""
        now = int(time.time())
        metadata = account.decode()["metadata"]
        private: Obj = {
            "namespace": account.namespace,
            "serviceaccount": {"name": account.name, "uid": metadata["uid"]},
        }
        if bound:
            private[bound["kind"].lower()] = {"name": bound["name"], "uid": bound["uid"]}
        claims = {
            "iss": ISSUER,
            "aud": audiences or [ISSUER],
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            "sub": f"system:serviceaccount:{account.namespace}:{account.name}",
            "kubernetes.io": private,
        }
        return jwt.encode(claims, self._key, algorithm="RS256"), now + seconds

    def verify(self, token: str, audiences: list[str]) -> tuple[User, list[str]]:
        """The account and which of ``audiences`` the token is for; anything wrong is 401."""
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                audience=audiences or [ISSUER],
                issuer=ISSUER,
                options={"require": ["exp", "sub", "aud"]},
            )
            private = claims["kubernetes.io"]
            namespace, account = private["namespace"], private["serviceaccount"]
            self._must_exist("serviceaccounts", namespace, account)
            extra: dict[str, tuple[str, ...]] = {}
            for kind in ("pod", "secret"):
                if kind in private:
                    self._must_exist(f"{kind}s", namespace, private[kind])
            if pod := private.get("pod"):
                extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
                extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
        except (jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise errors.unauthorized() from error
        user = service_account_user(namespace, account["name"], account["uid"])
        said = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        matching = [name for name in said if name in (audiences or [ISSUER])]
        return User(user.name, user.groups, user.uid, extra), matching

    def _must_exist(self, plural: str, namespace: str, claim: Mapping[str, str]) -> None:
        entry = self._store.get(("", plural), namespace, claim["name"])
        if entry is None or entry.decode()["metadata"]["uid"] != claim["uid"]:
            raise errors.unauthorized()


class Authenticator:
    """From the Authorization header to a `User`."""

    def __init__(self, tokens: Path, issuer: TokenIssuer) -> None:
        self._path = tokens
        self._issuer = issuer
        self._stamp = 0.0
        self._users: dict[str, User] = {}

    def _known(self) -> dict[str, User]:
        """The file's users; it is read again when it has changed."""
        stamp = self._path.stat().st_mtime if self._path.exists() else 0.0
        if stamp != self._stamp:
            raw = json.loads(self._path.read_text())
            self._users = {
                token: User(entry["user"], (*entry.get("groups", ()), AUTHENTICATED))
                for token, entry in raw.items()
            }
            self._stamp = stamp
        return self._users

    def authenticate(self, authorization: str) -> User:
        """A missing or bad token is 401: the lab has no anonymous callers but for health."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise errors.unauthorized()
        return self.by_token(token.strip(), [])[0]

    def by_token(self, token: str, audiences: list[str]) -> tuple[User, list[str]]:
        """The token's user and its audiences among ``audiences``; 401 if it is nobody's."""
        user = self._known().get(token)
        if user is not None:
            return user, audiences
        return self._issuer.verify(token, audiences)
