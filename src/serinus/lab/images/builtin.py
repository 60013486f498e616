"""The images that every lab knows."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import serinus
from serinus.lab.images.image import Image, runs

PACKAGE_PARENT = str(Path(serinus.__file__).parent.parent)
"""Where pods import this package from."""

_SEARCHED = os.pathsep.join(filter(None, [PACKAGE_PARENT, os.environ.get("PYTHONPATH")]))

_PYTHON = {"PYTHONPATH": _SEARCHED, "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1"}

PODCLI = """#!/bin/sh
# podcli check http|tcp ADDRESS [--timeout=N] [--retry N]: podinfo's own probe.
[ "$1" = version ] && { echo "${PODINFO_VERSION:-0.0.0}"; exit 0; }
[ "$1" = check ] && shift || { echo "usage: podcli check http|tcp ADDRESS" >&2; exit 2; }
kind=$1 address=$2
case $kind in
  http) case $address in http://*|https://*) ;; *) address=http://$address ;; esac
        exec curl -sSf -o /dev/null --max-time 5 "$address" ;;
  tcp)  exec timeout 5 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$address" ;;
  *)    echo "podcli check: http or tcp, not $kind" >&2; exit 2 ;;
esac
"""

KUMA_DP = """#!/bin/sh
# Waits for the configuration that the mesh writes, then runs Envoy on it. When a listener changes,
# connections end within 30 s, as kuma-dp has it: less than 5 s would cut them, since only then does
# Envoy tell callers on HTTP/2 to go on elsewhere. On SIGTERM it asks Envoy to drain and gives
# callers KUMA_DRAIN_SECONDS to hear that this pod is going.
config=${KUMA_BOOTSTRAP:-/etc/kuma/bootstrap.json}
trap 'exit 0' TERM INT
while [ ! -s "$config" ]; do sleep 0.1; done
@ENVOY@ -c "$config" --concurrency 1 --disable-hot-restart -l warning \\
  --drain-time-s 30 --drain-strategy immediate "$@" &
envoy=$!
drain() {
  trap '' TERM INT
  curl -s -o /dev/null --max-time 1 -X POST \\
    "http://127.0.0.1:${KUMA_ADMIN_PORT:-9901}/drain_listeners?graceful"
  sleep "${KUMA_DRAIN_SECONDS:-3}"
  kill -TERM $envoy
  wait $envoy
  exit 0
}
trap drain TERM INT
wait $envoy
"""


def envoy_binary() -> str:
    """Envoy's path: the binary beside the ``envoy`` package, else whatever PATH has."""
    spec = find_spec("envoy")
    for location in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(location) / "_bin" / "envoy"
        if binary.exists():
            return str(binary)
    return "envoy"


def podinfo(tag: str) -> Image:
    """The stand-in for podinfo; its version is the tag."""
    run = [sys.executable, "-S", "-OO", "-m", "serinus.lab.images.podinfo"]
    return Image(
        entrypoint=("./podinfo",),
        tools={"podinfo": runs(run, _PYTHON), "podcli": PODCLI},
        env={"PODINFO_VERSION": tag},
    )


def loadtester(_tag: str) -> Image:
    """Serinus' load tester, also under the name of Flagger's."""
    run = [sys.executable, "-m", "serinus.loadtester"]
    return Image(entrypoint=("./loadtester",), tools={"loadtester": runs(run, _PYTHON)})


def operator(_tag: str) -> Image:
    """Serinus' operator, also under the name of Flagger's.

    In the lab an analysis may run faster than Flagger allows: one second instead of ten.
    """
    run = [sys.executable, "-m", "serinus.operator"]
    return Image(
        entrypoint=("./flagger",),
        tools={"flagger": runs(run, _PYTHON)},
        env={"SERINUS_MINIMUM_INTERVAL": "1s"},
    )


def traffic(_tag: str) -> Image:
    """The demo's steady caller."""
    run = [sys.executable, "-S", "-m", "serinus.lab.demo.traffic"]
    return Image(entrypoint=("traffic",), tools={"traffic": runs(run, _PYTHON)})


def prometheus(_tag: str) -> Image:
    """The machine's own Prometheus."""
    return Image(
        entrypoint=("prometheus",),
        cmd=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
        workdir="/prometheus",
    )


def kuma_dp(_tag: str) -> Image:
    """A real Envoy, started as Kuma's data plane proxy would start it."""
    return Image(
        entrypoint=("kuma-dp",),
        tools={"kuma-dp": KUMA_DP.replace("@ENVOY@", envoy_binary())},
        # Setting the mark on its sockets, by which the redirection knows them, needs this.
        capabilities=("CAP_NET_ADMIN",),
    )


def kuma_init(_tag: str) -> Image:
    """Nothing: the kubelet sets up the redirection itself, from the pod's annotations."""
    return Image(entrypoint=("true",), tools={"kumactl": "#!/bin/sh\nexit 0\n"})


def shell(_tag: str) -> Image:
    """The shell and tools of this machine."""
    return Image(entrypoint=(), cmd=("sh",), workdir="/")


def python(_tag: str) -> Image:
    """The Python that runs the lab."""
    return Image(
        entrypoint=(),
        cmd=("python3",),
        tools={"python3": runs([sys.executable]), "python": runs([sys.executable])},
    )


def curl(_tag: str) -> Image:
    """The machine's own curl."""
    return Image(entrypoint=("curl",), workdir="/")


BUILTIN = {
    "ghcr.io/stefanprodan/podinfo:*": podinfo,
    "stefanprodan/podinfo:*": podinfo,
    "ghcr.io/fluxcd/flagger-loadtester:*": loadtester,
    "serinus/loadtester:*": loadtester,
    "ghcr.io/fluxcd/flagger:*": operator,
    "serinus/serinus:*": operator,
    "serinus/traffic:*": traffic,
    "prom/prometheus:*": prometheus,
    "kuma/kuma-dp:*": kuma_dp,
    "kuma/kuma-init:*": kuma_init,
    "busybox:*": shell,
    "alpine:*": shell,
    "python:*": python,
    "curlimages/curl:*": curl,
}
"""Pattern of an image's name -> from its tag to how it runs."""
