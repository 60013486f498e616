"""How to reach an API server: an address, trust, and credentials."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext, create_default_context

Headers = Callable[[], Awaitable[Mapping[str, str]]]


async def _anonymous() -> Mapping[str, str]:
    return {}


class AuthorityFile:
    """The file of the authorities that a context trusts, read again when it changes.

    New connections go by it at once. One that is taken out stays trusted until the process ends:
    a context only takes more. A file that is gone changes nothing: it may be a temporary copy of
    what a kubeconfig holds itself. Raises `OSError` from the start where there is none, and later
    where it is no PEM.
    """

    def __init__(self, path: Path, trust: SSLContext) -> None:
        self._path = path
        self._trust = trust
        self._read = self._version()

    def _version(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def refresh(self) -> None:
        """Look whether it is another one now; that costs some microseconds."""
        try:
            version = self._version()
        except (FileNotFoundError, NotADirectoryError):
            return
        if version != self._read:
            self._trust.load_verify_locations(cafile=str(self._path))
            self._read = version


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server as one user sees it.

    ``ssl`` is None for plain HTTP or for the system's own trust. ``headers`` is asked before each
    request, since tokens expire. ``namespace`` is the one that the user works in unless told.
    ``proxy`` is an HTTP proxy's URL; ``tls_server_name`` the name that the server's certificate
    must carry when that is not its address. ``user`` is what the kubeconfig calls the user, for
    people to read.
    """

    server: str
    ssl: SSLContext | None = None
    headers: Headers = _anonymous
    namespace: str = "default"
    proxy: str | None = None
    tls_server_name: str | None = None
    user: str = ""

    @classmethod
    def with_token(
        cls,
        server: str,
        token: str,
        *,
        ca_file: str | None = None,
        ca_pem: str | None = None,
        namespace: str = "default",
    ) -> "Connection":
        """A connection with a token that does not change, trusting the CA of ``ca_file`` or
        ``ca_pem``."""
        headers = {"Authorization": f"Bearer {token}"}

        async def answer() -> Mapping[str, str]:
            return headers

        context = None
        if server.startswith("https://"):
            context = create_default_context(cafile=ca_file, cadata=ca_pem)
        return cls(server.rstrip("/"), context, answer, namespace)
