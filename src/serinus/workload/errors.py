"""What keeps a workload from being worked on."""


class WorkloadError(Exception):
    """What was asked cannot be done to this workload. The text is for a person."""
