"""Makes `demo/`'s mini checkpoint and dataset from unpacked npm packages (CARD.md names them). It fetches nothing.

torchrun --nproc-per-node 2 -m tests.make_mini \
    --fluent DIR --datasource DIR --emojilib DIR --bpe FILE --out demo --work DIR

Two processes of one thread each train UNet and text encoder together; the first alone trains the autoencoder.
"""

from __future__ import annotations

import argparse
import logging
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from tests.make_mini import train_diffusion, train_vae
from tests.make_mini.compvis_layout import checkpoint_state, save_checkpoint
from tests.make_mini.demo_set import write_demo_set
from tests.make_mini.install import NAME
from tests.make_mini.networks import load_state, new_text_encoder, new_unet, new_vae, save_state, with_text_mean
from tests.make_mini.pictures import Picture, base_pictures, colour_words, read_pictures, read_rgba, shows_family
from tests.make_mini.sampling import draw, save_grid
from tests.make_mini.train_text import train_text
from tests.make_mini.vocabulary import write_text_folder

LOG = logging.getLogger("make_mini")
SIDES = (64, 128)
SHOWN_PROMPTS = (
    "red apple, fruit", "cat face, animal", "frog", "grinning face, happy", "sunflower, yellow", "hamburger, food",
    "green circle", "automobile, red", "police car, blue", "panda", "strawberry", "pizza",
)  # fmt: skip
DIFFUSION_STAGES = (
    train_diffusion.Stage(steps=300, small_share=1.0),
    train_diffusion.Stage(steps=1200, small_share=0.2),
)
DECODER_STEPS = 800
TEXT_STEPS = 500


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (
        ("--fluent", "unpacked @lobehub/fluent-emoji-3d"),
        ("--datasource", "unpacked emoji-datasource-twitter"),
        ("--emojilib", "unpacked emojilib"),
        ("--bpe", "bpe_simple_vocab_16e6.txt.gz of open-clip-torch"),
        ("--out", "where the checkpoint and the demo pictures go"),
        ("--work", "where unfinished weights and sample grids go"),
    ):
        parser.add_argument(name, type=Path, required=True, help=what)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def as_bytes(pictures: list[Picture]) -> NDArray[np.uint8]:
    """uint8 (N, 128, 128, 4), premultiplied."""
    return np.stack([np.round(read_rgba(picture, 128) * 255).astype(np.uint8) for picture in pictures])


def make_vae(pictures: list[Picture], work: Path, seed: int) -> AutoencoderKL:
    """The trained autoencoder; a finished one in the work folder is used again."""
    torch.manual_seed(seed)
    vae = new_vae().to(memory_format=torch.channels_last)
    done = work / "vae.pt"
    if not done.exists():
        rgba = as_bytes([p for p in pictures if not shows_family(p) and p.group != "flags"])
        for number, stage in enumerate(train_vae.STAGES):
            train_vae.train_vae(vae, stage, rgba, seed + number)
        train_vae.normalize_latents(vae, train_vae.random_batch(rgba, 256, 64, np.random.default_rng(seed)))
        train_vae.train_decoder(vae, DECODER_STEPS, rgba, seed)
        save_state(done, vae=vae)
    load_state(done, vae=vae)
    return vae.eval().requires_grad_(False)


def prepare(arguments: argparse.Namespace, pictures: list[Picture]) -> None:
    """What one process does for all: the folders, the demo set, the tokenizer's files and the autoencoder."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    LOG.info("demo set: %s", write_demo_set(pictures, arguments.out))
    write_text_folder(arguments.bpe, arguments.work / "clip")
    make_vae(pictures, arguments.work, arguments.seed)


def main() -> None:
    """Demo dataset, autoencoder, UNet with text encoder, and the checkpoint of them all."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments = read_arguments()
    pictures = read_pictures(arguments.fluent, arguments.datasource, arguments.emojilib)
    if "RANK" in os.environ:
        dist.init_process_group("gloo", timeout=timedelta(hours=6))
    rank, processes = train_diffusion.rank_and_processes()
    if rank == 0:
        prepare(arguments, pictures)
    if processes > 1:
        dist.barrier()
        torch.set_num_threads(1)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.work / "clip")
    vae = make_vae(pictures, arguments.work, arguments.seed)

    base = base_pictures(pictures)
    rgba = as_bytes(base)
    material = train_diffusion.Material(
        base,
        [colour_words(picture.astype(np.float32) / 255) for picture in rgba],
        {side: train_vae.encode_pictures(vae, rgba, side) for side in SIDES},
    )
    torch.manual_seed(arguments.seed)
    unet, text_encoder = new_unet().to(memory_format=torch.channels_last), new_text_encoder()
    train_text(text_encoder, tokenizer, material, TEXT_STEPS, arguments.seed)
    LOG.info(f"{len(base)} pictures for the diffusion model")

    def keep(step: int) -> None:
        save_state(arguments.work / "diffusion.pt", unet=unet, text_encoder=text_encoder)
        finished_unet, finished_text = with_text_mean(unet, text_encoder)
        save_checkpoint(arguments.out / f"{NAME}.safetensors", checkpoint_state(finished_unet, vae, finished_text))
        for side in SIDES:
            drawn = draw(unet, vae, text_encoder, tokenizer, list(SHOWN_PROMPTS), side)
            save_grid(drawn, 6, arguments.work / f"step{step:05d}_{side}px.png")

    for number, stage in enumerate(DIFFUSION_STAGES):
        seed = arguments.seed + number
        train_diffusion.train_diffusion(unet, text_encoder, tokenizer, material, stage, seed, keep)


if __name__ == "__main__":
    main()
