"""Jobs: labels and a selector that no other Job's pods can match."""

from serinus.lab.apiserver.representation import Obj


def select_own_pods(job: Obj) -> None:
    """Writes the Job's name and uid into its template's labels, and its uid into its selector.

    ``manualSelector`` means that whoever made the Job has seen to both. What the template says
    already stays: validation refuses what is another Job's.
    """
    spec = job["spec"]
    if spec.get("manualSelector"):
        return
    metadata = job["metadata"]
    own = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    for name, value in own.items():
        for key in (f"batch.kubernetes.io/{name}", name):
            labels.setdefault(key, value)
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = spec.get("selector") or {}
    matched = selector.get("matchLabels") or {}
    matched["batch.kubernetes.io/controller-uid"] = metadata["uid"]
    spec["selector"] = {**selector, "matchLabels": matched}
