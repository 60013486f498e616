"""The metadata of the objects that routers write: with who else writes them."""

from msgspec import Struct

from serinus.api.meta import ObjectMeta


class Manager(Struct, frozen=True, gc=False):
    """One of those who write an object, by the name that they give themselves."""

    manager: str = ""


class RouteMeta(ObjectMeta, frozen=True, kw_only=True):
    """``managed_fields`` is what the API server notes of who wrote which field, without the
    fields; empty where it notes nothing."""

    managed_fields: tuple[Manager, ...] = ()

    def noted_alone(self, manager: str) -> bool:
        """Whether the API server notes who writes the object, and it is that one and no other."""
        noted = self.managed_fields
        return bool(noted) and all(one.manager == manager for one in noted)
