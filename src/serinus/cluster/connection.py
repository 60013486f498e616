"""How to reach an API server: an address, trust, and credentials."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ssl import SSLContext, create_default_context

Headers = Callable[[], Awaitable[Mapping[str, str]]]


async def _anonymous() -> Mapping[str, str]:
    return {}


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
