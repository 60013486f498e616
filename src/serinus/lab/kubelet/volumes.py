"""A pod's volumes: directories on this machine, filled from what the API server holds.

A volume made of ConfigMaps, Secrets, tokens or the downward API is replaced as a whole: its
files are symbolic links into ``..data``, itself a link that one rename moves to the new content.
"""

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from serinus.lab.kubelet.environment import (
    ConfigError,
    Objects,
    PodFacts,
    expand,
    field_value,
    resource_value,
)
from serinus.lab.kubelet.manifest import (
    ConfigMapVolume,
    Container,
    DownwardVolume,
    KeyToPath,
    SecretVolume,
    TokenProjection,
    Volume,
    VolumeProjection,
)
from serinus.lab.kubelet.rootfs import Mount
from serinus.lab.paths import LabPaths

REFRESH_SHARE = 0.8
"""A token is replaced when this share of its life is over."""

Files = dict[str, tuple[bytes, int]]
"""Relative path -> content and mode."""


class VolumeError(RuntimeError):
    """A volume cannot be set up (yet); the message is for the pod's events (FailedMount)."""


@dataclass(frozen=True, slots=True)
class Token:
    """``expires`` in seconds since 1970."""

    text: str
    expires: float


class TokenSource(Protocol):
    """Asks the API server for a ServiceAccount's token bound to a pod."""

    async def __call__(self, facts: PodFacts, projection: TokenProjection) -> Token: ...


