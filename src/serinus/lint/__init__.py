"""What manifests get wrong, told before a cluster sees them.

Begin at `check`. `documents` reads YAML and remembers where each field stands; `files` is the set
of objects that are looked at together; `kuma` says for which Kuma; `rules` holds the rules by
theme, and `offline` the operator's own routers, which say what they would say in a cluster.
Nothing here does I/O.
"""
