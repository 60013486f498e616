"""A real control plane as a test peer: etcd, kube-apiserver, kube-controller-manager, and Helm.

`build` makes the programs; `ControlPlane` runs them on loopback; `Kubelet` plays the node.
"""

from controlplane.api import Answer, Api
from controlplane.kubelet import Kubelet, Play
from controlplane.plane import ControlPlane
from controlplane.programs import Missing, program

__all__ = ["Answer", "Api", "ControlPlane", "Kubelet", "Missing", "Play", "program"]
