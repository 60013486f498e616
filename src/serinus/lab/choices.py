"""What a person chooses of a lab, and what of it a lab that was begun before has settled."""

from dataclasses import dataclass, replace
from pathlib import Path

from serinus.lab.controlplane import programs
from serinus.lab.images.table import ImagesFileError, ImageTable
from serinus.lab.mesh.versions import played

DEFAULT_KUMA = "2.14"


class ChoiceError(ValueError):
    """A choice that cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Choices:
    """None leaves a choice to what was before, or to the default.

    ``mesh_services`` is the mode, `exclusive` or `disabled`, of a new lab's default Mesh;
    ``images`` a file of further images; ``control_plane`` the directory of a real control plane's
    programs.
    """

    kuma: str | None = None
    mesh_services: str | None = None
    images: Path | None = None
    control_plane: Path | None = None

    @property
    def version(self) -> str:
        """Kuma's, the default if none was chosen."""
        return self.kuma or DEFAULT_KUMA

    def after(self, before: "Choices", name: str) -> "Choices":
        """These choices for the lab ``name``, which was begun with others and does not run.

        Raises `ChoiceError` for what a lab cannot change.
        """
        if self.kuma not in {None, before.kuma}:
            raise ChoiceError(
                f"there is a lab {name} with Kuma {before.kuma}, not running; end it for good with "
                f"`serinus lab down --name {name}` to begin one with Kuma {self.kuma}, or take it "
                f"there with `serinus lab upgrade --name {name} --kuma {self.kuma}`"
            )
        if self.mesh_services not in {None, before.mesh_services}:
            raise ChoiceError(
                f"there is a lab {name}, not running, and its Mesh stays as it is; start it "
                "without --mesh-services and set spec.meshServices.mode of that Mesh"
            )
        if before.control_plane is None and self.control_plane is not None:
            raise ChoiceError(
                f"there is a lab {name} on the embedded control plane, not running; end it for "
                f"good with `serinus lab down --name {name}` to begin one on a real one"
            )
        return Choices(
            before.kuma,
            before.mesh_services,
            self.images or before.images,
            self.control_plane or before.control_plane,
        )

    def checked(self) -> "Choices":
        """The same with the version told and paths by their full names.

        Raises `ChoiceError` for what there is not.
        """
        plane, images = self.control_plane, self.images
        try:
            played(self.version, self.mesh_services)
            ImageTable.load(images)
            if plane is not None:
                plane = programs.find(plane).directory
        except (ValueError, ImagesFileError, programs.MissingPrograms) as error:
            raise ChoiceError(str(error)) from None
        return Choices(
            self.version, self.mesh_services, images.resolve() if images else None, plane
        )

    def upgraded(self, kuma: str) -> "Choices":
        """The same with another Kuma, which reads the mode of MeshServices only where it has
        one."""
        has_mode = played(kuma).has_mesh_services_mode
        return replace(self, kuma=kuma, mesh_services=self.mesh_services if has_mode else None)

    def arguments(self) -> list[str]:
        """As the command line of the lab's node has them."""
        found = []
        for option, value in (
            ("--kuma", self.kuma),
            ("--mesh-services", self.mesh_services),
            ("--images", self.images),
            ("--control-plane", self.control_plane),
        ):
            if value is not None:
                found += [option, str(value)]
        return found
