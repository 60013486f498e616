"""For which Kuma manifests are looked at: a release, and whether its mesh has MeshServices."""

from collections.abc import Sequence
from dataclasses import dataclass

from serinus.lab.mesh.versions import V1_8, V2_7, V2_14, V3_0, KumaVersion

VERSIONS = {version.name: version for version in (V1_8, V2_7, V2_14, V3_0)}

MODES = {"exclusive": "Exclusive", "disabled": "Disabled"}
"""What ``--mesh-services`` may say, and the ``spec.meshServices.mode`` that it stands for."""


@dataclass(frozen=True, slots=True)
class Kuma:
    """One release with one way of naming Services."""

    version: KumaVersion
    mode: str

    def __str__(self) -> str:
        if not self.version.has_mesh_services_mode:
            return f"Kuma {self.version.name}"
        return f"Kuma {self.version.name} with MeshServices {self.mode}"

    @property
    def has_mesh_services(self) -> bool:
        """Whether routes lead to MeshServices; else they do to service tags."""
        return self.version.has_meshservice and self.mode != "Disabled"


Group = tuple[Kuma, ...]
"""The ways that one release may be run: what is wrong in all of them is wrong for certain."""


def groups(names: Sequence[str], mode: str) -> tuple[Group, ...]:
    """What ``--kuma`` and ``--mesh-services`` ask for: a group for each release that is named, or
    one group of all releases when none is.

    Raises ValueError, with the known ones, for a release or a mode that is none.
    """
    unknown = [name for name in names if name not in VERSIONS]
    if unknown:
        known = " or ".join(VERSIONS)
        raise ValueError(f'"{unknown[0]}" is no Kuma that is known here; use {known}')
    if mode and mode not in MODES:
        known = " or ".join(MODES)
        raise ValueError(f'"{mode}" is no mode of MeshServices; use {known}')
    asked = [_ways(VERSIONS[name], mode) for name in dict.fromkeys(names)]
    if asked:
        return tuple(asked)
    return (tuple(kuma for version in VERSIONS.values() for kuma in _ways(version, mode)),)


def _ways(version: KumaVersion, mode: str) -> Group:
    if not version.has_mesh_services_mode:
        return (Kuma(version, version.mesh_services),)
    return tuple(Kuma(version, one) for one in ([MODES[mode]] if mode else MODES.values()))
