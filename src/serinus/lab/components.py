"""Who the lab's own parts are to the API server: users with tokens in ``tokens.json``."""

import json
import secrets
from pathlib import Path

from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.lab.addresses import API_SERVER_PORT, NODE_IP
from serinus.lab.apiserver.access.tokens import MASTERS, write_tokens
from serinus.lab.paths import LabPaths
from serinus.lab.pki import Pki

ADMIN = "kubernetes-admin"
KUBELET = "system:node:lab"
CONTROLLERS = "system:kube-controller-manager"
MESH = "kuma-control-plane"

SERVER = f"https://{NODE_IP}:{API_SERVER_PORT}"
"""The API server as the lab's parts reach it."""


def ensure_tokens(path: Path) -> None:
    """Have ``tokens.json``: the person who runs the lab, and the parts of it."""
    if not path.exists():
        users = (ADMIN, KUBELET, CONTROLLERS, MESH)
        write_tokens(path, {secrets.token_hex(24): (user, (MASTERS,)) for user in users})


def token_of(path: Path, user: str) -> str:
    """The token of ``user``; raises KeyError when ``tokens.json`` has none."""
    for token, entry in json.loads(path.read_text()).items():
        if entry["user"] == user:
            return str(token)
    raise KeyError(f"{path} has no token of {user}")


def client_for(user: str, paths: LabPaths) -> Client:
    """A client that acts as ``user``, from inside the lab."""
    ca_file = str(Pki(paths.pki).ca.cert)
    connection = Connection.with_token(SERVER, token_of(paths.tokens, user), ca_file=ca_file)
    return Client(connection, field_manager=user.rpartition(":")[2] or user)
