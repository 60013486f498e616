"""One real Kuma of each release for all tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from controlplane import Missing
from kuma.real.peer import RealKuma


@pytest.fixture(scope="session")
def kumas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RealKuma]]:
    """Gives the one of a release; it is started when it is first asked for."""
    running: dict[str, RealKuma] = {}
    with ExitStack() as stack:

        def of(release: str) -> RealKuma:
            if release not in running:
                root = tmp_path_factory.mktemp("kuma")
                try:
                    running[release] = stack.enter_context(RealKuma(root, release))
                except Missing as missing:
                    pytest.skip(str(missing))
            return running[release]

        yield of


@pytest.fixture
def kuma(request: pytest.FixtureRequest, kumas: Callable[[str], RealKuma]) -> RealKuma:
    """The one of the release that the test has as its parameter."""
    return kumas(request.param)
