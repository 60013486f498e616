"""The command lines of the three programs.

etcd is reached over a Unix socket in the lab's own /run, so it needs no credentials and nobody
else can ask it. What the API server is told agrees with what the embedded one does: same
addresses, same users, same issuer of tokens.
"""

from typing import Final

from serinus.lab.addresses import API_SERVER_PORT, NODE_IP, NODE_PORTS, SERVICE_NETWORK
from serinus.lab.apiserver.access.tokens import ISSUER
from serinus.lab.controlplane.programs import Programs
from serinus.lab.paths import LabPaths
from serinus.lab.pki import Pki

FRUGAL: Final = {"GOGC": "50", "GOMEMLIMIT": "400MiB"}
"""Environment that trades some CPU for memory: a lab is small, and so are many machines."""

ETCD_SOCKET: Final = "/run/etcd-clients.sock"
_ETCD: Final = f"unix://{ETCD_SOCKET}"
_ETCD_PEERS: Final = "unix:///run/etcd-peers.sock"

CONTROLLERS: Final = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
)
"""Not among them: the HorizontalPodAutoscaler's, which asks for the API ``metrics.k8s.io`` that an
add-on serves in other clusters (the lab's own reads the kubelet's statistics); those of nodes and
taints, for the one node is there as long as the lab is; those of volumes, certificates and clouds,
of which the lab has none."""


def etcd(programs: Programs, paths: LabPaths) -> list[str]:
    """etcd with the lab's state. What it has written survives its end, not the machine's: nobody
    waits for the disk, as with the embedded server's store."""
    return [
        str(programs.etcd),
        "--name=lab",
        f"--data-dir={paths.etcd}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=lab={_ETCD_PEERS}",
        "--unsafe-no-fsync",
        # Or nothing is ever told of a kind of which nothing changes, and watches seem dead.
        "--watch-progress-notify-interval=5s",
        "--log-level=warn",
    ]


def api_server(programs: Programs, paths: LabPaths) -> list[str]:
    """The API server on the node's address, where pods and the lab's parts expect it."""
    keys = Pki(paths.pki)
    return [
        str(programs.api_server),
        f"--etcd-servers={_ETCD}",
        f"--bind-address={NODE_IP}",
        f"--secure-port={API_SERVER_PORT}",
        f"--advertise-address={NODE_IP}",
        f"--tls-cert-file={keys.api_server.cert}",
        f"--tls-private-key-file={keys.api_server.key}",
        f"--token-auth-file={paths.token_file}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={keys.service_account_key}",
        f"--service-account-signing-key-file={keys.service_account_key}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--service-node-port-range={NODE_PORTS.start}-{NODE_PORTS.stop - 1}",
        f"--kubelet-certificate-authority={keys.ca.cert}",
        f"--kubelet-client-certificate={keys.kubelet_client.cert}",
        f"--kubelet-client-key={keys.kubelet_client.key}",
        # The node's name, the first choice of others, is in no DNS that this program asks.
        "--kubelet-preferred-address-types=InternalIP",
        # It taints a new node until the node's controller, which does not run, finds it ready.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def controller_manager(programs: Programs, paths: LabPaths) -> list[str]:
    """The controllers that are not the lab's own. It serves nothing: nobody would ask."""
    config = paths.controllers_kubeconfig
    return [
        str(programs.controller_manager),
        f"--kubeconfig={config}",
        "--secure-port=0",
        f"--root-ca-file={Pki(paths.pki).ca.cert}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--leader-elect=false",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--profiling=false",
    ]
