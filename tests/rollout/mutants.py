"""Take one guard after the other out of the rollout, and see that the soak notices: `make mutants`.

Each mutant is a copy of the package with one passage replaced. It is killed when a generated life
breaks the very invariant that the guard is there for; docs/testing.md has the list.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import serinus
from rollout.generated import play

SOURCE = Path(serinus.__file__).parent
SEEDS = 20_000
"""Lives that a mutant is given to show itself."""


@dataclass(frozen=True)
class Mutant:
    """``old`` is replaced by ``new`` in one file of the rollout; ``breaks`` is in the words of the
    invariant that must notice."""

    name: str
    file: str
    old: str
    new: str
    breaks: str


MUTANTS = (
    Mutant(
        "the apex does not wait for the primary",
        "bootstrap.py",
        "    if not world.primary.readiness.ready:\n"
        "        yield from _wait_for_primary(canary, world, status)\n"
        "        return\n",
        "",
        "the apex was given to a primary without pods",
    ),
    Mutant(
        "the target goes before the apex is moved",
        "bootstrap.py",
        "    yield from must(ReconcileApex())\n",
        "",
        "the apex selects a target without pods",
    ),
    Mutant(
        "a rollback takes the pods first",
        "rollback.py",
        "    yield from must(SetTraffic(ALL_TO_PRIMARY))\n",
        "",
        "the target lost its pods while traffic goes to them",
    ),
    Mutant(
        "a rollback does not wait for callers",
        "rollback.py",
        "    yield from must(AwaitRoute())\n",
        "",
        "the target lost its pods before callers knew",
    ),
    Mutant(
        "a rollback is over before it has begun",
        "rollback.py",
        "    yield from must(SetTraffic(ALL_TO_PRIMARY))\n"
        "    yield from must(ReconcileApex())\n"
        "    yield from must(AwaitRoute())\n"
        '    yield Record("Warning", messages.rolled_back(canary))\n'
        "    yield from must(ScaleTargetToZero())\n",
        "",
        "a rollback ended with traffic on the canary",
    ),
    Mutant(
        "a promotion holds the split without pods",
        "promotion.py",
        "    if world.target.available == 0 or (unfit and primary_serves):\n",
        "    if unfit and primary_serves:\n",
        "traffic was given to a canary without pods",
    ),
    Mutant(
        "a promotion holds the split whatever the target is by now",
        "promotion.py",
        "    unfit = unjudged or bool(world.unprepared)\n",
        "    unfit = bool(world.unprepared)\n",
        "a revision that nobody has judged got traffic",
    ),
    Mutant(
        "plain Kubernetes is asked to share out",
        "strategy.py",
        "    if not splits:\n        return ALL_TO_PRIMARY\n",
        "",
        "traffic was shared out where that cannot be done",
    ),
    Mutant(
        "every canary is mirrored",
        "strategy.py",
        "canary.spec.analysis.mirror and tried",
        "tried",
        "requests were copied though nobody asked for it",
    ),
    Mutant(
        "every caller is held",
        "strategy.py",
        "        return None\n    return Affinity(",
        '        return Affinity("a=b")\n    return Affinity(',
        "callers were held though nobody asked for it",
    ),
    Mutant(
        "an A/B test shares out by weight",
        "strategy.py",
        "Traffic(weights_of(0), matched=weight > 0)",
        "Traffic(weights_of(weight), matched=weight > 0)",
        "an A/B test gave unmatched requests to the canary",
    ),
    Mutant(
        "blue/green begins with a share",
        "analyse.py",
        "yield from _iterate(canary, world, status, weight=0)",
        "yield from _iterate(canary, world, status, weight=20)",
        "a blue/green canary got a share of the traffic",
    ),
    Mutant(
        "blue/green begins with everything",
        "analyse.py",
        "yield from _iterate(canary, world, status, weight=0)",
        "yield from _iterate(canary, world, status, weight=100)",
        "a blue/green canary got traffic before its tests",
    ),
    Mutant(
        "maxWeight is not looked at",
        "analyse.py",
        "if status.canary_weight >= canary.spec.analysis.max_weight_or_default:",
        "if status.canary_weight >= 100:",
        "passes maxWeight by a step",
    ),
    Mutant(
        "shares do not add up",
        "strategy.py",
        "Weights(primary=100 - canary_weight, canary=canary_weight)",
        "Weights(primary=100, canary=canary_weight)",
        "weights must be shares of 100",
    ),
    Mutant(
        "a promotion comes at the first step",
        "analyse.py",
        "if status.canary_weight >= canary.spec.analysis.max_weight_or_default:",
        "if status.canary_weight > 0:",
        "was promoted without passing its analysis",
    ),
    Mutant(
        "rollout hooks are not asked",
        "checks.py",
        "(yield from _external(canary)) or (yield from _metrics(canary))",
        "(yield from _metrics(canary))",
        "a canary got more traffic without its hooks' consent",
    ),
    Mutant(
        "metrics are not asked",
        "checks.py",
        "(yield from _external(canary)) or (yield from _metrics(canary))",
        "(yield from _external(canary))",
        "a canary got more traffic without good metrics",
    ),
    Mutant(
        "pre-rollout hooks are not asked",
        "checks.py",
        "    return (yield from _pre_rollout(canary))\n",
        "    return None\n",
        "a canary was begun with against its pre-rollout hooks",
    ),
    Mutant(
        "the first gate does not hold",
        "rest.py",
        "        if not (yield from gates.passed(canary, world, waiting, gates.ROLLOUT)):\n"
        "            return\n",
        "        yield from gates.passed(canary, world, waiting, gates.ROLLOUT)\n",
        "a revision was let in through a closed gate",
    ),
    Mutant(
        "the gate of each step does not hold",
        "analyse.py",
        "    if not (yield from gates.passed(canary, world, status, gates.TRAFFIC)):\n"
        "        return\n",
        "    yield from gates.passed(canary, world, status, gates.TRAFFIC)\n",
        "traffic was increased through a closed gate",
    ),
    Mutant(
        "the last gate does not hold",
        "analyse.py",
        "    if is_forced(status) or (yield from _approved(canary, world, status)):\n"
        "        yield from start_promotion(canary, world, status)\n",
        "    yield from _approved(canary, world, status)\n"
        "    yield from start_promotion(canary, world, status)\n",
        "a revision was promoted through a closed gate",
    ),
    Mutant(
        "a pause does not hold the steps",
        "analyse.py",
        "    if statuses.is_paused(status):\n",
        "    if False:\n",
        "a paused canary got more traffic",
    ),
    Mutant(
        "a pause lets revisions in",
        "rest.py",
        "statuses.is_paused(status) or (status.phase is Phase.WAITING and not world.due)",
        "status.phase is Phase.WAITING and not world.due",
        "a paused canary began a rollout",
    ),
    Mutant(
        "a pause does not hold what is not analysed",
        "analyse.py",
        "canary.spec.skip_analysis and not statuses.is_paused(status)",
        "canary.spec.skip_analysis",
        "a paused canary was promoted",
    ),
    Mutant(
        "the traffic does not mind what the mesh lacks",
        "world.py",
        "return self.splits and not self.unprepared",
        "return self.splits",
        "traffic was given to a canary that the mesh cannot reach",
    ),
    Mutant(
        "a promotion does not mind what the mesh lacks",
        "promotion.py",
        "    if wanted.reaches_canary and world.unprepared:\n",
        "    if False:\n",
        "traffic was given to a canary that the mesh cannot reach",
    ),
    Mutant(
        "the steps do not wait for the mesh",
        "analyse.py",
        "        yield from _wait_for_mesh(canary, world, status)\n        return\n",
        "        yield from _wait_for_mesh(canary, world, status)\n",
        "a canary was led on that the mesh cannot reach",
    ),
    Mutant(
        "what fails while the mesh is waited for counts",
        "analyse.py",
        "    if world.due and not world.unprepared:\n",
        "    if world.due:\n",
        "a canary was blamed for what its mesh lacks",
    ),
    Mutant(
        "a failed revision counts as new",
        "revision.py",
        "        if applied == target.revision:\n",
        "        if applied == target.revision and status.phase != Phase.FAILED:\n",
        "a failed revision was tried again by itself",
    ),
    Mutant(
        "the primary's content counts as new",
        "revision.py",
        "    if in_primary:\n        return Change.REBASE\n",
        "",
        "a rollout was begun of what the primary runs already",
    ),
    Mutant(
        "cookies of every rollout are the same",
        "status.py",
        '{canary.metadata.uid} {target.revision} {now.isoformat()}"',
        '{canary.metadata.uid}"',
        "a new rollout holds the callers of an old one",
    ),
    Mutant(
        "a failed promotion is forgotten",
        "advance.py",
        "        case Phase.FAILED if statuses.is_standing_in(status):\n"
        "            yield from recover(canary, world, status)\n",
        "",
        "traffic was taken from a canary that serves alone",
    ),
    Mutant(
        "a target that is gone is only refused",
        "advance.py",
        "if world.target is None and not serving:",
        "if world.target is None:",
        "traffic was left with a target that is gone",
    ),
    Mutant(
        "a rollback keeps its weight",
        "status.py",
        "        status, canary_weight=0, iterations=0, last_transition_time=whole_second(now)\n",
        "        status, iterations=0, last_transition_time=whole_second(now)\n",
        "it still has weight",
    ),
    Mutant(
        "at rest, a failed canary serves",
        "rest.py",
        "    yield from must(SetTraffic(ALL_TO_PRIMARY))\n",
        "    from serinus.rollout.effects import Traffic, Weights\n\n"
        "    failed = status.phase is Phase.FAILED\n"
        "    yield from must(SetTraffic(Traffic(Weights(0, 100)) if failed else ALL_TO_PRIMARY))\n",
        "a failed canary got traffic",
    ),
    Mutant(
        "the target's pods are not waited for at the end",
        "termination.py",
        "        if not world.target.readiness.ready:\n",
        "        if False:\n",
        "the apex was given to a target without pods",
    ),
    Mutant(
        "the apex is not given back",
        "termination.py",
        "        yield from must(GiveBack())\n",
        "",
        "a canary went without giving back what it took",
    ),
    Mutant(
        "the mesh is not waited for at the end",
        "termination.py",
        "        yield from must(AwaitRoute())\n",
        "",
        "callers lost the route before the mesh knew the apex",
    ),
    Mutant(
        "callers are not waited for at the end",
        "termination.py",
        "    yield from must(RemoveRoute())\n    yield from must(AwaitRoute())\n",
        "    yield from must(RemoveRoute())\n",
        "a canary went before callers knew",
    ),
    Mutant(
        "the finalizer stays",
        "termination.py",
        '    yield Record("Normal", messages.given_back(canary))\n'
        "    yield from must(ReleaseDeletion())\n",
        '    yield Record("Normal", messages.given_back(canary))\n',
        "its deletion never came to an end",
    ),
    Mutant(
        "new revisions are not let in",
        "rest.py",
        "            yield from _let_in(canary, world, status)\n            return\n",
        "            return\n",
        "a revision was lost",
    ),
    Mutant(
        "what was promoted once counts as promoted for ever",
        "revision.py",
        "            return Change.REBASE\n    if in_primary:\n",
        "            return Change.REBASE\n"
        "        if target.revision == status.last_promoted_spec:\n"
        "            return Change.REBASE\n"
        "    if in_primary:\n",
        "it failed without having been tried",
    ),
    Mutant(
        "a promotion leaves the pods",
        "promotion.py",
        "    yield from must(ScaleTargetToZero())\n    returned = ",
        "    returned = ",
        "the target kept its pods",
    ),
    Mutant(
        "a rollback that was cut off is not finished",
        "analyse.py",
        "    if statuses.is_rolling_back(status):\n"
        "        yield from finish_rollback(canary, world, status)\n"
        "        return\n",
        "    if statuses.is_rolling_back(status):\n        return\n",
        "it is still under way",
    ),
    Mutant(
        "retry is not heard",
        "verbs.py",
        "VERBS = (PAUSE, RESUME, PROMOTE, ABORT, RETRY)",
        "VERBS = (PAUSE, RESUME, PROMOTE, ABORT)",
        "was never answered",
    ),
    Mutant(
        "a wait for the primary is not taken back",
        "rest.py",
        "    if stalled_for(status, Stalled.PRIMARY_NOT_READY):\n        # No",
        "    if False:\n        # No",
        "it says that it is stalled",
    ),
)


def survives(mutant: Mutant, seeds: int) -> str | None:
    """None when the mutant is killed by its invariant; else what was seen instead."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "serinus")
        for floor in ("api", "analysis", "rollout"):
            shutil.copytree(SOURCE / floor, package / floor)
        shutil.copy(SOURCE / "__init__.py", package)
        path = package / "rollout" / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            return f"its passage is {text.count(mutant.old)} times in {mutant.file}"
        path.write_text(text.replace(mutant.old, mutant.new))
        tests = str(Path(__file__).parents[1])
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "rollout.mutants",
                "--seeds",
                str(seeds),
                "--hunt",
                mutant.breaks,
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((folder, tests))},
            capture_output=True,
            text=True,
            check=False,
        )
    return None if run.returncode == 0 else (run.stdout or run.stderr).strip()


