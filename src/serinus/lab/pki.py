"""A lab's certificates and keys, and the kubeconfig that leads people to it.

One certificate authority per lab signs everything, on elliptic curves; only the key that signs
ServiceAccount tokens is RSA, as their RS256 needs. Keys are readable by their owner alone.
"""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from serinus.lab.addresses import CLUSTER_DOMAIN, KUBERNETES_SERVICE_IP, NODE_IP, NODE_NAME

LIFETIME: Final = timedelta(days=365)

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

_API_SERVER_NAMES: Final = (
    *("127.0.0.1", str(NODE_IP), str(KUBERNETES_SERVICE_IP), "localhost", "kubernetes"),
    *("kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}"),
)
WEBHOOK_NAMES: Final = (
    *(str(NODE_IP), "127.0.0.1", "localhost", "*.svc", "kuma-control-plane.kuma-system"),
    *("kuma-control-plane.kuma-system.svc", "kong-mesh-control-plane.kong-mesh-system.svc"),
)
"""How webhooks of the lab are addressed: by the node's address or by their Service's name."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key (PEM files)."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of one lab's PKI."""

    root: Path

    def _pair(self, name: str) -> KeyPair:
        return KeyPair(self.root / f"{name}.crt", self.root / f"{name}.key")

    @property
    def ca(self) -> KeyPair:
        return self._pair("ca")

    @property
    def api_server(self) -> KeyPair:
        return self._pair("apiserver")

    @property
    def kubelet(self) -> KeyPair:
        """What the kubelet serves with."""
        return self._pair("kubelet")

    @property
    def kubelet_client(self) -> KeyPair:
        """What the API server shows the kubelet."""
        return self._pair("apiserver-kubelet-client")

    @property
    def webhook(self) -> KeyPair:
        """What the lab's own admission webhooks serve with."""
        return self._pair("webhook")

    @property
    def service_account_key(self) -> Path:
        """Signs ServiceAccount tokens (RSA)."""
        return self.root / "sa.key"

    @property
    def ca_bundle(self) -> str:
        """The authority's certificate as webhook configurations want it: base64 of PEM."""
        return base64.b64encode(self.ca.cert.read_bytes()).decode()


def ensure(root: Path) -> Pki:
    """The PKI below ``root``; what is missing is made."""
    pki = Pki(root)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not pki.ca.cert.exists():
        _make_authority(pki.ca)
    for pair, name, organisation, usage, names in (
        (pki.api_server, "kube-apiserver", "", _SERVER, _API_SERVER_NAMES),
        (pki.kubelet, f"system:node:{NODE_NAME}", "system:nodes", _SERVER, _kubelet_names()),
        (pki.kubelet_client, "kube-apiserver-kubelet-client", "system:masters", _CLIENT, ()),
        (pki.webhook, "serinus-lab-webhook", "", _SERVER, WEBHOOK_NAMES),
    ):
        if not pair.cert.exists():
            _issue(pki.ca, pair, name, organisation, usage, names)
    if not pki.service_account_key.exists():
        _write_key(pki.service_account_key, rsa.generate_private_key(65537, 2048))
    return pki


def _kubelet_names() -> tuple[str, ...]:
    return (NODE_NAME, str(NODE_IP), "127.0.0.1", "localhost")


def issue_server(pki: Pki, pair: KeyPair, name: str, names: Iterable[str]) -> None:
    """A further server certificate, for ``names`` (DNS names and addresses)."""
    _issue(pki.ca, pair, name, "", _SERVER, names)


def write_private(path: Path, content: bytes) -> None:
    """Write a file for its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _name(common: str, organisation: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(pair: KeyPair) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("serinus-lab-ca")
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(pair.key, key)
    pair.cert.write_bytes(certificate.public_bytes(Encoding.PEM))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _issue(
    ca: KeyPair,
    pair: KeyPair,
    common: str,
    organisation: str,
    usage: ObjectIdentifier,
    names: Iterable[str],
) -> None:
    authority = x509.load_pem_x509_certificate(ca.cert.read_bytes())
    signer = load_pem_private_key(ca.key.read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{ca.key}: the lab's authority has a key on an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common, organisation), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if listed := [_alternative(name) for name in names]:
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    _write_key(pair.key, key)
    pair.cert.write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM))


def write_kubeconfig(path: Path, lab: str, server: str, ca: Path, token: str) -> None:
    """A kubeconfig for its owner's eyes only, complete in itself."""
    import yaml  # here, for the API server's process needs the rest of this module only

    name = f"serinus-lab-{lab}"
    authority = base64.b64encode(ca.read_bytes()).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False).encode())
