"""The lab's controllers: what a real cluster's control plane does behind the API server."""

from serinus.lab.controllers.manager import run_beside_real_ones, run_controllers

__all__ = ["run_beside_real_ones", "run_controllers"]
