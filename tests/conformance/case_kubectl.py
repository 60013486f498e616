"""What a person with kubectl reads."""

import yaml

from conformance.cases import case
from conformance.objects import config_map, deployment, service
from conformance.talk import Talk


@case
def applies(t: Talk) -> None:
    text = yaml.safe_dump_all([deployment(), service()])
    t.kubectl("apply", "-f", "-", stdin=text)
    t.kubectl("apply", "-f", "-", stdin=text)
    t.kubectl("apply", "-f", "-", stdin=text.replace("9898", "9999"))
    t.kubectl("get", "deployments,services", "-o", "name")


@case
def applies_on_the_server(t: Talk) -> None:
    text = yaml.safe_dump(deployment())
    t.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    t.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    other = text.replace("play:ready", "play:v2")
    t.kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=other)
    t.kubectl(
        "apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-", stdin=other
    )
    t.get(f"{t.apps}/deployments/app")


@case
def applies_what_is_wrong(t: Talk) -> None:
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(replicaz=1)))
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(replicas=-1)))
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(replicas="x")))
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(config_map("Upper")))


@case
def edits(t: Talk) -> None:
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment()))
    t.kubectl("set", "image", "deployment/app", "app=play:v2")
    t.kubectl("set", "image", "deployment/app", "app=play:v2")
    t.kubectl("scale", "deployment/app", "--replicas=3")
    t.kubectl("label", "deployment/app", "a=b")
    t.kubectl("label", "deployment/app", "a=c")
    t.kubectl("annotate", "deployment/app", "a=b")
    t.kubectl("patch", "deployment/app", "-p", '{"spec":{"paused":true}}')
    t.kubectl("patch", "deployment/app", "-p", '{"spec":{"paused":true}}')
    t.kubectl("autoscale", "deployment/app", "--max=3")
    t.kubectl("delete", "deployment/app")
    t.kubectl("delete", "deployment/app")


@case
def creates(t: Talk) -> None:
    t.kubectl("create", "configmap", "one", "--from-literal=a=b")
    t.kubectl("create", "configmap", "one", "--from-literal=a=b")
    t.kubectl("create", "deployment", "app", "--image=play:ready")
    t.kubectl("expose", "deployment/app", "--port=80")
    t.kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    t.kubectl("create", "serviceaccount", "sa")
    t.get(f"{t.apps}/deployments/app")
    t.get(f"{t.core}/services/app")


@case
def explains(t: Talk) -> None:
    t.kubectl("explain", "deployment.spec.strategy")
    t.kubectl("explain", "service.spec.ports.port")


@case
def describes(t: Talk) -> None:
    t.kubectl("create", "configmap", "one", "--from-literal=a=b")
    t.kubectl("describe", "configmap", "one")
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(service()))
    # Without events: the real server may add one about the address that it has just given out.
    t.kubectl("describe", "service", "app", "--show-events=false")


@case
def compares(t: Talk) -> None:
    t.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(config_map()))
    printed = t.server.kubectl(
        "-n",
        t.namespace,
        "diff",
        "-f",
        "-",
        stdin=yaml.safe_dump(config_map(data={"a": "2"})),
        check=False,
    )
    lines = [
        line for line in printed.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    t.note("diff", lines)


@case
def may_i(t: Talk) -> None:
    t.kubectl("auth", "can-i", "get", "pods")
    t.kubectl("auth", "can-i", "get", "pods", "--as=bob")


@case
def misses(t: Talk) -> None:
    t.kubectl("get", "deployment", "none")
    t.kubectl("get", "wheels")
    t.kubectl("get", "pods")
