"""Pods of a real lab, as a person sees them."""

import json
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from lab.kubelet.running_lab import PODINFO, Lab, built, eventually, in_terminal, pod, shell
from serinus.lab import components, world
from serinus.lab.requirements import lacking

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(lacking()), reason=f"this machine lacks {[str(x) for x in lacking()]}"),
]


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("real", marks=pytest.mark.controlplane)],
)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    state: Path = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        try:
            plane = built() if request.param == "real" else None
            yield Lab(world.up("pods", control_plane=plane))
        finally:
            world.down("pods")
    shutil.rmtree(state)


def test_podinfo_is_reached_by_the_name_of_its_service(lab: Lab) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front", "namespace": "default"},
        "spec": {"selector": {"app": "front"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    lab.apply(service, pod("front", PODINFO), pod("caller", shell("c", "sleep 1000")))
    lab.ready("front", "caller")
    for name in ("front", "front.default", "front.default.svc.cluster.local"):
        assert "6.0.0" in lab.shell("caller", f"curl -sS --retry 5 http://{name}/version")
    lab.shell("caller", "curl -sS http://example.org/", status=6)
    assert "nameserver 10.244.0.1" in lab.shell("caller", "cat /etc/resolv.conf")
    lab.kubectl("delete", "pod", "front")
    refused = "for i in $(seq 100); do curl -s http://front/; [ $? = 7 ] && exit 0; sleep 0.1; done"
    lab.shell("caller", f"{refused}; exit 1")


def test_probes_decide_about_readiness_and_restarts(lab: Lab) -> None:
    lab.apply(pod("probed", PODINFO))
    lab.ready("probed")
    lab.shell("probed", "curl -s -X POST localhost:9898/readyz/disable")

    def is_ready() -> bool:
        return bool(lab.get("pod", "probed")["status"]["containerStatuses"][0]["ready"])

    eventually(lambda: not is_ready(), "not ready")
    # Whether curl or its container ends first is nobody's promise.
    lab.shell("probed", "curl -s localhost:9898/panic", status=None)

    def restarts() -> int:
        return int(lab.get("pod", "probed")["status"]["containerStatuses"][0]["restartCount"])

    eventually(lambda: restarts() == 1 and is_ready(), "restarted and ready")
    assert "Panic" in lab.kubectl("logs", "probed", "--previous")


def test_a_failing_liveness_probe_restarts_the_container(lab: Lab) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/alive"]}, "periodSeconds": 1}
    script = "touch /tmp/alive; sleep 1000"
    lab.apply(pod("mortal", shell("c", script, livenessProbe={**probe, "failureThreshold": 1})))
    lab.ready("mortal")
    lab.shell("mortal", "rm /tmp/alive")
    eventually(
        lambda: lab.get("pod", "mortal")["status"]["containerStatuses"][0]["restartCount"] == 1,
        "restarted",
    )
    assert "failed liveness probe, will be restarted" in lab.kubectl(
        "events", "--for", "pod/mortal"
    )


def test_volumes_environment_and_order_of_containers(lab: Lab) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"colour": "red"},
    }
    shared = {"name": "shared", "mountPath": "/work"}
    init = shell("first", 'echo "$COLOUR" > /work/from-init', volumeMounts=[shared])
    init["env"] = [
        {
            "name": "COLOUR",
            "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}},
        }
    ]
    sidecar = shell("side", "sleep 1000", restartPolicy="Always")
    main = shell("main", "cat /work/from-init; echo $(IP); sleep 1000")
    main["env"] = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    main["volumeMounts"] = [shared, {"name": "settings", "mountPath": "/etc/settings"}]
    volumes = [
        {"name": "shared", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "settings"}},
    ]
    lab.apply(config, pod("ordered", main, initContainers=[sidecar, init], volumes=volumes))
    lab.ready("ordered")
    address = lab.get("pod", "ordered")["status"]["podIP"]
    eventually(
        lambda: lab.kubectl("logs", "ordered", "-c", "main").split() == ["red", address], "logs"
    )
    assert (
        lab.kubectl("exec", "ordered", "-c", "main", "--", "cat", "/etc/settings/colour") == "red"
    )
    lab.kubectl("patch", "configmap", "settings", "-p", '{"data": {"colour": "blue"}}')
    eventually(
        lambda: (
            lab.kubectl("exec", "ordered", "-c", "main", "--", "cat", "/etc/settings/colour")
            == "blue"
        ),
        "the volume shows the new value",
    )


