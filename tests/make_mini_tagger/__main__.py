"""Makes demo/tagger/ from unpacked npm packages (demo/tagger/CARD.md names them). It fetches nothing.

python -m tests.make_mini_tagger --fluent DIR --datasource DIR --emojilib DIR --out demo/tagger --work DIR

Needs torch, Pillow and the package ``onnx``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from tests.make_mini_tagger.material import RATING, choose_tags, read_pictures, write_tags
from tests.make_mini_tagger.network import SIDE, MiniTagger
from tests.make_mini_tagger.training import calibrate, micro_f1, probabilities, targets, train

LOG = logging.getLogger("make_mini_tagger")


def main() -> None:
    """Tags, training, what it can do, and the file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (("--fluent", "unpacked @lobehub/fluent-emoji-3d"), ("--emojilib", "unpacked emojilib"),
                       ("--datasource", "unpacked emoji-datasource-twitter"), ("--out", "where the tagger goes"),
                       ("--work", "where the trained weights are kept")):
        parser.add_argument(name, type=Path, required=True, help=what)
    parser.add_argument("--epochs", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures = read_pictures(arguments.fluent, arguments.datasource, arguments.emojilib)
    tags = choose_tags(pictures)
    training = [picture for picture in pictures if not picture.held_out]
    held_out = [picture for picture in pictures if picture.held_out]
    LOG.info("%d pictures to train on, %d held out, %d tags", len(training), len(held_out), len(tags))
    model = trained_model(arguments.work / "mini_tagger.pt", len(tags))
    if model is None:
        model = train(training, tags, arguments.epochs, arguments.seed)
        torch.save(model.state_dict(), arguments.work / "mini_tagger.pt")
    own = np.array([tag.category != RATING for tag in tags])
    calibrate(model, training, targets(training, tags).numpy() > 0, own)
    wanted, found = targets(held_out, tags).numpy()[:, own] > 0, probabilities(model, held_out)[:, own]
    for threshold in np.arange(0.2, 0.81, 0.05):
        LOG.info("held-out micro-F1 at %.2f: %.4f", threshold, micro_f1(found > threshold, wanted))
    often = targets(training, tags).numpy()[:, own].mean(0)[None].repeat(len(held_out), 0)
    LOG.info("for comparison, the most frequent tags for every picture: %.4f",
             max(micro_f1(often > least, wanted) for least in np.unique(often)))
    export(model.eval(), arguments.out / "model.onnx")
    write_tags(tags, arguments.out / "selected_tags.csv")


def trained_model(weights: Path, tags: int) -> MiniTagger | None:
    """The model of finished weights, if there are any."""
    if not weights.exists():
        return None
    model = MiniTagger(tags)
    model.load_state_dict(torch.load(weights))
    return model.eval()


def export(model: MiniTagger, path: Path) -> None:
    """Write the ONNX file: input (batch, 96, 96, 3), output (batch, tags), the batch open."""
    torch.onnx.export(model, (torch.zeros(2, SIDE, SIDE, 3),), str(path), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})
    LOG.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
