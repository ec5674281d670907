"""Rules of the subject: what is trained decides network, rank and length.

Ranks in the sources are those of SD 1.x; each is converted for the family.
"""

from __future__ import annotations

from ...config.groups.goal import (
    CHARACTER,
    CLOTHES,
    CONCEPT,
    CREATURE,
    DRAWING,
    FLEXIBILITY,
    HUMANOID,
    ITSELF,
    LIKENESS,
    OUTFIT,
    SMALL_FILE,
    STYLE,
    TAGS,
    VEHICLE,
)
from ...config.groups.network import LIERLA, LOCON, LOKR
from .rule import IMAGES_SEEN, Case, Rule, Values, defaults_of

_DIFFICULTY = "advice: Character difficulty"
_RANK = "advice: Net dim (network dimensions)/Rank"
_STEPS = "advice: Number of steps/epochs"
_START = "advice: Starting settings"
_EASY = "advice: The “Easy settings”"
_LYCORIS = "advice: LyCORIS (LoHA/LoCon/Etc)"

_OF_A_PLAN = ("loss.min_snr_gamma", "loss.debiased_estimation_loss", "loss.loss_type", "loss.huber_schedule",
              "loss.huber_c", "loss.huber_scale", "loss.noise_offset", "loss.adaptive_noise_scale",
              "loss.multires_noise_iterations", "loss.multires_noise_discount", "loss.ip_noise_gamma",
              "loss.min_timestep", "loss.max_timestep", "dataset.min_bucket_reso", "dataset.max_bucket_reso",
              "dataset.train_batch_size", "dataset.caption_dropout_rate", "dataset.caption_dropout_every_n_epochs",
              "dataset.caption_tag_dropout_rate", "dataset.token_warmup_min", "dataset.token_warmup_step",
              "dataset.validation_split", "dataset.validation_seed", "training.gradient_accumulation_steps",
              "training.cache_text_encoder_outputs", "training.fused_backward_pass", "training.max_train_steps",
              "training.phases", "save.save_every_n_steps")


def _clean(case: Case) -> Values:
    every = defaults_of("network", "optimizer", "scheduler", "loss", "dataset", "training", "save")
    return {key: value for key, value in every.items()
            if key.startswith(("network.", "optimizer.", "scheduler.")) or key in _OF_A_PLAN}


BASE = (
    Rule("clean", "always", lambda case: True,
         "Back to its default, so that only what this plan sets acts.",
         "this project: a plan starts from the defaults", _clean),
    Rule("unknown-family", "a base that cannot be read", lambda case: not case.facts.family_known,
         "The base cannot be read, so this is a plan for SD 1.x. If it is another model, choose it as a .safetensors "
         "file and make the plan again.", "this project: docs/goals.md", todo=True),
    Rule("adaptive", "always", lambda case: True,
         "Prodigy finds the learning rate by itself, which takes out the guessing and makes a LoRA hard to burn.",
         "advice: Optimizers, Prodigy",
         lambda case: {"optimizer.optimizer_type": "Prodigy", "optimizer.learning_rate": 1.0,
                       "scheduler.lr_scheduler": "constant"}),
    Rule("resolution", "always", lambda case: True,
         lambda case: f"{case.facts.family.resolution} is the size that {case.facts.family.name} models were trained "
                      "at.", "advice: Resolution; the family's table",
         lambda case: {"dataset.resolution": str(case.facts.family.resolution)}),
    Rule("tokens", "always", lambda case: True,
         "Long captions are read to their end.", _EASY, lambda case: {"base.max_token_length": 225}),
    Rule("repeats", "one concept", lambda case: len(case.facts.concepts) < 2,
         "Epochs do the same as repeats, and each can be saved and compared.", _START,
         lambda case: {"dataset.dataset_repeats": 1}),
    Rule("usual-length", "always", lambda case: True,
         "About 1000 images seen is what it usually takes for training to stick.", _STEPS,
         lambda case: {IMAGES_SEEN: 1000}),
)

_WITH_BODY = (CHARACTER, CREATURE)


def _is_category(case: Case) -> bool:
    return bool(case.letter) and case.goal.kind != VEHICLE


