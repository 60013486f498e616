"""Volumes: content that is replaced as a whole, and places that are refused."""

import time
from pathlib import Path

import msgspec
import pytest

from serinus.lab.kubelet.environment import PodFacts
from serinus.lab.kubelet.manifest import ConfigMap, ObjectMeta, Pod, Secret, TokenProjection
from serinus.lab.kubelet.volumes import PodVolumes, Token, VolumeError, write_atomically
from serinus.lab.paths import LabPaths


class Held:
    """ConfigMaps of namespace ``test`` by name."""

    def __init__(self) -> None:
        self.maps: dict[str, dict[str, str]] = {}

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        data = self.maps.get(name)
        return None if data is None else ConfigMap(ObjectMeta(name=name), data=data)

    def secret(self, namespace: str, name: str) -> Secret | None:
        return None


async def issue(facts: PodFacts, projection: TokenProjection) -> Token:
    return Token(f"token of {facts.pod.spec.service_account_name}", time.time() + 100)


def made(root: Path, held: Held, volume: dict[str, object], **mount: object) -> PodVolumes:
    mounts = [{"name": "v", "mountPath": "/v", **mount}]
    pod = {
        "metadata": {"name": "p", "namespace": "test", "uid": "u", "labels": {"app": "p"}},
        "spec": {
            "containers": [{"name": "c", "volumeMounts": mounts}],
            "volumes": [{"name": "v", **volume}],
        },
    }
    facts = PodFacts(msgspec.convert(pod, Pod), "10.244.0.2", "10.244.0.1", "lab")
    return PodVolumes(root / "pods/u/volumes", LabPaths(root), facts, held, issue)


def test_content_is_replaced_by_one_rename(tmp_path: Path) -> None:
    write_atomically(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "d/b").read_bytes() == b"2"
    write_atomically(tmp_path, {"a": (b"new", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / first).exists()
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name[:2] != "..") == ["a"]


async def test_a_config_map_that_changes_is_shown(tmp_path: Path) -> None:
    held = Held()
    volumes = made(tmp_path, held, {"configMap": {"name": "settings"}})
    with pytest.raises(VolumeError, match='configmap "settings" not found'):
        await volumes.refresh()
    held.maps["settings"] = {"colour": "red"}
    await volumes.refresh()
    shown = volumes.directory / "v/colour"
    assert shown.read_text() == "red"
    held.maps["settings"] = {"colour": "blue"}
    assert volumes.refers_to("ConfigMap", "settings")
    assert not volumes.refers_to("Secret", "settings")
    await volumes.refresh()
    assert shown.read_text() == "blue"


async def test_a_projected_volume_has_token_labels_and_chosen_keys(tmp_path: Path) -> None:
    held = Held()
    held.maps["ca"] = {"ca.crt": "certificate", "other": "x"}
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "deep/ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    volumes = made(tmp_path, held, {"projected": {"sources": sources}})
    await volumes.refresh()
    place = volumes.directory / "v"
    assert (place / "token").read_text() == "token of default"
    assert (place / "deep/ca.crt").read_text() == "certificate"
    assert (place / "l").read_text() == 'app="p"'
    assert not (place / "other").exists()
    left = volumes.next_refresh()
    assert left is not None
    assert 60 < left <= 80


@pytest.mark.parametrize("path", ["/etc", "{root}/pki", "{root}/../other", "{root}"])
async def test_only_harmless_host_paths_are_mounted(tmp_path: Path, path: str) -> None:
    root = tmp_path / "lab"
    volumes = made(root, Held(), {"hostPath": {"path": path.format(root=root)}})
    with pytest.raises(VolumeError, match="not allowed"):
        await volumes.refresh()


async def test_sub_path_expr_picks_a_directory_of_the_pod(tmp_path: Path) -> None:
    volume = {"hostPath": {"path": str(tmp_path / "xds"), "type": "DirectoryOrCreate"}}
    volumes = made(tmp_path, Held(), volume, subPathExpr="$(POD_UID)")
    await volumes.refresh()
    container = volumes.facts.pod.spec.containers[0]
    (mount,) = volumes.mounts(container, {"POD_UID": "u"})
    assert mount.source == tmp_path / "xds/u"
    assert mount.source.is_dir()
