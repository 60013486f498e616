"""Pods' networks: one namespace each, on the bridge of the lab, with an address of its own.

Two runs of ``ip -batch`` make one (about 10 ms); a netlink library in this process would cost
11 MB for good.
"""

import ctypes
import os
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from serinus.lab.addresses import BRIDGE, NODE_IP, POD_NETWORK, SERVICE_NETWORK
from serinus.lab.kubelet.process import run

NETNS_DIR = "/run/netns"

NODE_MAC = "02:00:0a:f4:00:01"
"""The bridge's own. Left to itself a bridge takes the lowest address of its ports, so it would
change as pods come and go, and what other pods send to the node (questions to DNS) would be lost
until they have asked for the new one."""

_CLONE_NEWNET = 0x40000000
_PREFIX = POD_NETWORK.prefixlen


class NoAddressLeft(RuntimeError):
    """Every address of the pod network is taken."""


class AddressPool:
    """Gives out pod addresses in turn, so that one just freed is not reused at once.

    A caller's connection or a proxy's old endpoint would else reach the wrong pod.
    """

    def __init__(self) -> None:
        self._next = int(NODE_IP)
        self._taken: set[IPv4Address] = {NODE_IP}

    def take(self) -> IPv4Address:
        """An address that no pod has; raises `NoAddressLeft`."""
        first, last = int(POD_NETWORK.network_address) + 1, int(POD_NETWORK.broadcast_address) - 1
        for _ in range(last - first + 1):
            self._next = self._next + 1 if self._next < last else first
            address = IPv4Address(self._next)
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise NoAddressLeft(f"all addresses of {POD_NETWORK} are taken")

    def give_back(self, address: IPv4Address) -> None:
        """The pod of this address has gone."""
        self._taken.discard(address)


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """A network namespace: its name, its address, and the file that leads into it."""

    namespace: str
    address: IPv4Address
    path: str


NODE = PodNetwork("node", NODE_IP, "/proc/self/ns/net")
"""The node's own: that of this process."""


async def set_up_node() -> None:
    """Make the lab's bridge, through which pods and the node send to each other."""
    batch = f"""link set lo up
link add {BRIDGE} address {NODE_MAC} type bridge
addr add {NODE_IP}/{_PREFIX} dev {BRIDGE}
link set {BRIDGE} up
route add {SERVICE_NETWORK} dev {BRIDGE}
"""
    # The route is for the node's own connections to Services: without one they would fail before
    # iptables could send them to a pod.
    await run(["ip", "-batch", "-"], given=batch)


async def create(uid: str, address: IPv4Address) -> PodNetwork:
    """Make the network of the pod ``uid``."""
    name = f"pod-{uid}"
    network = PodNetwork(name, address, f"{NETNS_DIR}/{name}")
    # An interface's name has at most 15 characters; the address is unique and short.
    outer = f"veth{int(address) & 0xFFFF:x}"
    await run(
        ["ip", "-batch", "-"],
        given=f"""netns add {network.namespace}
link add {outer} type veth peer name eth0 netns {network.namespace}
link set {outer} master {BRIDGE} up
""",
    )
    await run(
        ["ip", "-n", network.namespace, "-batch", "-"],
        given=f"""link set lo up
addr add {address}/{_PREFIX} dev eth0
link set eth0 up
route add default via {NODE_IP}
""",
    )
    return network


async def delete(network: PodNetwork) -> None:
    """Take a pod's network away; its interfaces go with it."""
    await run(["ip", "netns", "delete", network.namespace])


def socket_in(network: PodNetwork) -> socket.socket:
    """A TCP socket that lives in a pod's network namespace; raises OSError.

    A namespace belongs to a thread, so a thread of its own enters it and is gone after that.
    """
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with Path(network.path).open("rb") as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="netns")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
