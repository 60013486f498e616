"""The operator's settings: flags and environment under Flagger's names.

Flagger is a Go program, so its manifests write `-mesh-provider=kuma`; one dash and two are the
same here. Every flag can also be given by an environment variable of its name in capitals
(`MESH_PROVIDER`), as Flagger does for some; a flag wins. What is Serinus' own starts with
`SERINUS_` in the environment.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from serinus.alerts.everyone import GlobalAlerts
from serinus.api import duration
from serinus.api.support import PROVIDERS
from serinus.cluster.lease import Terms
from serinus.routing.kuma.dialect import WORDS as DIALECTS

DEFAULT_PORT = 8080

MESH_SERVICES_MODES = ("", "Disabled", "Everywhere", "ReachableBackends", "Exclusive")
"""Kuma's modes, and none."""


class SettingsError(Exception):
    """A flag or variable that cannot be obeyed; the text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one operator was told. Durations are in seconds.

    ``minimum_interval`` is Flagger's floor for `analysis.interval`. ``route_propagation`` is how
    long callers' proxies may take to learn of new weights: Kuma's control plane refreshes its
    proxies about once a second.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    metrics_server: str = "http://prometheus:9090"
    mesh_provider: str = "kuma"
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefix: tuple[str, ...] = ()
    port: int = DEFAULT_PORT
    listen: str = ""
    log_level: str = "info"
    log_encoding: str = "json"
    cluster_name: str = ""
    minimum_interval: float = 10.0
    route_propagation: float = 3.0
    mesh_services_mode: str = ""
    kuma_dialect: str = ""
    kuma_system_namespace: str = ""
    leader_election: bool = False
    leader_election_namespace: str = "kube-system"
    lease_terms: Terms = Terms()
    alerts: GlobalAlerts = GlobalAlerts()
    event_webhook: str = field(default="", repr=False)
    no_cross_namespace_refs: bool = False
    config_tracking: bool = True


@dataclass(frozen=True, slots=True)
class _Flag:
    """``told`` is the setting's name; None marks a flag of Flagger's that changes nothing here."""

    name: str
    default: str
    help: str
    told: str | None = None
    boolean: bool = False
    environment: str = ""

    @property
    def variable(self) -> str:
        return self.environment or self.name.replace("-", "_").upper()


FLAGS = (
    _Flag("kubeconfig", "", "path to a kubeconfig; the pod's own account when empty", "kubeconfig"),
    _Flag("context", "", "context of the kubeconfig", "context", environment="SERINUS_CONTEXT"),
    _Flag("namespace", "", "only this namespace; all when empty", "namespace"),
    _Flag("metrics-server", "http://prometheus:9090", "address of Prometheus", "metrics_server"),
    _Flag("mesh-provider", "kuma", "provider of canaries that name none", "mesh_provider"),
    _Flag(
        "selector-labels",
        "app,name,app.kubernetes.io/name",
        "labels by which pods are told apart, the first that a target has",
        "selector_labels",
    ),
    _Flag(
        "include-label-prefix",
        "",
        "prefixes of labels and annotations that the primary gets too; * for all",
        "include_label_prefix",
    ),
    _Flag("port", str(DEFAULT_PORT), "port of /metrics, /healthz and /readyz", "port"),
    _Flag(
        "listen", "", "address to listen on; all when empty", "listen", environment="SERINUS_LISTEN"
    ),
    _Flag("log-level", "info", "debug, info, warn or error", "log_level"),
    _Flag("zap-encoding", "json", "json or console", "log_encoding"),
    _Flag("cluster-name", "", "name of this cluster in messages", "cluster_name"),
    _Flag(
        "minimum-interval",
        "10s",
        "shortest analysis interval that is obeyed",
        "minimum_interval",
        environment="SERINUS_MINIMUM_INTERVAL",
    ),
    _Flag(
        "route-propagation",
        "3s",
        "time after which every caller has learnt of new weights",
        "route_propagation",
        environment="SERINUS_ROUTE_PROPAGATION",
    ),
    _Flag(
        "mesh-services-mode",
        "",
        "spec.meshServices.mode of the meshes, for an operator that may not read them",
        "mesh_services_mode",
        environment="SERINUS_MESH_SERVICES_MODE",
    ),
    _Flag(
        "kuma-dialect",
        "",
        f"how routes are written: {', '.join(DIALECTS)}; as the mesh needs it when empty",
        "kuma_dialect",
        environment="SERINUS_KUMA_DIALECT",
    ),
    _Flag(
        "kuma-system-namespace",
        "",
        "namespace of Kuma's control plane, where Kuma up to 2.8 wants routes; found when empty",
        "kuma_system_namespace",
        environment="SERINUS_KUMA_SYSTEM_NAMESPACE",
    ),
    _Flag(
        "enable-leader-election",
        "false",
        "act only as the holder of a Lease, so that further replicas can stand by",
        "leader_election",
        boolean=True,
    ),
    _Flag(
        "leader-election-namespace",
        "kube-system",
        "namespace of that Lease; -namespace goes before it",
        "leader_election_namespace",
    ),
    _Flag(
        "lease-duration",
        "60s",
        "time after which a leader that is not heard of is replaced",
        "lease_duration",
        environment="SERINUS_LEASE_DURATION",
    ),
    _Flag(
        "lease-renew-deadline",
        "15s",
        "time after which a leader that cannot renew its lease gives up",
        "lease_renew_deadline",
        environment="SERINUS_LEASE_RENEW_DEADLINE",
    ),
    _Flag(
        "lease-retry-period",
        "5s",
        "time between two renewals, or attempts",
        "lease_retry_period",
        environment="SERINUS_LEASE_RETRY_PERIOD",
    ),
    _Flag("slack-url", "", "Slack's address for canaries without alerts of their own", "slack_url"),
    _Flag("slack-token", "", "bearer token for that address", "slack_token"),
    _Flag("slack-proxy-url", "", "HTTP proxy on the way to Slack", "slack_proxy_url"),
    _Flag("slack-user", "flagger", "name that messages are posted under", "slack_user"),
    _Flag("slack-channel", "", "channel that messages are posted to", "slack_channel"),
    _Flag("msteams-url", "", "Microsoft Teams' address, in Slack's place", "msteams_url"),
    _Flag("msteams-proxy-url", "", "HTTP proxy on the way to Teams", "msteams_proxy_url"),
    _Flag(
        "event-webhook",
        "",
        "address that is told every event of canaries without a hook of type event",
        "event_webhook",
        environment="EVENT_WEBHOOK_URL",
    ),
    _Flag(
        "no-cross-namespace-refs",
        "false",
        "canaries may name templates and providers of their own namespace only",
        "no_cross_namespace_refs",
        boolean=True,
    ),
    _Flag(
        "enable-config-tracking",
        "true",
        "ConfigMaps and Secrets belong to a revision",
        "config_tracking",
        boolean=True,
    ),
    _Flag("control-loop-interval", "10s", "nothing: new canaries are seen at once"),
    _Flag("threadiness", "2", "nothing: there are no worker threads"),
    _Flag("kubeconfig-qps", "100", "nothing: the API server's own fairness is obeyed"),
    _Flag("kubeconfig-burst", "250", "nothing: the API server's own fairness is obeyed"),
    _Flag("zap-replace-globals", "false", "nothing", boolean=True),
)

REFUSED = {
    "kubeconfig-service-mesh": "the mesh's objects must be in the same cluster",
}
"""Flags of Flagger's whose behaviour is not here yet, and what to do meanwhile: obeying half of
them silently would be worse than not starting."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def parser() -> argparse.ArgumentParser:
    """The command line, for `--help` and for `parse`."""
    built = _Parser(
        prog="serinus operator",
        description="Roll out Canaries. One dash or two, Flagger's flags work as they are.",
        allow_abbrev=False,
    )
    for flag in FLAGS:
        built.add_argument(
            f"--{flag.name}",
            f"-{flag.name}",
            dest=flag.name,
            nargs="?" if flag.boolean else None,
            const="true" if flag.boolean else None,
            metavar="VALUE",
            help=f"{flag.help} (default {flag.default or 'empty'}; ${flag.variable})",
        )
    for name in REFUSED:
        built.add_argument(
            f"--{name}", f"-{name}", dest=name, nargs="?", const="true", help=argparse.SUPPRESS
        )
    return built


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings of a command line and an environment.

    Raises:
        SettingsError: unknown, malformed or not yet supported flags, by name.
    """
    given = vars(parser().parse_args(list(arguments)))
    for name, advice in REFUSED.items():
        value = given[name] or environment.get(name.replace("-", "_").upper())
        if value and value.lower() != "false":
            raise SettingsError(f"-{name} is not supported by this release: {advice}")
    texts = {}
    for flag in FLAGS:
        value = given[flag.name]
        if flag.told is not None:
            texts[flag.told] = (
                value if value is not None else environment.get(flag.variable, flag.default)
            )
    return _settings(texts)


def _settings(texts: Mapping[str, str]) -> Settings:
    if texts["log_level"] not in {"debug", "info", "warn", "error"}:
        raise SettingsError(
            f"-log-level must be debug, info, warn or error, not {texts['log_level']!r}"
        )
    if texts["log_encoding"] not in {"json", "console"}:
        raise SettingsError(f"-zap-encoding must be json or console, not {texts['log_encoding']!r}")
    if texts["mesh_provider"] not in PROVIDERS:
        raise SettingsError(
            f"-mesh-provider {texts['mesh_provider']!r} is another mesh's; "
            f"use {' or '.join(PROVIDERS)}"
        )
    if texts["mesh_services_mode"] not in MESH_SERVICES_MODES:
        raise SettingsError(
            f"-mesh-services-mode must be one of {', '.join(filter(None, MESH_SERVICES_MODES))}, "
            f"not {texts['mesh_services_mode']!r}"
        )
    if texts["kuma_dialect"] not in ("", *DIALECTS):
        raise SettingsError(
            f"-kuma-dialect must be one of {', '.join(DIALECTS)}, not {texts['kuma_dialect']!r}"
        )
    if not texts["port"].isdigit() or not 0 <= int(texts["port"]) <= 65535:
        raise SettingsError(f"-port must be a number from 0 to 65535, not {texts['port']!r}")
    return Settings(
        kubeconfig=texts["kubeconfig"],
        context=texts["context"],
        namespace=texts["namespace"],
        metrics_server=texts["metrics_server"].rstrip("/"),
        mesh_provider=texts["mesh_provider"],
        selector_labels=_listed(texts["selector_labels"]),
        include_label_prefix=_listed(texts["include_label_prefix"]),
        port=int(texts["port"]),
        listen=texts["listen"],
        log_level=texts["log_level"],
        log_encoding=texts["log_encoding"],
        cluster_name=texts["cluster_name"],
        minimum_interval=_seconds("minimum-interval", texts["minimum_interval"]),
        route_propagation=_seconds("route-propagation", texts["route_propagation"]),
        mesh_services_mode=texts["mesh_services_mode"],
        kuma_dialect=texts["kuma_dialect"],
        kuma_system_namespace=texts["kuma_system_namespace"],
        leader_election=_boolean("enable-leader-election", texts["leader_election"]),
        leader_election_namespace=texts["leader_election_namespace"],
        lease_terms=_lease_terms(texts),
        alerts=GlobalAlerts(
            texts["slack_url"],
            texts["slack_token"],
            texts["slack_proxy_url"],
            texts["slack_user"],
            texts["slack_channel"],
            texts["msteams_url"],
            texts["msteams_proxy_url"],
        ),
        event_webhook=texts["event_webhook"],
        no_cross_namespace_refs=_boolean(
            "no-cross-namespace-refs", texts["no_cross_namespace_refs"]
        ),
        config_tracking=_boolean("enable-config-tracking", texts["config_tracking"]),
    )


def _lease_terms(texts: Mapping[str, str]) -> Terms:
    lasting = _seconds("lease-duration", texts["lease_duration"])
    if not lasting.is_integer():
        raise SettingsError("-lease-duration must be whole seconds, as a Lease states them")
    try:
        return Terms(
            int(lasting),
            _seconds("lease-renew-deadline", texts["lease_renew_deadline"]),
            _seconds("lease-retry-period", texts["lease_retry_period"]),
        )
    except ValueError as error:
        raise SettingsError(f"-lease-duration, -lease-renew-deadline: {error}") from error


def _boolean(name: str, text: str) -> bool:
    value = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}.get(
        text.lower()
    )
    if value is None:
        raise SettingsError(f"-{name} must be true or false, not {text!r}")
    return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seconds(name: str, text: str) -> float:
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise SettingsError(f"-{name}: {error}") from error
