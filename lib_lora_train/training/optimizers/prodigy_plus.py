"""ProdigyPlusScheduleFree as its package has it, with exact resuming and without output or hooks of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import prodigyplus


class ProdigyPlusScheduleFree(prodigyplus.ProdigyPlusScheduleFree):  # type: ignore[misc,unused-ignore]
    """The package's optimizer (Logan Booker; Prodigy, arXiv:2306.06101, with the averaging of arXiv:2405.15682).

    Same arguments, states and results. ``report`` gets its messages, which the package prints. Raises ``ValueError``
    for ``fused_back_pass``, with which it would never step.
    """

    def __init__(self, params: list[dict[str, Any]], report: Callable[[str], None], **arguments: Any) -> None:
        if arguments.get("fused_back_pass"):
            raise ValueError("fused_back_pass leaves every step out here")
        if len(params) == 1:
            arguments["split_groups"] = False  # as the package does, with a message
        self._report = report
        super().__init__(params, **arguments)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As PyTorch's, but states keep the type they were saved in; PyTorch makes bfloat16 ones float32."""
        super().load_state_dict(state_dict)
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                if hasattr(value, "dtype"):
                    self.state[parameter][name] = self.state[parameter][name].to(value.dtype)

    def log(self, message: str) -> None:
        """Report a message of the package."""
        self._report(f"ProdigyPlusScheduleFree: {message}")

    def try_hook_kohya_fbp(self) -> None:
        """Leave sd-scripts alone, if it can be imported."""

    def try_unhook_kohya_fbp(self) -> None:
        """Nothing was hooked."""