@dataclass(slots=True)
class PodVolumes:
    """The volumes of one pod, below ``directory``."""

    directory: Path
    paths: LabPaths
    facts: PodFacts
    objects: Objects
    tokens: TokenSource
    _tokens: dict[tuple[str, str], tuple[Token, float]] = field(default_factory=dict)
    _written: dict[str, Files] = field(default_factory=dict)
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> None:
        """Make every volume show what the API server holds now; raises `VolumeError`."""
        async with self._busy:
            for volume in self.facts.pod.spec.volumes:
                try:
                    await self._refresh(volume)
                except ConfigError as error:
                    message = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
                    raise VolumeError(message) from None

    def refers_to(self, kind: str, name: str) -> bool:
        """Whether a volume shows the ConfigMap or Secret ``name``."""
        for volume in self.facts.pod.spec.volumes:
            sources = volume.projected.sources if volume.projected else []
            if kind == "ConfigMap":
                named = [volume.config_map, *(source.config_map for source in sources)]
                if any(source and source.name == name for source in named):
                    return True
            elif (volume.secret and volume.secret.secret_name == name) or any(
                source.secret and source.secret.name == name for source in sources
            ):
                return True
        return False

    def next_refresh(self) -> float | None:
        """Seconds until a token should be replaced; None when there is none."""
        due = [moment for _, moment in self._tokens.values()]
        return max(min(due) - time.time(), 1.0) if due else None

    def mounts(self, container: Container, environment: dict[str, str]) -> list[Mount]:
        """A container's mounts; raises `ConfigError`."""
        volumes = {volume.name: volume for volume in self.facts.pod.spec.volumes}
        mounts = []
        for wish in container.volume_mounts:
            volume = volumes.get(wish.name)
            if volume is None:
                raise ConfigError(f"volumeMounts: the pod has no volume {wish.name!r}")
            source = self._place(volume)
            writable = volume.empty_dir is not None or volume.host_path is not None
            inner = wish.sub_path or expand(wish.sub_path_expr, environment)
            if inner:
                source = self._inside(source, inner, make=writable)
            read_only = wish.read_only or not writable
            mounts.append(Mount(source, wish.mount_path, read_only))
        return mounts

    def _inside(self, source: Path, inner: str, *, make: bool) -> Path:
        if PurePosixPath(inner).is_absolute() or ".." in PurePosixPath(inner).parts:
            raise ConfigError(f"subPath: {inner!r} leaves the volume")
        path = source / inner
        if make:
            path.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            raise ConfigError(f"subPath: {inner!r} is not in the volume")
        return path.resolve()

    def _place(self, volume: Volume) -> Path:
        if volume.host_path is None:
            return self.directory / volume.name
        path = Path(volume.host_path.path).resolve()
        root = self.paths.root.resolve()
        secret = [self.paths.pki, self.paths.tokens, self.paths.state, self.paths.kubeconfig]
        if (
            not path.is_relative_to(root)
            or path == root
            or any(path.is_relative_to(place.resolve()) for place in secret)
        ):
            raise ConfigError(
                f"hostPath: {volume.host_path.path} is not allowed; the lab mounts only "
                f"directories below {root} that hold no credentials"
            )
        return path

    async def _refresh(self, volume: Volume) -> None:
        place = self._place(volume)
        if volume.host_path:
            if volume.host_path.type == "DirectoryOrCreate":
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                raise ConfigError(f"hostPath: {place} does not exist")
        elif volume.empty_dir is not None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            files = await self._files(volume)
            if self._written.get(volume.name) != files:
                write_atomically(place, files)
                self._written[volume.name] = files

    async def _files(self, volume: Volume) -> Files:
        """The files of a volume that shows what the API server holds."""
        if volume.config_map:
            return self._config_map(volume.config_map, volume.config_map.default_mode)
        if volume.secret:
            return self._secret(volume.secret, volume.secret.default_mode)
        if volume.downward_api:
            return self._downward(volume.downward_api, volume.downward_api.default_mode)
        if volume.projected is None:
            raise ConfigError("it has a kind that the lab does not know")
        files: Files = {}
        for source in volume.projected.sources:
            files |= await self._projection(volume.name, source, volume.projected.default_mode)
        return files

    async def _projection(self, volume: str, source: VolumeProjection, mode: int) -> Files:
        if source.config_map:
            return self._config_map(source.config_map, mode)
        if source.secret:
            chosen = source.secret
            return self._secret(SecretVolume(chosen.name, chosen.items, chosen.optional), mode)
        if source.downward_api:
            return self._downward(source.downward_api, mode)
        if source.service_account_token:
            return await self._token(volume, source.service_account_token, mode)
        raise ConfigError("a projected source has a kind that the lab does not know")

    def _config_map(self, source: ConfigMapVolume, mode: int) -> Files:
        found = self.objects.config_map(self.facts.pod.metadata.namespace, source.name)
        if found is None:
            if source.optional:
                return {}
            raise ConfigError(f'configmap "{source.name}" not found')
        return _chosen(found.contents(), source.items, mode, source.optional, source.name)

    def _secret(self, source: SecretVolume, mode: int) -> Files:
        found = self.objects.secret(self.facts.pod.metadata.namespace, source.secret_name)
        if found is None:
            if source.optional:
                return {}
            raise ConfigError(f'secret "{source.secret_name}" not found')
        return _chosen(found.contents(), source.items, mode, source.optional, source.secret_name)

    def _downward(self, source: DownwardVolume, mode: int) -> Files:
        files: Files = {}
        for item in source.items:
            if item.field_ref:
                text = field_value(self.facts, item.field_ref.field_path)
            elif item.resource_field_ref:
                text = resource_value(self.facts.pod, None, item.resource_field_ref)
            else:
                raise ConfigError(f"downwardAPI: {item.path} names no field")
            files[item.path] = (text.encode(), mode)
        return files

    async def _token(self, volume: str, source: TokenProjection, mode: int) -> Files:
        known = self._tokens.get((volume, source.path))
        if known is None or time.time() >= known[1]:
            token = await self.tokens(self.facts, source)
            due = time.time() + (token.expires - time.time()) * REFRESH_SHARE
            known = self._tokens[volume, source.path] = (token, due)
        return {source.path: (known[0].text.encode(), mode)}


def _chosen(
    contents: dict[str, bytes], items: list[KeyToPath], mode: int, optional: bool, name: str
) -> Files:
    if not items:
        return {key: (data, mode) for key, data in contents.items()}
    files: Files = {}
    for item in items:
        if item.key in contents:
            files[item.path] = (contents[item.key], item.mode or mode)
        elif not optional:
            raise ConfigError(f"{name} has no key {item.key!r}")
    return files


def write_atomically(directory: Path, files: Files) -> None:
    """Make ``directory`` show exactly ``files``; a reader sees the old ones or the new ones."""
    directory.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now().strftime("..%Y_%m_%d_%H_%M_%S.%f")
    content = directory / stamp
    content.mkdir()
    for name, (data, mode) in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ConfigError(f"the path {name!r} leaves the volume")
        file = content / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)
    link = directory / "..data"
    old = directory / link.readlink() if link.is_symlink() else None
    fresh = directory / "..data_tmp"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(stamp)
    fresh.rename(link)
    wanted = {PurePosixPath(name).parts[0] for name in files}
    for name in wanted:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data") / name)
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    if old is not None and old != content:
        shutil.rmtree(old, ignore_errors=True)
