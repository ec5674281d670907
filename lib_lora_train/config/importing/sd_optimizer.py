"""Imports optimizer, learning rates and schedule of sd-scripts. Arguments that its libraries default to are written
out, since this program defaults to the guide's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..groups.optimizer import OptimizerSettings
from ..groups.scheduler import LR_SCHEDULERS, SchedulerSettings
from ..optimizer_args import arguments_of
from ..optimizer_facts import OPTIMIZERS
from .taking import Option, Options, Taking

NAMES = ("optimizer_type", "use_8bit_adam", "use_lion_optimizer", "optimizer_args", "lr_scheduler",
         "lr_scheduler_type", "text_encoder_lr", "learning_rate_te", "learning_rate_te1", "learning_rate_te2")
_NAMES = {name.lower(): name for name in OPTIMIZERS}
_OTHERS = {
    "dadaptation": "DAdaptAdam", "dadaptadampreprint": "DAdaptAdam", "dadaptadan": "DAdaptAdam",
    "dadaptadanip": "DAdaptAdam", "dadaptadagrad": "DAdaptAdam", "dadaptsgd": "DAdaptAdam",
    "pagedadamw": "PagedAdamW8bit", "pagedadamw32bit": "PagedAdamW8bit", "pagedlion8bit": "Lion8bit",
    "radamschedulefree": "AdamWScheduleFree", "sgdschedulefree": "AdamWScheduleFree", "adam": "AdamW",
    "came": "AdaFactor", "sgd": "SGDNesterov", "sgd8bit": "SGDNesterov8bit",
    "lionadv": "Lion", "stableadamw": "AdamW", "adam8bit": "AdamW8bit"}
_SAME_METHOD = frozenset(("dadaptation", "adam"))
_LIBRARY: dict[str, dict[str, Any]] = {
    "Lion": {"weight_decay": 0.0}, "DAdaptAdam": {"decouple": False, "weight_decay": 0.0},
    "DAdaptLion": {"weight_decay": 0.0, "betas": (0.9, 0.99)}, "AdamWScheduleFree": {"weight_decay": 0.0},
    "Lion8bit": {"weight_decay": 0.0},
    "Prodigy": {"weight_decay": 0.0, "use_bias_correction": False, "safeguard_warmup": False, "d_coef": 1.0},
    "ProdigyPlusScheduleFree": {"split_groups": True},
    "AdaFactor": {"relative_step": True, "scale_parameter": True, "warmup_init": False}}
"""Library defaults of arguments, where they differ from ours."""
_SCHEDULERS = {"piecewise_constant": "constant", "adafactor": "constant", "rex": "cosine",
               "cosineannealinglr": "cosine", "cosineannealingwarmrestarts": "cosine_with_restarts",
               "cosineannealingwarmuprestarts": "cosine_with_restarts", "rawr": "cosine_with_restarts",
               "cosine_with_hard_restarts": "cosine_with_restarts", "steplr": "linear", "exponentiallr": "cosine",
               "onecyclelr": "cosine", "linearlr": "linear", "constantlr": "constant", "polynomiallr": "polynomial"}
_DEFAULT_RATE = 2e-6


def take(options: Options, taking: Taking) -> frozenset[str]:
    """Import the optimizer and schedule options; returns their names."""
    name = _take_type(options, taking)
    steps = options.get("lr_warmup_steps")
    take_arguments(name, options.get("optimizer_args"), taking, warmup=steps is not None and not steps.is_off)
    _take_rates(options, taking)
    take_scheduler(options, taking)
    return frozenset(NAMES)


def optimizer_named(text: str) -> tuple[str, str]:
    """Our optimizer for another tool's name ``text``, and the reason if it is a different one."""
    wanted = text.rsplit(".", 1)[-1].strip().lower().replace("_", "")
    if wanted in _NAMES:
        return _NAMES[wanted], ""
    nearest = _OTHERS.get(wanted, "AdamW8bit" if wanted.endswith("8bit") else "AdamW")
    if wanted in _SAME_METHOD:
        return nearest, f"It is called {nearest} here."
    return nearest, f"{text.rsplit('.', 1)[-1]} is not available here; {nearest} is the nearest."


def _take_type(options: Options, taking: Taking) -> str:
    option = options.get("optimizer_type")
    old = {"use_8bit_adam": "AdamW8bit", "use_lion_optimizer": "Lion"}
    used = [name for name in old if name in options and not options[name].is_off]
    if option is not None and not option.is_off:
        name, why = optimizer_named(str(option.value))
        taking.take(option, {"optimizer.optimizer_type": name}, why)
        for switch in used:
            taking.not_needed(options[switch], "The optimizer is named by optimizer_type.")
    elif used:
        name = old[used[0]]
        taking.take(options[used[0]], {"optimizer.optimizer_type": name})
    else:
        name = "AdamW"
        if option is not None:
            taking.take(option, {"optimizer.optimizer_type": name}, "Empty, sd-scripts uses AdamW.")
        else:
            taking.take_default("optimizer_type", "optimizer.optimizer_type", name,
                                "By default, sd-scripts uses AdamW.")
    for switch in old:
        if switch in options and switch not in used:
            taking.not_needed(options[switch], "It is off.")
    return name


