"""The files that the real control plane reads: who its users are, and how controllers ask it."""

import csv
import io
import json

from serinus.lab import components, pki
from serinus.lab.paths import LabPaths


def write(paths: LabPaths) -> None:
    """Write them anew from the lab's tokens and keys."""
    users = json.loads(paths.tokens.read_text())
    lines = io.StringIO()
    writer = csv.writer(lines)
    for token, user in users.items():
        # Token, name, uid, groups in one field.
        writer.writerow([token, user["user"], user["user"], ",".join(user["groups"])])
    pki.write_private(paths.token_file, lines.getvalue().encode())
    token = components.token_of(paths.tokens, components.CONTROLLERS)
    authority = pki.Pki(paths.pki).ca.cert
    pki.write_kubeconfig(
        paths.controllers_kubeconfig, "controllers", components.SERVER, authority, token
    )
