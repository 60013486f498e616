"""A stand-in for podinfo: its HTTP API in a process small enough to run many of (about 16 MB).

It uses the standard library only, and starts without `site`, so that a pod of it costs little.
"""
