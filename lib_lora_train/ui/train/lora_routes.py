"""Routes about the LoRA files that training can continue from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ..lora_files import lora_file, lora_info, lora_names_in
from ..services import Services


def register(router: APIRouter, services: Services) -> None:
    """Add ``/lora/files`` and ``/lora/info``."""

    def files() -> dict[str, Any]:
        return {"names": lora_names_in(services.host.lora_dir)}

    def info(name: str) -> dict[str, Any]:
        folder = services.host.lora_dir
        return lora_info(lora_file(folder, name), folder)

    router.add_api_route("/lora/files", files, methods=["GET"])
    router.add_api_route("/lora/info", info, methods=["GET"])
