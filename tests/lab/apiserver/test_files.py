"""The files of a lab: where they are, who may read them, what the certificates say."""

import ssl
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from serinus.lab import paths, pki


def test_labs_live_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert paths.lab_root("a") == Path("/state/serinus/labs/a")
    assert paths.LabPaths(paths.lab_root("a")).kubeconfig == Path(
        "/state/serinus/labs/a/kubeconfig"
    )
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.lab_root("a") == Path("/home/me/.local/state/serinus/labs/a")
    for name in ("", "../b", "a/b", "a b"):
        with pytest.raises(ValueError, match="a lab's name"):
            paths.lab_root(name)


def test_keys_are_private_and_made_once(tmp_path: Path) -> None:
    keys = pki.ensure(tmp_path / "pki")
    before = {file: file.read_bytes() for file in keys.root.iterdir()}
    assert {file: file.read_bytes() for file in pki.ensure(keys.root).root.iterdir()} == before
    for file in keys.root.glob("*.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    certificate = x509.load_pem_x509_certificate(keys.api_server.cert.read_bytes())
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert isinstance(names.value, x509.SubjectAlternativeName)
    assert "kubernetes.default.svc" in names.value.get_values_for_type(x509.DNSName)
    addresses = {str(address) for address in names.value.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.244.0.1", "10.96.0.1"}
    context = ssl.create_default_context(cafile=str(keys.ca.cert))
    context.load_cert_chain(keys.kubelet_client.cert, keys.kubelet_client.key)


def test_a_kubeconfig_is_complete_and_private(tmp_path: Path) -> None:
    keys = pki.ensure(tmp_path / "pki")
    file = tmp_path / "kubeconfig"
    pki.write_kubeconfig(file, "x", "https://127.0.0.1:1", keys.ca.cert, "secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = yaml.safe_load(file.read_text())
    assert content["current-context"] == "serinus-lab-x"
    assert content["users"][0]["user"] == {"token": "secret"}
