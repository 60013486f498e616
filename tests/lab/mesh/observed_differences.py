"""Where the lab's mesh knowingly differs from what real control planes made, and why.

One reason per entry, with the places that it is the reason for: a file in ``observed/`` and a path
in it, as patterns of the shell.
"""

from conformance.comparison import Difference

KNOWN: tuple[Difference, ...] = (
    Difference(
        "a service tag has a virtual address beside its ClusterIP, with listeners of its own that"
        " say the same; the lab's DNS knows the names of Services alone, so nobody gets there",
        (
            "2.7.29-*.json Listener.* by its virtual address",
            "2.14.3-disabled-*.json Listener.* by its virtual address",
        ),
    ),
    Difference(
        "Kuma's sidecar answers DNS itself from 2.13 on; in the lab the node does",
        ("2.14.3-*.json Listener.kuma:dns",),
    ),
    Difference(
        "the redirection of IPv6; the lab has IPv4 alone",
        ("*-dataplanes.json *.spec.networking.transparentProxying.ipFamilyMode",),
    ),
    Difference(
        "the primary's sidecar had no connection to the control plane when these were read; in the"
        " lab all have",
        ("*-meshservices.json podinfo*.status.dataplaneProxies.connected",),
    ),
    Difference(
        "the pod that was observed had no ServiceAccount, which is when 2.14 names the service;"
        " pods of the lab have one, and a workload of its name",
        (
            "2.14.3-*-canary-metrics.txt kuma_workload",
            "2.14.3-*-canary-metrics.txt service",
            "3.0-dev-canary-metrics.txt kuma_workload",
        ),
    ),
    Difference(
        "the pod and its namespace, which not the sidecar says but the usual scrape configuration",
        (
            "*-canary-metrics.txt namespace",
            "*-canary-metrics.txt pod",
        ),
    ),
    Difference(
        "an empty label, which Prometheus drops",
        ("*-canary-metrics.txt otel_scope_schema_url",),
    ),
)
