"""From an object to the canaries that depend on it."""

import msgspec

from serinus.api.canary import Canary
from serinus.operator.watched import Watched
from workload.guide import canary


def named(name: str) -> Canary:
    one = canary(targetRef__name=name, service__name=name)
    return msgspec.structs.replace(one, metadata=msgspec.structs.replace(one.metadata, name=name))


def test_an_object_of_one_and_one_of_all() -> None:
    watched = Watched()
    names = ("a", "b", "c")
    for name in names:
        watched.put(named(name))
    everybody = {("test", name) for name in names}
    assert set(watched.by("Mesh", "", "default")) == everybody
    assert set(watched.within("test")) == everybody
    assert list(watched.by("Deployment", "test", "b")) == [("test", "b")]
    assert list(watched.by("Deployment", "test", "d")) == []
    watched.drop(("test", "b"))
    assert set(watched.by("Mesh", "", "default")) == everybody - {("test", "b")}
    assert list(watched.by("Deployment", "test", "b")) == []
    for name in names:
        watched.drop(("test", name))
    assert list(watched.by("Mesh", "", "default")) == []


def test_what_a_canary_names_may_change() -> None:
    watched = Watched()
    watched.put(named("a"))
    watched.put(named("b"))
    both = msgspec.structs.replace(named("a"), spec=named("b").spec)
    watched.put(both)
    assert list(watched.by("Deployment", "test", "a")) == []
    assert set(watched.by("Deployment", "test", "b")) == {("test", "a"), ("test", "b")}
    watched.put(named("a"))
    assert list(watched.by("Deployment", "test", "a")) == [("test", "a")]
    assert list(watched.by("Deployment", "test", "b")) == [("test", "b")]
