"""Where things live inside a lab: the addresses and ports of docs/architecture.md, "The lab".

They hold in every lab, because each lab has a network namespace of its own.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Final

BRIDGE: Final = "lab0"
NODE_NAME: Final = "lab"
NODE_IP: Final = IPv4Address("10.244.0.1")
"""The node, its pods' gateway, the DNS server, and the API server as pods see it."""

POD_NETWORK: Final = IPv4Network("10.244.0.0/16")
SERVICE_NETWORK: Final = IPv4Network("10.96.0.0/16")
KUBERNETES_SERVICE_IP: Final = IPv4Address("10.96.0.1")
KUBERNETES_SERVICE_PORT: Final = 443
CLUSTER_DOMAIN: Final = "cluster.local"

DNS_PORT: Final = 53
API_SERVER_PORT: Final = 6443
KUBELET_PORT: Final = 10250
KUMA_WEBHOOK_PORT: Final = 5443

NODE_PORTS: Final = range(30000, 32768)
"""Where Services of type NodePort get their ports."""