CHARACTERS = (
    Rule("plain-lora", "a character, creature or vehicle",
         lambda case: case.goal.kind in (*_WITH_BODY, VEHICLE),
         "The plain LoRA is best for characters, works everywhere and mixes well.", f"{_DIFFICULTY}; {_LYCORIS}",
         lambda case: {"network.network_type": LIERLA}),
    Rule("rank-unknown", "a character of unknown difficulty",
         lambda case: case.goal.kind == CHARACTER and not case.letter,
         lambda case: f"{case.rank(32)} is enough for most characters; choose how hard yours is for a closer value.",
         _EASY, lambda case: {"network.network_dim": case.rank(32)}),
    Rule("rank-category", "a category from A to I", _is_category,
         lambda case: f"Category {case.letter} needs {_ranks(case)}; {case.category.suggested_rank} is a good start.",
         _DIFFICULTY,
         lambda case: {"network.network_dim": case.category.suggested_rank}),
    Rule("rank-sdxl", "category B on SDXL and its bases", lambda case: _is_category(case) and case.letter == "B"
         and case.facts.family.wider,
         lambda case: f"{case.category.highest_rank} is the usual rank for a character on SDXL, Pony and Illustrious.",
         "advice: kohya-colab, Lora_Trainer_XL.ipynb",
         lambda case: {"network.network_dim": case.category.highest_rank}),
    Rule("rank-male", "a male character up to category D",
         lambda case: case.goal.kind == CHARACTER and case.goal.male and case.letter in tuple("ABCD"),
         lambda case: f"Models know men less well, so a male character is category {case.letter}.5: the upper end of "
                      "its ranks.", "advice: Female bias",
         lambda case: {"network.network_dim": case.category.highest_rank}),
    Rule("rank-cartoon-animal", "a creature of unknown difficulty, kept as it is",
         lambda case: case.goal.kind == CREATURE and not case.goal.category and case.goal.made_into == ITSELF,
         lambda case: f"{case.category.lowest_rank} is enough for cartoon animals and the like.", _RANK,
         lambda case: {"network.network_dim": case.category.lowest_rank}),
    Rule("length-category", "category E or harder", lambda case: case.letter in tuple("EFGHI"),
         "A shape that the model hardly knows is learned almost from scratch: at least 1500 images seen.", _STEPS,
         lambda case: {IMAGES_SEEN: 1500}),
    Rule("creature-accurate", "a creature kept as it is",
         lambda case: case.goal.kind == CREATURE and case.goal.made_into == ITSELF,
         "A quarter longer, so that body plan and details are learned and not turned human. No number is published.",
         "advice: Intended results", lambda case: case.longer(1.25), extends=True),
    Rule("creature-humanoid-length", "a creature made humanoid",
         lambda case: case.goal.kind == CREATURE and case.goal.made_into == HUMANOID,
         "Fewer epochs, so that a human shape remains: 800 images seen is the least that sticks.",
         f"advice: Intended results; {_STEPS}", lambda case: {IMAGES_SEEN: 800}),
    Rule("creature-humanoid-blocks", "a creature made humanoid",
         lambda case: case.goal.kind == CREATURE and case.goal.made_into == HUMANOID,
         "The OUT blocks hold details and colors, IN and M00 the body plan: with a fifth of the rate there, a human "
         "body gets the creature's looks.", "advice: Intended results; LoRA blocks",
         lambda case: {"network.block_lr_weight": "style: OUT"}),
    Rule("humanoid-trial", "a creature made humanoid",
         lambda case: case.goal.kind == CREATURE and case.goal.made_into == HUMANOID,
         "Try block weights on a LoRA of all blocks first (Test, Blocks), and train with those that look best.",
         "advice: Testing weights before training", todo=True),
)


def _ranks(case: Case) -> str:
    low, high = case.category.lowest_rank, case.category.highest_rank
    return f"rank {low}" if low == high else f"ranks from {low} to {high}"


def _vehicle(case: Case, made_into: str) -> bool:
    return case.goal.kind == VEHICLE and case.goal.made_into == made_into


VEHICLES = (
    Rule("rank-vehicle", "a vehicle, true to life", lambda case: case.goal.kind == VEHICLE
         and case.goal.made_into != DRAWING,
         lambda case: f"Vehicles are between C and G; yours counts as {case.letter}, rounded up to be true to life.",
         "advice: Vehicles", lambda case: {"network.network_dim": case.category.highest_rank}),
    Rule("rank-realistic-vehicle", "a vehicle whose likeness matters",
         lambda case: case.goal.kind == VEHICLE and case.goal.made_into != DRAWING and case.wants(LIKENESS),
         "Full realism is worth the space.", "advice: Vehicles",
         lambda case: {"network.network_dim": case.rank(128)}),
    Rule("rank-drawn-vehicle", "a vehicle that becomes a drawing", lambda case: _vehicle(case, DRAWING),
         "Rounded down, since it need not be detailed and realistic.", "advice: Vehicles",
         lambda case: {"network.network_dim": case.rank(64 if case.goal.category in tuple("EFGHI") else 32)}),
    Rule("length-vehicle", "a vehicle", lambda case: case.goal.kind == VEHICLE,
         "The base model has hardly seen this one: at least 1500 images seen.", _STEPS,
         lambda case: {IMAGES_SEEN: 1500}),
)


def _conv(case: Case, on_sd1: int) -> Values:
    return {"network.conv_dim": case.rank(on_sd1)}