def hunt(words: str, seeds: int) -> str | None:
    """Play until an error with these words; None when it comes, else what came instead."""
    seen: dict[str, int] = {}
    for seed in range(seeds):
        try:
            play(seed)
        except Exception as error:  # noqa: BLE001 (whatever a mutant breaks is what is looked for)
            if words in str(error):
                return None
            told = f"{type(error).__name__}: {error}"
            seen[told] = seen.get(told, 0) + 1
    return "; ".join(f"{count} x {told}" for told, count in seen.items()) or "nothing was broken"


def main() -> int:
    """Run them all, print; 1 when any survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--hunt", help="words of an invariant, to be broken by this very package")
    parser.add_argument("only", nargs="*", help="words of the mutants' names")
    given = parser.parse_args()
    write = sys.stdout.write
    if given.hunt:
        other = hunt(given.hunt, given.seeds)
        write(other or "")
        return 0 if other is None else 1
    return run_all(_chosen(given.only), given.seeds)


def _chosen(words: Sequence[str]) -> list[Mutant]:
    return [mutant for mutant in MUTANTS if all(word in mutant.name for word in words)]


def run_all(mutants: Sequence[Mutant], seeds: int) -> int:
    """Print what became of each; 1 when any survives."""
    write = sys.stdout.write
    began = time.monotonic()
    survivors = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(survives, mutants, [seeds] * len(mutants))
        for mutant, other in zip(mutants, outcomes, strict=True):
            survivors += other is not None
            fate = "killed" if other is None else "SURVIVED"
            write(f"{fate:9} {mutant.name} ({mutant.file}): {mutant.breaks}\n")
            if other is not None:
                write(f"          saw instead: {other}\n")
            sys.stdout.flush()
    killed = len(mutants) - survivors
    seconds = time.monotonic() - began
    write(f"mutants: {len(mutants)}, killed: {killed}, survived: {survivors}, {seconds:.0f} s\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