def test_exec_passes_input_output_and_exit_status(lab: Lab) -> None:
    lab.apply(pod("target", shell("c", "sleep 1000")))
    lab.ready("target")
    assert lab.kubectl("exec", "-i", "target", "--", "cat", given="to and fro\n") == "to and fro\n"
    lab.shell("target", "exit 7", status=7)
    assert lab.shell("target", "hostname; id -u") == "target\n0\n"


def test_a_person_types_into_a_container(lab: Lab) -> None:
    said = lab.kubectl(
        *("run", "echoing", "--rm", "-i", "--restart=Never", "--image=busybox", "--", "cat"),
        given="to and fro\n",
    )
    assert "to and fro\n" in said
    lab.apply(
        pod(
            "typing",
            {"name": "c", "image": "busybox", "command": ["sh"], "stdin": True, "tty": True},
        )
    )
    lab.ready("typing")
    attached = in_terminal(lab, "attach", "-it", "typing")
    attached.until("try pressing enter")
    # kubectl tells the terminal's size beside what is typed, sooner or later.
    attached.type("until [ \"$(stty size)\" = '33 '99 ]; do sleep 0.05; done\n")
    attached.type("stty size; echo $((40 + 2)); exit 3\n")
    attached.until("33 99")
    attached.until("42")
    assert attached.end() == 0
    # The shell has ended, and with it the container, which is started again.
    again = "jsonpath={.status.containerStatuses[0].restartCount}=1"
    lab.kubectl("wait", "pod/typing", f"--for={again}", "--timeout=60s")
    lab.ready("typing")
    entered = in_terminal(lab, "exec", "-it", "typing", "--", "sh")
    entered.until("# ")
    entered.type("tty; exit 5\n")
    entered.until("/dev/pts/0")
    assert entered.end() == 5


def test_a_container_cannot_see_the_labs_keys(lab: Lab) -> None:
    lab.apply(pod("curious", shell("c", "sleep 1000")))
    lab.ready("curious")
    root = lab.info.paths.root
    lab.shell("curious", f"ls {root}/pki", status=2)
    lab.shell("curious", f"umount {root.parent}", status=32)


def test_images_and_commands_that_are_not_there_are_explained(lab: Lab) -> None:
    unknown = {"name": "a", "image": "example/none:1"}
    lab.apply(pod("broken", unknown, shell("b", "echo last words; exit 3")))

    def states() -> dict[str, str]:
        listed = lab.get("pod", "broken")["status"]["containerStatuses"]
        return {one["name"]: one["state"].get("waiting", {}).get("reason", "") for one in listed}

    eventually(
        lambda: states() == {"a": "ImagePullBackOff", "b": "CrashLoopBackOff"}, "both back off"
    )
    assert "--images FILE" in lab.kubectl("describe", "pod", "broken")
    assert lab.kubectl("logs", "broken", "-c", "b", "--previous") == "last words\n"


