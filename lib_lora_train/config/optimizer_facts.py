"""Facts about each optimizer: the arguments the guide requires, its abilities, and its full-precision twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OptimizerFacts:
    """``adaptive``: finds the learning rate by itself; the given rate is a factor on it.

    ``one_rate``: cannot train UNet and text encoder at different rates. ``twin``: the same method without 8-bit
    states. ``arguments``: the guide's required arguments (section Optimizers), or the library's where it names none.
    ``state_bytes``: bytes of state on the GPU per trained value. ``per_parameter``: the step of a parameter does not
    depend on the others, so each can be stepped alone. ``own_schedule``: with ``relative_step`` it has its own
    schedule and ignores the given rate. ``rate_of_adamw``: its usual rate as a share of AdamW's; a third for Lion, as
    its paper advises (3 to 10 times smaller, arXiv:2302.06675). ``usual_d_coef``: the ``d_coef`` that suits most
    networks, if it multiplies the rate it finds by one. ``least_d_coef``: with less it learns too little, or never
    raises its rate (docs/science.md). ``averages``: its saved weights are an average of the trained
    ones, which takes the place of a schedule. ``clips``: it limits each step by itself, and gradients should not be
    clipped before. ``package``: the optional package group it needs, beside bitsandbytes.
    """

    note: str
    memory: str
    arguments: dict[str, Any] = field(default_factory=dict)
    adaptive: bool = False
    one_rate: bool = False
    twin: str | None = None
    state_bytes: float = 8
    per_parameter: bool = True
    own_schedule: bool = False
    rate_of_adamw: float = 1.0
    usual_d_coef: float | None = None
    least_d_coef: float = 0.5
    averages: bool = False
    clips: bool = False
    package: str | None = None

    @property
    def usual_rate(self) -> float:
        """The learning rate to start with: 1 where it is a factor, else its share of AdamW's 1e-4."""
        return 1.0 if self.adaptive else 1e-4 * self.rate_of_adamw

    @property
    def eight_bit(self) -> bool:
        """Whether its states are stored in 8 bit, by bitsandbytes."""
        return self.twin is not None

    @property
    def package_group(self) -> str | None:
        """The optional package group it needs, which is installed when it is first chosen."""
        return "bitsandbytes" if self.eight_bit else self.package


_ADAM = {"betas": (0.9, 0.999), "weight_decay": 0.01}
_DADAPT = {"decouple": True, "weight_decay": 0.01, "betas": (0.9, 0.999)}

OPTIMIZERS: dict[str, OptimizerFacts] = {
    "AdamW": OptimizerFacts("precise and well tested, with the rates you set", "medium", _ADAM),
    "AdamW8bit": OptimizerFacts("the most tested; AdamW in less memory", "low", _ADAM, twin="AdamW",
                                state_bytes=2),
    "PagedAdamW8bit": OptimizerFacts("AdamW8bit that moves to main memory when the GPU's is short", "low", _ADAM,
                                     twin="AdamW", state_bytes=0),
    "Lion": OptimizerFacts("learns fast, may shift colors; use a third of AdamW's rate", "medium",
                           {"betas": (0.9, 0.99), "weight_decay": 0.01}, state_bytes=4, rate_of_adamw=0.3),
    "Lion8bit": OptimizerFacts("Lion in less memory", "low", {"betas": (0.9, 0.99), "weight_decay": 0.01},
                               twin="Lion", state_bytes=1, rate_of_adamw=0.3),
    "SGDNesterov": OptimizerFacts("very slow: 2000 steps are far from enough", "medium", {"momentum": 0.9},
                                  state_bytes=4),
    "SGDNesterov8bit": OptimizerFacts("as slow as SGDNesterov, in less memory", "low", {"momentum": 0.9},
                                      twin="SGDNesterov", state_bytes=1),
    "AdaFactor": OptimizerFacts("adaptive in very little memory; it has its own schedule, and learns gently",
                                "very low", {"relative_step": True, "scale_parameter": True, "warmup_init": True},
                                adaptive=True, state_bytes=0.1, own_schedule=True),
    "DAdaptAdam": OptimizerFacts("finds the learning rate by itself: leave the rates at 1, the schedule constant",
                                 "high", _DADAPT, adaptive=True, one_rate=True, per_parameter=False, state_bytes=12),
    "DAdaptLion": OptimizerFacts("Lion that finds the learning rate by itself: leave the rates at 1", "high",
                                 {"weight_decay": 0.01, "betas": (0.9, 0.999)}, adaptive=True, one_rate=True,
                                 per_parameter=False, state_bytes=8),
    "Prodigy": OptimizerFacts("an improved DAdaptAdam: leave the rates at 1", "high",
                              {"decouple": True, "weight_decay": 0.01, "d_coef": 2.0, "use_bias_correction": True,
                               "safeguard_warmup": False, "betas": (0.9, 0.999)}, adaptive=True, one_rate=True,
                              per_parameter=False, state_bytes=16, usual_d_coef=2.0),
    "AdamWScheduleFree": OptimizerFacts("AdamW that needs no schedule; use constant", "medium",
                                        {"betas": (0.9, 0.999), "weight_decay": 0.01}, per_parameter=False,
                                        averages=True),
    "ProdigyPlusScheduleFree": OptimizerFacts(
        "finds the learning rate by itself and needs no schedule: leave the rates at 1, the schedule constant",
        "medium", {"betas": (0.9, 0.99), "weight_decay": 0.0, "d_coef": 1.0, "split_groups": False}, adaptive=True,
        per_parameter=False, state_bytes=4.6, usual_d_coef=1.0,
        least_d_coef=1.0, averages=True, clips=True, package="prodigy-plus"),
}
