"""How many pods the target is to have when it wakes up."""

from serinus.workload.views import DeploymentView


def awake_replicas(
    target: DeploymentView, primary: DeploymentView | None, fewest: int | None, *, autoscaled: bool
) -> int:
    """The replicas to give to a target that may be at zero.

    One that has some keeps them. An autoscaler starts from its ``fewest`` (a
    HorizontalPodAutoscaler does not act at all on a Deployment at zero); without one the canary
    gets as many as the primary has, so that the two can be compared.
    """
    if target.spec.replicas > 0:
        return target.spec.replicas
    if fewest is not None:
        return max(1, fewest)
    if autoscaled or primary is None:
        return 1
    return max(1, primary.spec.replicas)
