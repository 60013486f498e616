"""The parts of Kubernetes' objects that the kubelet reads.

Unknown fields are skipped: a pod may ask for more than the lab can give (security contexts,
affinity, resource limits), and then gets less.
"""

from typing import Any

import msgspec


class Struct(msgspec.Struct, rename="camel", omit_defaults=True):
    """Base of all: camelCase outside, snake_case inside."""


class ObjectMeta(Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None


class KeyRef(Struct):
    """A key of a ConfigMap or Secret called ``name``."""

    key: str
    name: str = ""
    optional: bool = False


class NameRef(Struct):
    name: str = ""
    optional: bool = False


class FieldRef(Struct):
    field_path: str


class ResourceFieldRef(Struct):
    resource: str
    container_name: str = ""
    divisor: str = "0"


class EnvVarSource(Struct):
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None


class EnvVar(Struct):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class EnvFromSource(Struct):
    prefix: str = ""
    config_map_ref: NameRef | None = None
    secret_ref: NameRef | None = None


class HTTPHeader(Struct):
    name: str
    value: str = ""


class HTTPGetAction(Struct):
    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: list[HTTPHeader] = []


class TCPSocketAction(Struct):
    port: int | str
    host: str = ""


class ExecAction(Struct):
    command: list[str] = []


class SleepAction(Struct):
    seconds: int


class LifecycleHandler(Struct):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Struct):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class Probe(Struct):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class ContainerPort(Struct):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Resources(Struct):
    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class VolumeMount(Struct):
    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class SecurityContext(Struct):
    read_only_root_filesystem: bool | None = None


class Container(Struct):
    name: str
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[EnvVar] = []
    env_from: list[EnvFromSource] = []
    ports: list[ContainerPort] = []
    resources: Resources = msgspec.field(default_factory=Resources)
    volume_mounts: list[VolumeMount] = []
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle = msgspec.field(default_factory=Lifecycle)
    restart_policy: str | None = None
    security_context: SecurityContext = msgspec.field(default_factory=SecurityContext)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class KeyToPath(Struct):
    key: str
    path: str
    mode: int | None = None


class ConfigMapVolume(Struct):
    name: str = ""
    items: list[KeyToPath] = []
    optional: bool = False
    default_mode: int = 0o644


class SecretVolume(Struct):
    secret_name: str = ""
    items: list[KeyToPath] = []
    optional: bool = False
    default_mode: int = 0o644


class DownwardFile(Struct):
    path: str
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None


class DownwardVolume(Struct):
    items: list[DownwardFile] = []
    default_mode: int = 0o644


class TokenProjection(Struct):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class SecretProjection(Struct):
    name: str = ""
    items: list[KeyToPath] = []
    optional: bool = False


class VolumeProjection(Struct):
    config_map: ConfigMapVolume | None = None
    secret: SecretProjection | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: TokenProjection | None = None


class ProjectedVolume(Struct):
    sources: list[VolumeProjection] = []
    default_mode: int = 0o644


class HostPathVolume(Struct):
    path: str
    type: str = ""


class EmptyDirVolume(Struct):
    medium: str = ""


class Volume(Struct):
    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    empty_dir: EmptyDirVolume | None = None
    host_path: HostPathVolume | None = None


class HostAlias(Struct):
    ip: str
    hostnames: list[str] = []


class PodSpec(Struct):
    containers: list[Container] = []
    init_containers: list[Container] = []
    volumes: list[Volume] = []
    node_name: str = ""
    service_account_name: str = "default"
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    hostname: str = ""
    host_aliases: list[HostAlias] = []


class PodStatus(Struct):
    phase: str = ""
    conditions: list[dict[str, Any]] = []
    start_time: str | None = None


class Pod(Struct):
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def key(self) -> str:
        """Namespace and name, for messages."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


class ConfigMap(Struct):
    """``binary_data`` is decoded from base64 by msgspec."""

    metadata: ObjectMeta
    data: dict[str, str] = {}
    binary_data: dict[str, bytes] = {}

    def contents(self) -> dict[str, bytes]:
        """All keys as files."""
        return {**{key: text.encode() for key, text in self.data.items()}, **self.binary_data}


class Secret(Struct):
    """``data`` is decoded from base64 by msgspec."""

    metadata: ObjectMeta
    data: dict[str, bytes] = {}

    def contents(self) -> dict[str, bytes]:
        """All keys as files."""
        return dict(self.data)


class ServicePort(Struct):
    port: int
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(Struct):
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: list[ServicePort] = []
    type: str = "ClusterIP"
    external_name: str = ""


class Service(Struct):
    metadata: ObjectMeta
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class EndpointConditions(Struct):
    ready: bool | None = None


class Endpoint(Struct):
    addresses: list[str] = []
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    hostname: str | None = None


class EndpointPort(Struct):
    port: int | None = None
    name: str | None = ""
    protocol: str | None = "TCP"


class EndpointSlice(Struct):
    metadata: ObjectMeta
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None
