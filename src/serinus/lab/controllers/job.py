"""Jobs: pods that run to completion, tried again up to ``backoffLimit`` times."""

from dataclasses import dataclass
from datetime import UTC, datetime

from serinus.cluster.cache import Key
from serinus.cluster.kinds import PODS
from serinus.cluster.resource import Resource
from serinus.lab.controllers.ownership import controller_reference, notify_controller, owned
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.readiness import finished, ready
from serinus.lab.controllers.view import Object, View, parse_time, timestamp

JOBS = Resource("batch", "v1", "jobs", "Job")
FIRST_RETRY = 10.0
LONGEST_RETRY = 360.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a Job is over (``condition``: Complete or Failed, with reason and message), else
    how many pods to start."""

    condition: str = ""
    reason: str = ""
    message: str = ""
    start: int = 0


class JobController:
    """Starts pods, counts how they end, and says when the Job is over."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("job", self._reconcile)
        self._voice = view.voice("job-controller")
        self._jobs = view.cache(JOBS)
        self._jobs.subscribe(lambda change: self._queue.add(change.key))
        notify_controller(view.cache(PODS), JOBS.kind, self._jobs, self._queue.add)

    async def run(self) -> None:
        await self._queue.run()

    async def _reconcile(self, key: Key) -> float | None:
        job = self._jobs.get(*key)
        if job is None or self._view.leaving(job):
            return None
        if over(job):
            return await self._expire(job)
        # A Job's pods are its own by their labels' uid; there are no orphans to take in.
        pods = owned(self._view.cache(PODS), job)
        active = [pod for pod in pods if not finished(pod) and not self._view.leaving(pod)]
        succeeded = [pod for pod in pods if _phase(pod) == "Succeeded"]
        failed = [pod for pod in pods if _phase(pod) == "Failed"]
        now = datetime.now(UTC)
        result = verdict(job, active, len(succeeded), len(failed), now)
        wait = retry_in(failed, now)
        if result.condition or job["spec"].get("suspend"):
            for pod in active:
                await self._view.delete(PODS, pod)
            active = []
        elif result.start and wait <= 0:
            active += [await self._start(job) for _ in range(result.start)]
        await self._report(job, result, active, len(succeeded), len(failed))
        if result.condition:
            return None
        return wait if result.start and wait > 0 else _deadline_in(job, now)

    async def _start(self, job: Object) -> Object:
        template, metadata = job["spec"]["template"], job["metadata"]
        pod_metadata = template.get("metadata") or {}
        body = {
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "labels": pod_metadata.get("labels") or {},
                "annotations": pod_metadata.get("annotations") or {},
                "ownerReferences": [controller_reference(JOBS, job)],
            },
            "spec": template["spec"],
        }
        pod = await self._view.create(PODS, metadata["namespace"], body)
        message = f"Created pod: {pod['metadata']['name']}"
        self._voice.say(JOBS, job, "SuccessfulCreate", message)
        return pod

    async def _report(
        self, job: Object, result: Verdict, active: list[Object], succeeded: int, failed: int
    ) -> None:
        now = timestamp(datetime.now(UTC))
        old = job.get("status") or {}
        status: Object = {
            "startTime": old.get("startTime") or now,
            "ready": sum(map(ready, active)),
        }
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        status |= {name: count for name, count in counts.items() if count}
        if result.condition:
            condition = {
                "type": result.condition,
                "status": "True",
                "lastProbeTime": now,
                "lastTransitionTime": now,
                "reason": result.reason,
                "message": result.message,
            }
            status["conditions"] = [condition]
            if result.condition == "Complete":
                status["completionTime"] = now
                self._voice.say(JOBS, job, "Completed", "Job completed")
            else:
                self._voice.warn(JOBS, job, result.reason, result.message)
        await self._view.replace_status(JOBS, job, status)

    async def _expire(self, job: Object) -> float | None:
        """Delete a finished Job after its ``ttlSecondsAfterFinished``."""
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        ended = parse_time(job["status"]["conditions"][-1]["lastTransitionTime"])
        left = float(ttl) - (datetime.now(UTC) - ended).total_seconds()
        if left > 0:
            return left
        await self._view.delete(JOBS, job)
        return None


def over(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def verdict(
    job: Object, active: list[Object], succeeded: int, failed: int, now: datetime
) -> Verdict:
    """What is to become of a Job with these pods."""
    spec = job["spec"]
    completions = spec.get("completions")
    parallelism = spec.get("parallelism", 1)
    if failed > spec.get("backoffLimit", 6):
        message = "Job has reached the specified backoff limit"
        return Verdict("Failed", "BackoffLimitExceeded", message)
    left = _deadline_in(job, now)
    if left is not None and left <= 0:
        return Verdict(
            "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        )
    enough = succeeded >= completions if completions is not None else succeeded > 0 and not active
    if enough:
        message = "Reached expected number of succeeded pods"
        return Verdict("Complete", "CompletionsReached", message)
    if spec.get("suspend") or (completions is None and succeeded):
        return Verdict()
    wanted = parallelism if completions is None else min(parallelism, completions - succeeded)
    return Verdict(start=max(0, wanted - len(active)))


def retry_in(failed: list[Object], now: datetime) -> float:
    """Seconds until the next try after failures: 10 s, doubling, at most 6 minutes."""
    if not failed:
        return 0.0
    pause: float = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(len(failed) - 1, 10))
    return pause - (now - max(map(_ended, failed))).total_seconds()


def _ended(pod: Object) -> datetime:
    times = [
        terminated["finishedAt"]
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if (terminated := (status.get("state") or {}).get("terminated"))
        and terminated.get("finishedAt")
    ]
    return max(map(parse_time, times), default=parse_time(pod["metadata"]["creationTimestamp"]))


def _deadline_in(job: Object, now: datetime) -> float | None:
    seconds = job["spec"].get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if seconds is None or not started:
        return None
    return float(seconds) - (now - parse_time(started)).total_seconds()


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase"))