def take_arguments(name: str, option: Option | None, taking: Taking, *, warmup: bool = False) -> None:
    """Import the optimizer's arguments, and add library defaults that differ from ours."""
    given: dict[str, str] = {}
    if option is not None and not option.is_off:
        value = option.value
        if isinstance(value, Mapping):
            value = [f"{key}={_argument(item)}" for key, item in value.items()]
        items = value if isinstance(value, (list, tuple)) else str(value).split()
        for item in items:
            key, equals, text = str(item).strip().strip("\"'").partition("=")
            if key.strip() == "fused_back_pass":
                taking.drop(Option(f"{option.shown} {key}", item, option.given),
                            "The optimizer needs all gradients here, so there is no fused backward pass with it.")
            elif equals and key.strip().isidentifier() and key.strip() != "lr":
                given[key.strip()] = text.strip().strip("\"'")
            else:
                taking.drop(Option(f"{option.shown} {key}", item, option.given),
                            "The rate is learning_rate." if key == "lr" else "Arguments are written as name=value.")
    _take_arguments(name, option, given, warmup, taking)


def _take_arguments(name: str, option: Option | None, given: Mapping[str, str], warmup: bool, taking: Taking) -> None:
    """Skip arguments that match our defaults; add library defaults that do not."""
    kept = dict(given)
    for key in given:
        without = {other: text for other, text in kept.items() if other != key}
        if key in _effective(name, without, warmup) and _effective(name, without, warmup) == _effective(name, kept,
                                                                                                   warmup):
            kept = without
    library = {key: value for key, value in _LIBRARY.get(name, {}).items()
               if key not in given and _effective(name, kept, warmup).get(key) != value}
    added = {key: _argument(value) for key, value in library.items()}
    written = {**kept, **added}
    values: dict[str, Any] = {}
    usual = OPTIMIZERS[name].usual_d_coef
    if usual is not None:
        values["optimizer.d_coef"] = written.pop("d_coef", given.get("d_coef", usual))
    values["optimizer.optimizer_args"] = [f"{key}={text}" for key, text in written.items()]
    words = ", ".join(f"{key}={text}" for key, text in added.items())
    why = f"Default of the optimizer's library: {words}." if added else ""
    if option is not None:
        taking.take(option, values, note=why or ("Those left out are the defaults here." if len(kept) < len(
            given) else ""))
    elif why:
        taking.take(Option("optimizer_args", "", given=False), values, note=why)


def _effective(name: str, arguments: Mapping[str, str], warmup: bool) -> dict[str, Any]:
    """The arguments with which the optimizer would be created here."""
    written = [f"{key}={text}" for key, text in arguments.items()]
    return arguments_of(OptimizerSettings(optimizer_type=name, optimizer_args=written),
                        SchedulerSettings(lr_warmup_steps=1.0 if warmup else 0.0))


def _argument(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _take_rates(options: Options, taking: Taking) -> None:
    if "learning_rate" not in options:
        taking.take_default("learning_rate", "optimizer.learning_rate", _DEFAULT_RATE,
                            "By default, sd-scripts uses 2e-06.")
    option = options.get("text_encoder_lr")
    if option is not None:
        value = option.value
        rates = value if isinstance(value, (list, tuple)) else str(value if value is not None else "").split()
        rates = [rate for rate in rates if str(rate) not in ("", "None")]
        second = rates[1] if len(rates) > 1 and str(rates[1]) != str(rates[0]) else None
        values = {"optimizer.text_encoder_lr": rates[0] if rates else None}
        taking.take(option, values if second is None else {**values, "optimizer.text_encoder_lr2": second})
    for name in ("learning_rate_te", "learning_rate_te1", "learning_rate_te2"):
        if name in options:
            taking.not_needed(options[name], "It is for fine-tuning; the LoRA's rate is text_encoder_lr.")


def take_scheduler(options: Options, taking: Taking) -> None:
    """Import ``lr_scheduler``; ``lr_scheduler_type``, a custom class, overrides it."""
    plain, custom = options.get("lr_scheduler"), options.get("lr_scheduler_type")
    if custom is not None and not custom.is_off:
        name = str(custom.value).rsplit(".", 1)[-1]
        nearest = _SCHEDULERS.get(name.lower(), "cosine")
        taking.take(custom, {"scheduler.lr_scheduler": nearest},
                    f"The schedule {name} is not available here; {nearest} is the nearest.")
        if plain is not None:
            taking.not_needed(plain, "lr_scheduler_type overrides it.")
        return
    if custom is not None:
        taking.not_needed(custom, "It is empty.")
    if plain is None or plain.is_off:
        taking.take_default("lr_scheduler", "scheduler.lr_scheduler", "constant",
                            "By default, sd-scripts uses constant.")
        return
    wanted = str(plain.value).strip().lower().replace(" ", "_").partition(":")[0]
    if wanted in LR_SCHEDULERS:
        taking.take(plain, {"scheduler.lr_scheduler": wanted})
    else:
        nearest = _SCHEDULERS.get(wanted.replace("_", ""), _SCHEDULERS.get(wanted, "cosine"))
        taking.take(plain, {"scheduler.lr_scheduler": nearest},
                    "AdaFactor sets its own schedule." if wanted == "adafactor" else
                    f"The schedule {plain.value} is not available here; {nearest} is the nearest.")
