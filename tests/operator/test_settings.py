"""Flagger's manifests start Serinus, and what cannot be obeyed is named."""

import pytest

from serinus.operator.settings import REFUSED, Settings, SettingsError, parse

FLAGGERS = [
    "-log-level=info",
    "-include-label-prefix=app.kubernetes.io",
    "-mesh-provider=kuma",
    "-metrics-server=http://prometheus-server.mesh-observability:80",
    "-threadiness=2",
    "-enable-leader-election=false",
    "-zap-replace-globals",
]


def test_the_arguments_of_flaggers_own_manifest() -> None:
    settings = parse(FLAGGERS, {})
    assert settings.include_label_prefix == ("app.kubernetes.io",)
    assert settings.metrics_server == "http://prometheus-server.mesh-observability:80"


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_one_dash_or_two_and_a_value_apart(dashes: str) -> None:
    assert parse([f"{dashes}namespace", "test"], {}).namespace == "test"
    assert parse([f"{dashes}namespace=test"], {}).namespace == "test"


def test_the_environment_speaks_and_a_flag_wins() -> None:
    environment = {"METRICS_SERVER": "http://a", "SERINUS_MINIMUM_INTERVAL": "1s"}
    settings = parse([], environment)
    assert settings.metrics_server == "http://a"
    assert settings.minimum_interval == 1.0
    assert parse(["-metrics-server=http://b"], environment).metrics_server == "http://b"


def test_the_defaults_are_flaggers() -> None:
    assert parse([], {}) == Settings()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-mesh-provider=istio"], "-mesh-provider 'istio' is not supported"),
        (["-log-level=loud"], "-log-level must be debug, info, warn or error, not 'loud'"),
        (["-port=http"], "-port must be a number"),
        (["-minimum-interval=soon"], "-minimum-interval"),
        (["-mesh-services-mode=Odd"], "-mesh-services-mode must be one of Disabled"),
        (["-kuma-dialect=tags"], "-kuma-dialect must be one of trafficroute, service-tag, mesh"),
        (["-enable-leader-election=perhaps"], "-enable-leader-election must be true or false"),
        (["-lease-duration=1500ms"], "-lease-duration must be whole seconds"),
        (["-lease-duration=10s"], "the renew deadline must be shorter"),
        (["-colour=red"], "unrecognized arguments: -colour=red"),
        *([[f"-{name}=x"], f"-{name} is not supported by this release"] for name in REFUSED),
    ],
)
def test_what_cannot_be_obeyed_is_named(arguments: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words.split("'", maxsplit=1)[0]):
        parse(arguments, {})


def test_an_election_as_flagger_is_told_of_it() -> None:
    flags = ["-enable-leader-election", "-leader-election-namespace=flagger-system"]
    settings = parse(flags, {})
    assert settings.leader_election
    assert settings.leader_election_namespace == "flagger-system"
    assert (settings.lease_terms.duration, settings.lease_terms.renew_deadline) == (60, 15.0)
    assert not parse(["-enable-leader-election=false"], {"ENABLE_LEADER_ELECTION": "true"}
                     ).leader_election  # fmt: skip
