"""Routes of the Train tab: what is in the dataset's folder, and what the settings add up to."""

from __future__ import annotations

from fastapi import APIRouter

from .services import Services


def register(router: APIRouter, services: Services) -> None:
    """Add ``/dataset/look``, ``/thumbnail`` and ``/job/check``."""
