"""The AlertProviders that canaries name, and what they come to: receivers, or problems."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from serinus.alerts.receiver import CHANNEL, USERNAME, Receiver
from serinus.alerts.services import SERVICES
from serinus.api.alertprovider import AlertProvider, AlertProviderSpec
from serinus.api.analysis import CrossNamespaceRef
from serinus.api.canary import Canary
from serinus.api.decode import Malformed
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.delivery.address import makes_sense


class Secrets(Protocol):
    """Where the data of Secrets comes from: `serinus.cluster.credentials.Credentials`."""

    async def get(self, namespace: str, name: str) -> Mapping[str, str]: ...


class NoReceiver(Exception):
    """There is nobody to send to; the message is for a person and shows no secret."""


class ProviderName(NamedTuple):
    """An AlertProvider by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Providers:
    """What the cache knows of AlertProviders; it keeps malformed ones too, to say so.

    ``confined`` is Flagger's -no-cross-namespace-refs: a canary may name providers of its own
    namespace only.
    """

    def __init__(
        self,
        cache: Cache[AlertProvider | Malformed],
        secrets: Secrets,
        *,
        confined: bool = False,
    ) -> None:
        self._cache = cache
        self._secrets = secrets
        self._confined = confined

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What keeps this canary's alerts from being sent, by its fields."""
        return tuple(
            Problem(f"spec.analysis.alerts[{index}].providerRef{field}", why)
            for index, alert in enumerate(canary.spec.analysis.alerts)
            for field, why in self._wrong(canary, alert.provider_ref)
        )

    def named(self, canary: Canary, ref: CrossNamespaceRef) -> ProviderName | None:
        """The provider that the canary means; None when it may not use it."""
        name = ProviderName(ref.namespace or canary.namespace, ref.name)
        return None if self._confined and name.namespace != canary.namespace else name

    async def receiver(self, name: ProviderName) -> Receiver:
        """The provider's receiver as of now.

        Raises `NoReceiver`, and what ``secrets`` raises (`NoCredentials`).
        """
        provider = self._cache.get(*name)
        if provider is None:
            raise NoReceiver(self._absent(name))
        if isinstance(provider, Malformed):
            raise NoReceiver(f"AlertProvider {name} cannot be read: {provider.problem}")
        for problem in _wrong_in(provider.spec):
            raise NoReceiver(f"AlertProvider {name}: {problem}")
        spec = provider.spec
        address, token = spec.address, ""
        if spec.secret_ref is not None:
            secret = await self._secrets.get(name.namespace, spec.secret_ref.name)
            # People's editors and `echo` leave a newline behind.
            address, token = secret.get("address", "").strip(), secret.get("token", "").strip()
            where = f'Secret "{spec.secret_ref.name}" of AlertProvider {name}'
            if not address:
                raise NoReceiver(f"{where} has no key address")
            if not makes_sense(address):
                raise NoReceiver(f"{where}: address must be an http or https URL")
        return Receiver(
            spec.type,
            address,
            token,
            spec.proxy,
            spec.username or USERNAME,
            spec.channel or CHANNEL,
        )

    def _wrong(self, canary: Canary, ref: CrossNamespaceRef) -> Iterator[tuple[str, str]]:
        name = self.named(canary, ref)
        if name is None:
            yield (
                ".namespace",
                f"can't access alert provider {ref.name}.{ref.namespace}, cross-namespace"
                f' references are blocked; use one in namespace "{canary.namespace}"',
            )
            return
        provider = self._cache.get(*name)
        if provider is None:
            yield "", self._absent(name)
        elif isinstance(provider, Malformed):
            yield "", f"AlertProvider {name} cannot be read: {provider.problem}"
        else:
            for problem in _wrong_in(provider.spec):
                yield "", f"AlertProvider {name}: {problem}"

    def _absent(self, name: ProviderName) -> str:
        watched = self._cache.namespace
        if watched and watched != name.namespace:
            return (
                f"AlertProvider {name} is outside of the namespace that this operator watches,"
                f' "{watched}"'
            )
        return f"there is no AlertProvider {name}; create it or correct the reference"


def _wrong_in(spec: AlertProviderSpec) -> Iterator[Problem]:
    if spec.type not in SERVICES:
        known = ", ".join(SERVICES)
        yield Problem("spec.type", f'"{spec.type}" is not known; use one of {known}')
    if spec.secret_ref is None and not spec.address:
        yield Problem("spec", "says no address; give address or secretRef")
    elif spec.secret_ref is None and not makes_sense(spec.address):
        yield Problem("spec.address", "must be an http or https URL")
    if spec.proxy and not makes_sense(spec.proxy):
        yield Problem("spec.proxy", "must be an http or https URL")
