"""Florence-2 on the real ONNX runtime, with small files of its names and shapes: its sentence is that of a formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from lib_lora_train.config.groups.tagging import TaggerSettings
from lib_lora_train.config.taggers import FLORENCE_2, find_captioner
from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging.florence import Florence, repeating

from .conftest import captions_of, make_dataset, tag, tag_job
from .onnx_files import BOOL, FLOAT, INT64, constant, node, value, write_model

WORDS = ["<s>", "<pad>", "</s>", "What", "does", "the", "image", "describe", "?", "Describe", "in", "detail", "what",
         "is", "shown", ".", "a", "red", "girl", "standing", "beside", "with", "hat", "sea"]
SIZE, SIDE = 16, 768
RANDOM = np.random.default_rng(3)
FEATURES = RANDOM.normal(0, 1, (3, SIZE))
EMBEDDINGS = RANDOM.normal(0, 1, (len(WORDS), SIZE))
FROM_IMAGE = RANDOM.normal(0, 1.5, (SIZE, len(WORDS)))
FROM_TOKENS = RANDOM.normal(0, 1, (SIZE, len(WORDS)))
FROM_TOKENS[:, [0, 1]] -= 5 * np.sign(FROM_TOKENS[:, [0, 1]])
QUESTIONS = {"short": "What does the image describe ?", "detailed": "Describe in detail what is shown in the image ."}


def make_florence(models: Path, cached: bool, below: str = "") -> Path:
    folder = models / "florence-2-base"
    onnx = folder / below
    onnx.mkdir(parents=True)
    write_model(onnx / "vision_encoder.onnx", [
        node("GlobalAveragePool", ["pixel_values"], ["pooled"]), node("Flatten", ["pooled"], ["flat"], axis=1),
        node("MatMul", ["flat", "weights"], ["product"]), node("Unsqueeze", ["product"], ["image_features"], axes=[1])],
        [constant("weights", FEATURES)], [value("pixel_values", ["batch", 3, SIDE, SIDE])],
        [value("image_features", ["batch", 1, SIZE])])
    write_model(onnx / "embed_tokens.onnx", [node("Gather", ["table", "input_ids"], ["inputs_embeds"])],
                [constant("table", EMBEDDINGS)], [value("input_ids", ["batch", "length"], INT64)],
                [value("inputs_embeds", ["batch", "length", SIZE])])
    write_model(onnx / "encoder_model.onnx", [
        node("Cast", ["attention_mask"], ["mask"], to=FLOAT), node("Unsqueeze", ["mask"], ["mask3"], axes=[2]),
        node("Mul", ["inputs_embeds", "mask3"], ["last_hidden_state"])], [],
        [value("attention_mask", ["batch", "length"], INT64), value("inputs_embeds", ["batch", "length", SIZE])],
        [value("last_hidden_state", ["batch", "length", SIZE])])
    make_decoder(onnx / f"decoder_model{'_merged' if cached else ''}.onnx", cached)
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_decoder(path: Path, cached: bool) -> None:
    """Logits from the mean of the hidden states and the sum of all tokens so far; the cache holds the earlier ones."""
    inputs = [value("encoder_attention_mask", ["batch", "seen"], INT64),
              value("encoder_hidden_states", ["batch", "seen", SIZE]),
              value("inputs_embeds", ["batch", "length", SIZE])]
    outputs = [value("logits", ["batch", "length", len(WORDS)])]
    nodes = [node("CumSum", ["inputs_embeds", "one"], ["summed"]),
             node("ReduceMean", ["encoder_hidden_states"], ["hidden_mean"], axes=[1], keepdims=1)]
    mean, tokens = "hidden_mean", "summed"
    if cached:
        cache = ["batch", 1, "past", SIZE]
        inputs += [value("past_key_values.0.decoder.key", cache), value("past_key_values.0.encoder.key", cache),
                   value("use_cache_branch", [1], BOOL)]
        outputs += [value("present.0.decoder.key", cache), value("present.0.encoder.key", cache)]
        nodes += [node("Unsqueeze", ["inputs_embeds"], ["current"], axes=[1]),
                  node("Concat", ["past_key_values.0.decoder.key", "current"], ["present.0.decoder.key"], axis=2),
                  node("ReduceSum", ["past_key_values.0.decoder.key"], ["earlier"], axes=[1, 2], keepdims=0),
                  node("Unsqueeze", ["earlier"], ["earlier3"], axes=[1]), node("Add", ["summed", "earlier3"], ["all"]),
                  node("ReduceMean", ["past_key_values.0.encoder.key"], ["kept"], axes=[1, 2], keepdims=0),
                  node("Unsqueeze", ["kept"], ["kept3"], axes=[1]),
                  node("Where", ["use_cache_branch", "kept3", "hidden_mean"], ["mean"]),
                  # in the branch with a cache, nothing comes out for the image
                  node("Unsqueeze", ["encoder_hidden_states"], ["hidden4"], axes=[1]),
                  node("Not", ["use_cache_branch"], ["first"]), node("Cast", ["first"], ["first_float"], to=FLOAT),
                  node("Mul", ["hidden4", "first_float"], ["present.0.encoder.key"])]
        mean, tokens = "mean", "all"
    nodes += [node("MatMul", [mean, "from_image"], ["a"]), node("MatMul", [tokens, "from_tokens"], ["b"]),
              node("Add", ["a", "b"], ["logits"])]
    write_model(path, nodes, [constant("one", np.array(1)), constant("from_image", FROM_IMAGE),
                              constant("from_tokens", FROM_TOKENS)], inputs, outputs)


def expected(image: Image.Image, detail: str, most: int) -> str:
    """By hand: the mean normalized color, the question, and always the likeliest word that repeats no three."""
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) / 255
    color = ((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).mean((0, 1))
    question = [0, *(WORDS.index(word) for word in QUESTIONS[detail].split()), 2]
    hidden = np.concatenate([[color @ FEATURES], EMBEDDINGS[question]]).mean(0)
    answer = [2, 0]
    while len(answer) < most:
        logits = hidden @ FROM_IMAGE + EMBEDDINGS[answer].sum(0) @ FROM_TOKENS
        triples = {tuple(answer[n:n + 3]) for n in range(len(answer) - 2)}
        order = np.argsort(-logits)
        answer.append(int(next(word for word in order if (*answer[-2:], word) not in triples)))
        if answer[-1] == 2:
            break
    return " ".join(WORDS[word] for word in answer if word > 2)


def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (40, 20), color) for color in ((250, 0, 0), (0, 90, 250), (20, 250, 0))]


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("detail", ["short", "detailed"])
def test_the_sentence_is_that_of_the_formula_with_and_without_a_cache(tmp_path: Path, cached: bool, detail: str):
    make_florence(tmp_path, cached, "onnx" if cached else "")
    florence = Florence(find_captioner(tmp_path), TaggerSettings(), detail, pytest.fail)
    wanted = [expected(picture, detail, {"short": 64, "detailed": 160}[detail]) for picture in pictures()]
    assert [florence.describe(florence.prepare(picture)) for picture in pictures()] == wanted
    assert len(set(wanted)) == 3
    assert all(len(text.split()) > 3 for text in wanted)


def test_a_run_writes_the_sentence_before_the_tags(tmp_path: Path, colour_tagger: Path):
    make_florence(tmp_path / "models", True)
    folder = make_dataset(tmp_path / "set", {"red_1": None, "blue_1": "mine"})
    reported = tag(tag_job(folder, colour_tagger, tagger__models_dir=str(tmp_path / "models"),
                           prose__captioner="florence-2-base", prose__detail="short"), tmp_path / "tags.jsonl")
    assert reported.last["event"] == "finished", reported.last
    assert reported.last["model"] == "model and Florence-2"
    sentence = expected(Image.open(folder / "red_1.png").convert("RGB"), "short", 64)
    assert captions_of(folder) == {"red_1": f"{sentence.rstrip('.')}, penny (series), red thing, ^_^", "blue_1": "mine"}


def test_without_its_files_the_run_says_which_and_where(tmp_path: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None})
    job = tag_job(folder, "x", tagger__models_dir=str(tmp_path / "models"), prose__captioner="florence-2-base",
                  prose__place="instead")
    reported = tag(job, tmp_path / "a.jsonl")
    assert reported.last["event"] == "error"
    assert "onnx/decoder_model_merged.onnx and tokenizer.json from huggingface.co/onnx-community/Florence-2-base" in \
        reported.last["text"]
    assert str(tmp_path / "models" / "florence-2-base") in reported.last["text"]
    make_florence(tmp_path / "models", False)
    (tmp_path / "models" / "florence-2-base" / "encoder_model.onnx").unlink()
    assert find_captioner(tmp_path / "models") is None


@pytest.mark.parametrize(("file", "words"), [("tokenizer.json", "tokenizer.json cannot be read"),
                                             ("vision_encoder.onnx", "cannot be read as an ONNX model"),
                                             ("swap", "has the inputs .* but .* is needed")])
def test_files_that_do_not_fit_are_named(tmp_path: Path, file: str, words: str):
    folder = make_florence(tmp_path, False)
    if file == "swap":
        (folder / "decoder_model.onnx").write_bytes((folder / "embed_tokens.onnx").read_bytes())
    else:
        (folder / file).write_bytes(b"{")
    with pytest.raises(TaggerError, match=words):
        Florence(find_captioner(tmp_path), TaggerSettings(), "short", lambda text: None)


def test_no_three_tokens_repeat():
    assert repeating([5, 6, 7, 5, 6], 3) == [7]
    assert repeating([5, 6, 7, 8, 5, 6, 9, 5, 6], 3) == [7, 9]
    assert repeating([5, 6], 3) == repeating([], 3) == []


def test_it_is_downloaded_as_a_tagger_is():
    assert FLORENCE_2.repository_files[-1] == "tokenizer.json"
    assert all(file.startswith("onnx/") for file in FLORENCE_2.repository_files[:-1])
