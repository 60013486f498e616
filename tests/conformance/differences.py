"""Where the lab's API server knowingly answers otherwise than the real one, and why.

One reason per entry, with the places that it is the reason for: a case, and which of its answers,
as a pattern of the path in it (`comparison.differences`).
"""

from conformance.comparison import Difference

KNOWN: tuple[Difference, ...] = (
    Difference(
        "everyone who asks the lab has a token: there is no anonymous user",
        ("access/a_stranger 1.*",),
    ),
    Difference(
        "the lab knows impersonation by the verb `impersonate` alone, and says so",
        ("access/impersonation 1.*",),
    ),
    Difference(
        "words that quote Go's types, its decoder, its parser, or its form of a value; the lab"
        " has the same status and reason, and names the field",
        (
            "access/someone_with_a_role 4.*message",
            "custom/definitions_refused 1.*",
            "custom/definitions_refused 2.*",
            "custom/kind_and_version_of_another 2.*message",
            "custom/names 3.*message",
            "defaults/deployment_strategies 1.*",
            "defaults/services_refused 4.*message",
            "kubectl/applies_what_is_wrong 2.*",
            "objects/create_with_the_kind_of_another *message",
            "objects/create_with_what_is_no_json *message",
            "objects/pod_that_may_not_change 2.*message",
            "objects/wrong_types *message",
            "patches/patch_that_is_no_json *message",
            "refusals/containers 11.*message",
            "refusals/deployments ?.told.details.*",
            "refusals/deployments ?.told.message",
            "selecting/labels_wrongly *message",
            "selecting/pages_wrongly *message",
            "watching/with_a_bad_selector *message",
        ),
    ),
    Difference(
        "what cannot be decoded is refused by both, with another status: by the real server with"
        " 400, 422 or 500 and often the whole object in the message; by the lab with 400 and the"
        " field, or 422 and the patch",
        (
            "apply/invalid 1.*",
            "custom/patches 6.*message",
            "defaults/leases 2.*",
            "defaults/secrets 1.*",
            "patches/merge_with_the_version_of_before 3.*",
            "patches/patch_with_wrong_types *",
            "patches/strategic_without_its_key 1.*",
            "refusals/unknown_fields_strictly *message",
        ),
    ),
    Difference(
        "the real server tells one mistake twice, by two validators, or lists what is allowed in"
        " another order; the lab tells it once",
        (
            "access/roles_refused 1.*",
            "custom/schema_errors [236].*",
            "custom/schema_errors 2[234].*",
            "custom/status_is_apart 3.*message",
            "custom/without_what_is_required 2.*",
            "defaults/autoscalers_refused *",
            "deleting/owners_wrongly *",
            "deleting/with_a_finalizer 4.told.details.*",
            "refusals/containers 5.*",
            "refusals/pods *message",
            "watching/initial_events_wrongly 2.*",
        ),
    ),
    Difference(
        "the wording of a limit (bytes, characters) or of a field's path, each of which Kubernetes"
        " has in several forms",
        (
            "custom/names 2.*message",
            "refusals/keys_of_config_maps 3.*message",
            "refusals/names 6.*message",
            "refusals/names_of_namespaces *message",
            "refusals/too_large *",
        ),
    ),
    Difference(
        "the lab says which media types it takes",
        (
            "objects/create_with_a_type_unknown *message",
            "patches/patch_of_a_type_unknown 1.*",
            "selecting/of_a_kind_unknown 0.*",
        ),
    ),
    Difference(
        "a kind in the options of a deletion is not looked at: kubectl sends the right one",
        ("deleting/options_wrongly 4.*",),
    ),
    Difference(
        "checks that the lab makes and the real server leaves to others",
        ("objects/create_with_a_version 0.*", "refusals/containers 3.*"),
    ),
    Difference(
        "a uid in a write that is not the object's: refused by both, by the lab always as a"
        " Conflict",
        ("objects/replace_another_uid 1.*message", "patches/merge_with_another_uid 1.*"),
    ),
    Difference(
        "Go writes nulls and zeros where nothing has been set; clients take them for nothing",
        (
            "access/roles_refused 2.told.rules",
            "defaults/autoscaler* ?.told.status",
            "defaults/events 0.*",
            "patches/patch_of_a_status ?.told.status.conditions.*",
            "patches/patch_of_a_status ?.told.metadata.managedFields.*",
            "selecting/table_with_objects 2.told.0.object",
        ),
    ),
    Difference(
        "whose the fields are that the server fills in itself, and since when a manager has had"
        " what it shares: nobody applies those",
        (
            "apply/replicas_left_to_another 3.told.metadata.managedFields.*",
            "apply/shares_what_is_equal *managedFields*",
            "defaults/namespaces *managedFields*",
            "defaults/service*managedFields*",
            "deleting/of_a_namespace *managedFields*",
            "objects/pod_that_may_not_change 0.*managedFields*",
            "objects/scale_of_a_deployment 6.*managedFields*",
        ),
    ),
    Difference(
        "the answer to a review or a token request repeats the question; people read `status`",
        ("access/reviews *", "defaults/service_accounts 1.*"),
    ),
    Difference(
        "the lab has no descriptions of fields (facts only were taken from Kubernetes)",
        (
            "custom/columns *description",
            "kubectl/explains *",
            "selecting/table_with_objects *description",
        ),
    ),
    Difference(
        "in the lab a CRD is established at once, by the server that takes it",
        ("custom/definition_itself *",),
    ),
    Difference(
        "order of verbs in discovery, and what /version tells of emulation",
        ("access/discovery_is_for_all 1.*", "custom/discovery 0.*"),
    ),
    Difference(
        "warnings about deprecated kinds and risky settings are not given",
        ("defaults/deployment_of_much 0.warning", "selecting/tables 9.warning"),
    ),
    Difference(
        "of a field that is there twice the real server merges both maps, the lab takes the last"
        " (both say that it is there twice)",
        ("refusals/doubled_fields *",),
    ),
    Difference(
        "the generation that a client makes up for a new object is dropped for every kind",
        ("objects/create_drops_what_is_the_servers 0.*",),
    ),
    Difference(
        "the description of kube-root-ca.crt is the lab's own",
        ("watching/initial_events_wrongly 4.*",),
    ),
    Difference(
        "names with a hash of a template (ReplicaSets, pods): Go's own hash is another; it is"
        " masked, and so are the five letters of a generated name",
        (),
    ),
    Difference(
        "not compared: ControllerRevisions (the lab keeps none: `kubectl rollout undo` has no"
        " DaemonSets there), Jobs, autoscalers, which need metrics, and all times",
        (),
    ),
)
