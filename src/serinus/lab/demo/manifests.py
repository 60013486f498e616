"""Where the manifests of the guide are: in the repository, or in the installed package.

The wheel carries ``deploy/`` and ``examples/`` below ``serinus/manifests/`` (pyproject.toml). A
checkout comes first, so that what one edits there is what the demo applies.
"""

from pathlib import Path

import serinus

PACKAGE = Path(serinus.__file__).parent


def root() -> Path:
    """The directory that holds ``deploy`` and ``examples``; raises FileNotFoundError."""
    places = (PACKAGE.parent.parent, PACKAGE / "manifests")
    for place in places:
        if (place / "deploy" / "kustomize").is_dir():
            return place
    raise FileNotFoundError(
        f"the manifests are in none of {', '.join(str(place) for place in places)}; "
        "run from a checkout of the repository, or install the package anew"
    )


def kustomization(name: str) -> Path:
    """One of ``kuma``, ``tester``, ``podinfo``: what `kubectl apply -k` is given."""
    return root() / "deploy" / "kustomize" / name


def guide_canary() -> Path:
    """The guide's ``podinfo-canary.yaml``, as it stands in the guide."""
    return root() / "examples" / "guide" / "podinfo-canary.yaml"