def _style_rank(case: Case) -> int:
    if case.goal.images >= 10_000:
        return case.rank(128)
    return case.rank(96 if case.goal.images >= 100 else 64)


THINGS = (
    Rule("locon", "a style, concept or outfit", lambda case: case.goal.kind in (STYLE, CONCEPT, OUTFIT),
         "LoCon trains every block of the UNet, convolutions too: that is where styles, things and clothes gain.",
         _LYCORIS, lambda case: {"network.network_type": LOCON}),
    Rule("rank-style", "a style", lambda case: case.goal.kind == STYLE,
         lambda case: f"{_style_rank(case)} for {_style_images(case)}; more is worth it only with very many.",
         f"{_RANK}; {_START}", lambda case: {"network.network_dim": _style_rank(case)}),
    Rule("conv-style", "a style", lambda case: case.goal.kind == STYLE,
         "Convolutions carry texture and make the file grow quickly, so their rank is low.",
         "this project: preset Style", lambda case: _conv(case, 16)),
    Rule("gamma-style", "a style", lambda case: case.goal.kind == STYLE,
         "Above 5 learning is slower and smoother, which suits styles.", "advice: Prodigy, Min. SNR Gamma",
         lambda case: {"loss.min_snr_gamma": 8.0}),
    Rule("caption-dropout", "a style", lambda case: case.goal.kind == STYLE,
         "One image in ten is learned without its caption, so that the style shows without being asked for.",
         "this project: advice of Caption dropout", lambda case: {"dataset.caption_dropout_rate": 0.1}),
    Rule("resolution-style", "a style on a family of 512 px, not mostly small images",
         lambda case: case.goal.kind == STYLE and case.facts.family.resolution == 512 and case.facts.small <= 0.5,
         "Styles do best at 576 to 768; 576 costs the least.", _START, lambda case: {"dataset.resolution": "576"}),
    Rule("length-style", "a style", lambda case: case.goal.kind == STYLE,
         "A style takes about 3000 images seen.", _START, lambda case: {IMAGES_SEEN: 3000}),
    Rule("no-regularization-style", "a style with a regularization folder",
         lambda case: case.goal.kind == STYLE and case.facts.regularization,
         "Regularization images wash a style out.", "advice: “Dreambooth style”",
         lambda case: {"dataset.reg_data_dir": None}),
    Rule("rank-concept", "a simple concept or outfit",
         lambda case: case.goal.kind in (CONCEPT, OUTFIT) and not case.goal.elaborate,
         lambda case: f"Simple clothes, poses and places need as little as {case.rank(8)}.", _RANK,
         lambda case: {"network.network_dim": case.rank(8), **_conv(case, 8)}),
    Rule("rank-elaborate", "an elaborate concept or outfit",
         lambda case: case.goal.kind in (CONCEPT, OUTFIT) and case.goal.elaborate,
         lambda case: f"{case.rank(32)} is enough for concepts with many details.", _EASY,
         lambda case: {"network.network_dim": case.rank(32), **_conv(case, 8)}),
    Rule("style-blocks", "a style", lambda case: case.goal.kind == STYLE,
         "If it changes poses too much, train again with “style: OUT” as block learning rates.",
         "advice: LoRA blocks", todo=True),
    Rule("concept-blocks", "a concept", lambda case: case.goal.kind == CONCEPT,
         "If it changes the style of images, train again with “concept: IN” as block learning rates.",
         "advice: LoRA blocks", todo=True),
    Rule("concept-backgrounds", "an outfit", lambda case: case.goal.kind == OUTFIT,
         "Include the outfit on different people, and tag each part of it that should be optional.",
         "advice: Teaching individual elements", todo=True),
)


def _style_images(case: Case) -> str:
    count = case.goal.images
    return "a style" if not count else "10,000 images or more" if count >= 10_000 else (
        "hundreds of images" if count >= 100 else "few images")


def _small_lokr(case: Case) -> bool:
    return case.wants(SMALL_FILE) and (case.goal.kind in (CONCEPT, OUTFIT, VEHICLE) or (
        case.goal.kind == CHARACTER and case.letter in tuple("ABC")))


