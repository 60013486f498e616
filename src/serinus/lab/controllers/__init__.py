"""The lab's controllers: what a real cluster's control plane does behind the API server."""

from serinus.lab.controllers.manager import run_controllers

__all__ = ["run_controllers"]