def test_hooks_run_after_the_start_and_before_the_end(lab: Lab) -> None:
    shared = {"name": "shared", "mountPath": "/shared"}
    spec = shell("c", "touch /shared/up; sleep 1000", volumeMounts=[shared])
    hook = "until [ -e /shared/up ]; do sleep 0.05; done; echo begun > /shared/post"
    # The pod stays until the test has looked: once it is gone, so are its logs.
    end = "echo ending > /shared/pre; until [ -e /shared/seen ]; do sleep 0.05; done"
    spec["lifecycle"] = {
        "postStart": {"exec": {"command": ["sh", "-c", hook]}},
        "preStop": {"exec": {"command": ["sh", "-c", end]}},
    }
    watcher = shell("w", "trap : TERM; until cat /shared/pre 2>/dev/null; do sleep 0.1; done")
    watcher["volumeMounts"] = [shared]
    volumes = [{"name": "shared", "emptyDir": {}}]
    lab.apply(
        pod(
            "hooked",
            spec,
            watcher,
            volumes=volumes,
            restartPolicy="Never",
            terminationGracePeriodSeconds=120,
        )
    )
    lab.ready("hooked")
    shown = lab.kubectl("exec", "hooked", "-c", "c", "--", "cat", "/shared/post")
    assert shown == "begun\n"
    lab.kubectl("delete", "pod", "hooked", "--wait=false")
    eventually(lambda: lab.kubectl("logs", "hooked", "-c", "w") == "ending\n", "preStop ran")
    lab.kubectl("exec", "hooked", "-c", "c", "--", "touch", "/shared/seen")
    lab.kubectl("wait", "--for=delete", "pod/hooked", "--timeout=60s")


async def test_a_port_is_forwarded_into_the_pod(lab: Lab) -> None:
    lab.apply(pod("inner", PODINFO))
    lab.ready("inner")
    authority = ssl.create_default_context(cafile=str(lab.info.paths.pki / "ca.crt"))
    token = components.token_of(lab.info.paths.tokens, components.ADMIN)
    url = f"{lab.info.server}/api/v1/namespaces/default/pods/inner/portforward"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.ws_connect(
            url, params={"ports": "9898"}, protocols=["v4.channel.k8s.io"], ssl=authority
        ) as socket,
    ):
        assert await socket.receive_bytes() == b"\x00" + (9898).to_bytes(2, "little")
        assert await socket.receive_bytes() == b"\x01" + (9898).to_bytes(2, "little")
        await socket.send_bytes(b"\x00GET /version HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = b""
        async for message in socket:
            answer += message.data[1:]
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"6.0.0"' in answer


def test_what_tunnels_spdy_is_told_what_to_use_instead(lab: Lab) -> None:
    lab.apply(pod("asked", shell("c", "sleep 1000")))
    lab.ready("asked")
    tried = in_terminal(lab, "port-forward", "pod/asked", "9898")
    tried.until("use `serinus lab forward -n default pod/asked PORT`")
    assert tried.end() == 1


def test_a_pod_may_come_to_its_end(lab: Lab) -> None:
    lab.apply(pod("once", shell("c", "echo done"), restartPolicy="Never"))
    lab.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/once", "--timeout=60s")
    assert lab.kubectl("logs", "once") == "done\n"


def test_deletion_gives_a_pod_its_grace(lab: Lab) -> None:
    script = "trap 'echo goodbye; sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    lab.apply(pod("polite", shell("c", script)))
    lab.ready("polite")
    eventually(lambda: lab.kubectl("logs", "polite") == "up\n", "up")
    uid = lab.get("pod", "polite")["metadata"]["uid"]
    lab.kubectl("delete", "pod", "polite", "--wait=false")
    eventually(lambda: "goodbye" in lab.kubectl("logs", "polite"), "it heard of its end")
    lab.kubectl("wait", "--for=delete", "pod/polite", "--timeout=60s")
    assert not (lab.info.paths.pods / uid).exists()


def test_statistics_come_from_the_kubelet(lab: Lab) -> None:
    lab.apply(pod("busy", shell("c", "while :; do :; done")))
    lab.ready("busy")

    def cores() -> float:
        text = lab.kubectl("get", "--raw", "/api/v1/nodes/lab/proxy/stats/summary")
        pods = json.loads(text)["pods"]
        (mine,) = [one for one in pods if one["podRef"]["name"] == "busy"]
        return float(mine["containers"][0]["cpu"]["usageNanoCores"]) / 1e9

    eventually(lambda: cores() > 0.2, "it is seen to be busy")
    lab.kubectl("delete", "pod", "busy", "--grace-period=0", "--force")
