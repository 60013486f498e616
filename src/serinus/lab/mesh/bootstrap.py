"""How an Envoy of the lab starts: where its configuration is, and its own door.

Differences from Kuma's own bootstrap, each for a reason: the configuration comes from files
instead of the control plane's gRPC (the node and its pods share a filesystem, and a rename is
seen within milliseconds); Envoy's sockets carry a mark instead of belonging to a user of their
own (in the lab one user id is all there is); statistics are merged when they are asked for, since
the lab's Prometheus asks every second.
"""

from pathlib import PurePosixPath

from serinus.lab.mesh import envoy, transparent
from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Proxy

MOUNT = PurePosixPath("/etc/kuma")
"""Where the sidecar sees its directory."""

_SOL_SOCKET, _SO_MARK, MARK = 1, 36, 0x6B


def socket_mark() -> Json:
    """The socket option by which the redirection knows Envoy's own connections."""
    return {
        "description": "serinus lab: Envoy's own connections are not redirected",
        "level": _SOL_SOCKET,
        "name": _SO_MARK,
        "intValue": MARK,
        "state": "STATE_PREBIND",
    }


def file_source(directory: PurePosixPath, name: str) -> Json:
    """A configuration source: the file ``name``, read again whenever it is replaced."""
    return {
        "pathConfigSource": {"path": str(directory / name)},
        "resourceApiVersion": "V3",
    }


def bootstrap(proxy: Proxy, directory: PurePosixPath = MOUNT) -> Json:
    """The file that Envoy is started with; ``directory`` is where it finds the others."""
    return {
        "node": {
            "id": f"{proxy.mesh}.{proxy.name}.{proxy.namespace}",
            "cluster": proxy.inbounds[0].service,
        },
        "admin": {"address": envoy.socket_address("127.0.0.1", transparent.ADMIN_PORT)},
        "dynamicResources": {
            "ldsConfig": file_source(directory, "lds.json"),
            "cdsConfig": file_source(directory, "cds.json"),
        },
        "clusterManager": {
            "upstreamBindConfig": {
                "sourceAddress": envoy.socket_address("0.0.0.0", 0)["socketAddress"],
                "socketOptions": [socket_mark()],
            }
        },
        "staticResources": {
            "listeners": [
                transparent.admin_listener(
                    "_kuma:ready", "0.0.0.0", transparent.READY_PORT, "/ready", "/ready"
                )
            ],
            "clusters": [
                {
                    "name": transparent.ADMIN_CLUSTER,
                    "type": "STATIC",
                    "connectTimeout": "5s",
                    "loadAssignment": {
                        "clusterName": transparent.ADMIN_CLUSTER,
                        "endpoints": [
                            {
                                "lbEndpoints": [
                                    {
                                        "endpoint": {
                                            "address": envoy.socket_address(
                                                "127.0.0.1", transparent.ADMIN_PORT
                                            )
                                        }
                                    }
                                ]
                            }
                        ],
                    },
                }
            ],
        },
        "statsFlushOnAdmin": True,
        "layeredRuntime": {
            "layers": [
                {
                    "name": "lab",
                    "staticLayer": {"re2.max_program_size.error_level": 4294967295},
                }
            ]
        },
    }
