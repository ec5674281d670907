"""Rules of the optimizer and of what follows from it: rates, schedule, alpha."""

from __future__ import annotations

from ...config.groups.goal import CONCEPT, CREATURE, HUMANOID, OUTFIT, SMALL_FILE, STYLE
from ...config.groups.network import LOCON, LOKR
from ..families import SD1
from ..optimizer_guards import proposed_d_coef
from .rule import Case, Rule, Values

_START = "advice: Starting settings"
_PRODIGY = "advice: Prodigy"
_TEXT_ENCODER = {STYLE: 4e-5, CONCEPT: 4.5e-5, OUTFIT: 4.5e-5}
_HIGH_RANK = 64


def _times(rate: float, factor: float) -> float:
    return float(f"{rate * factor:.3g}")


def _text_encoder_rate(case: Case) -> float:
    """On SD 1.x, by what is trained; the same share of the usual rate on other families."""
    on_sd1 = _TEXT_ENCODER.get(case.goal.kind, 4.5e-5 if case.poor else 5e-5)
    return _times(case.facts.family.text_encoder_lr, on_sd1 / SD1.text_encoder_lr)


def _alpha(case: Case, share: float) -> Values:
    values = {"network.network_alpha": case.values["network.network_dim"] * share}
    conv = case.values.get("network.conv_dim")
    return values if conv is None else {**values, "network.conv_alpha": conv * share}


def _is_humanoid(case: Case) -> bool:
    return case.goal.kind == CREATURE and case.goal.made_into == HUMANOID


RATES = (
    Rule("alpha-adaptive", "an adaptive optimizer", lambda case: case.adaptive,
         "Adaptive optimizers did best with alpha 1.", "advice: DAdaptation; The “Easy settings”",
         lambda case: {"network.network_alpha": 1.0}),
    Rule("alpha-high-rank", "an adaptive optimizer and a rank above 64",
         lambda case: case.adaptive and case.values["network.network_dim"] > case.rank(_HIGH_RANK),
         "At high ranks alpha 1 slows learning a lot; half of the rank was fine too.", "advice: DAdaptation",
         lambda case: _alpha(case, 0.5)),
    Rule("alpha-half", "a LoCon or fixed rates", lambda case: not case.adaptive or
         case.values["network.network_type"] == LOCON,
         "Half of the rank slows learning gently; the rates are for that.", f"{_START}; the families' table",
         lambda case: _alpha(case, 0.5)),
    Rule("alpha-lokr", "LoKR and an adaptive optimizer",
         lambda case: case.adaptive and case.values["network.network_type"] == LOKR,
         "LoKR is dampened already, so alpha does not slow it further.", "advice: LyCORIS (LoHA/LoCon/Etc)",
         lambda case: _alpha(case, 0.5)),
    Rule("d-coef", "Prodigy", lambda case: case.adaptive,
         lambda case: f"{proposed_d_coef(case.job().network)[0]:g} suits {proposed_d_coef(case.job().network)[1]}; "
                      "more is for ranks of 8 or less and LoKR.", "advice: d_coef",
         lambda case: {"optimizer.d_coef": proposed_d_coef(case.job().network)[0]}),
    Rule("d-coef-humanoid", "a creature made humanoid, with Prodigy",
         lambda case: case.adaptive and _is_humanoid(case) and case.values["optimizer.d_coef"] == 2,
         "Half of the usual rate, so that the human shape is not trained away.", "advice: Intended results; d_coef",
         lambda case: {"optimizer.d_coef": 1.0}),
    Rule("gamma", "all but styles", lambda case: case.goal.kind != STYLE,
         "5 is recommended, and suits characters.", "advice: Min. SNR Gamma",
         lambda case: {"loss.min_snr_gamma": 5.0}),
    Rule("gamma-cram", "category C to E in a LoKR, with Prodigy",
         lambda case: case.adaptive and case.wants(SMALL_FILE) and case.is_lokr and case.checked_letter in tuple("CDE"),
         "Below 5 Prodigy learns harder, which helps to fit a rich character into a LoKR; 1 would be strong.",
         "advice: Prodigy, Min. SNR Gamma", lambda case: {"loss.min_snr_gamma": 3.0}),
    Rule("fixed-rates", "fixed rates", lambda case: not case.adaptive,
         lambda case: f"The usual rate for the UNet on {case.facts.family.name}.", f"{_START}; the families' table",
         lambda case: {"optimizer.learning_rate": _times(case.facts.family.unet_lr, 0.5 if _is_humanoid(case) else 1)}),
    Rule("fixed-text-encoder", "fixed rates and a trained text encoder",
         lambda case: not case.adaptive and not case.values["network.network_train_unet_only"],
         "Lower than the UNet's, so that things stay apart; a little lower still for styles, concepts and poor sets.",
         f"{_START}; the families' table",
         lambda case: {"optimizer.text_encoder_lr": _text_encoder_rate(case)}),
    Rule("fixed-schedule", "fixed rates", lambda case: not case.adaptive,
         "A fixed rate that stays constant overtrains. Cosine with restarts is the most effective schedule; three "
         "cycles are usual.", "advice: Scheduler; kohya-colab, Lora_Trainer_XL.ipynb",
         lambda case: {"scheduler.lr_scheduler": "cosine_with_restarts", "scheduler.lr_scheduler_num_cycles": 3}),
)