WANTED = (
    Rule("rank-likeness", "a character or creature whose likeness matters",
         lambda case: bool(case.checked_letter) and case.wants(LIKENESS),
         lambda case: f"More rank holds more of the subject; {case.category.highest_rank} is as much as category "
                      f"{case.letter} can use.", _DIFFICULTY,
         lambda case: {"network.network_dim": case.category.highest_rank}),
    Rule("rank-likeness-unknown", "a character of unknown difficulty whose likeness matters",
         lambda case: case.goal.kind == CHARACTER and not case.letter and case.wants(LIKENESS),
         lambda case: f"{case.rank(64)} is the usual value for most characters.", _RANK,
         lambda case: {"network.network_dim": case.rank(64)}),
    Rule("length-accurate", "likeness or clothes matter, except for creatures, which are longer already",
         lambda case: case.wants(LIKENESS, CLOTHES) and not case.known and case.goal.kind != CREATURE,
         "Accurate clothes, hair and face take longer: a quarter more. No number is published.",
         "advice: Intended results", lambda case: case.longer(1.25), extends=True),
    Rule("resolution-clothes", "clothes matter, on a family of 512 px, not mostly small images",
         lambda case: case.wants(CLOTHES) and case.facts.family.resolution == 512 and case.facts.small <= 0.5,
         "576 brings out finer details, for more time and memory.", "advice: Resolution",
         lambda case: {"dataset.resolution": "576"}),
    Rule("resolution-scales", "a creature whose likeness matters, on a family of 512 px",
         lambda case: case.goal.kind == CREATURE and case.wants(LIKENESS)
         and case.facts.family.resolution == 512 and case.facts.small <= 0.5,
         "A little more resolution helps with scales, spikes and fur.", "advice: The furries keep asking",
         lambda case: {"dataset.resolution": "576"}),
    Rule("on-and-off", "clothes or flexibility matter",
         lambda case: case.wants(CLOTHES, FLEXIBILITY) and case.goal.kind in _WITH_BODY,
         "Show each garment and accessory on and off, and tag it only where it is on: a copy with it painted out is "
         "enough.", "advice: Teaching individual elements", todo=True),
    Rule("close-ups", "a character or creature whose likeness matters",
         lambda case: case.goal.kind in _WITH_BODY and case.wants(LIKENESS),
         "Add close-ups of the head, and of the eyes if they are unusual.", "advice: Selecting images", todo=True),
    Rule("weight-norms", "flexibility matters", lambda case: case.wants(FLEXIBILITY) and case.goal.kind != STYLE,
         "Limits the weights to 1: clothes and poses are easier to change, and the LoRA mixes better with others.",
         "advice: Scale Weight Norms", lambda case: {"network.scale_weight_norms": 1.0}),
    Rule("tag-dropout", "flexibility matters and images have tags",
         lambda case: case.wants(FLEXIBILITY) and case.goal.kind != STYLE and case.goal.captions in ("", TAGS),
         "One tag in ten is left out, so that single tags do not get tied to the subject.",
         "this project: advice of Tag dropout", lambda case: {"dataset.caption_tag_dropout_rate": 0.1}),
    Rule("small-lokr", "a small file matters; a concept, outfit or vehicle, or a character up to C", _small_lokr,
         "LoKR makes tiny files and can hold this.", f"{_LYCORIS}, LyCORIS-LoKR; advice: Vehicles",
         lambda case: {"network.network_type": LOKR, "network.conv_dim": None}),
    Rule("small-vehicle", "a vehicle with a small file", lambda case: case.is_lokr and case.goal.kind == VEHICLE,
         lambda case: f"LoKR at {case.rank(64)} holds a decently realistic vehicle; a factor of 8 is a middle way.",
         "advice: Vehicles; this project: advice of LoKR factor",
         lambda case: {"network.network_dim": case.rank(64), "network.lokr_factor": 8}),
    Rule("length-lokr", "LoKR for a character or vehicle",
         lambda case: case.is_lokr and case.goal.kind in (CHARACTER, VEHICLE),
         "LoKR learns slowly: at least twice as long.", f"{_LYCORIS}; advice: Vehicles",
         lambda case: case.longer(2), extends=True),
    Rule("lokr-tied", "LoKR", lambda case: case.is_lokr,
         "A LoKR is tied to the model it was trained on: train it on the checkpoint that you use.",
         f"{_LYCORIS}, LyCORIS-LoKR", todo=True),
    Rule("small-rank", "a small file matters, with a plain LoRA",
         lambda case: case.wants(SMALL_FILE) and bool(case.checked_letter) and not case.is_lokr,
         lambda case: f"{case.category.lowest_rank} is the least for category {case.letter}: the file grows with the "
                      "rank.", _DIFFICULTY, lambda case: {"network.network_dim": case.category.lowest_rank}),
    Rule("small-rank-unknown", "a small file matters, a character of unknown difficulty",
         lambda case: case.wants(SMALL_FILE) and case.goal.kind == CHARACTER and not case.letter,
         lambda case: f"{case.rank(16)} is enough for a character of face, hair and clothes.", _RANK,
         lambda case: {"network.network_dim": case.rank(16)}),
    Rule("small-style", "a small file matters, a style", lambda case: case.wants(SMALL_FILE)
         and case.goal.kind == STYLE,
         lambda case: f"Styles can also be learned at a small rank, here {case.rank(32)}.", _RANK,
         lambda case: {"network.network_dim": case.rank(32), **_conv(case, 8)}),
)
