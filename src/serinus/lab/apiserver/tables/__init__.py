"""Printer columns: what ``kubectl get`` shows of each kind. Pure functions."""

from serinus.lab.apiserver.tables.table import table

__all__ = ["table"]
