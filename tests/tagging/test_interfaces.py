"""Every known interface: a small ONNX file with its names, shapes and conventions gives the tags of a formula.

The formulas are written from the taggers' published preprocessing, with numpy alone. The files are in a folder whose
name says nothing, so each is recognized by its own inputs and outputs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.config.groups.tagger import TaggerDescription
from lib_lora_train.config.groups.tagging import CATEGORIES, TaggerSettings, TagRuleSettings
from lib_lora_train.config.setting import fields_of, groups_of
from lib_lora_train.config.tagger_description import described
from lib_lora_train.config.taggers import KNOWN_TAGGERS, find_tagger
from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging.choose import TagChooser
from lib_lora_train.tagging.session import Tagger

from .conftest import captions_of, make_dataset, tag, tag_job
from .onnx_files import POOL, pooled_model, sigmoid
from .resampling import box, cubic, lanczos, resized, squared, triangle

LOGITS = np.array([3.0, -3.0, 2.5, -2.5, 2.8, -2.8, 2.9, 3.1, -2.0])
"""What the first picture gets: far from every threshold, on both sides."""
NAMES = ("1girl", "hat", "saber_(fate)", "rin", "fate", "someone", "highres", "2015", "smile")
KINDS = ("general", "general", "character", "character", "copyright", "artist", "meta", "year", "general")


def square_then(kernel, color, side: int, rgb: np.ndarray) -> np.ndarray:
    return resized(squared(rgb, max(rgb.shape[:2]), color)[0], side, side, kernel)


def fitted(kernel, side: int, rgb: np.ndarray, whole=int) -> np.ndarray:
    scale = side / max(rgb.shape[:2])
    height, width = (whole(length * scale + 1e-9) for length in rgb.shape[:2])
    return resized(rgb, width, height, kernel)


def wd(rgb):
    return square_then(cubic, (255, 255, 255), 448, rgb)[..., ::-1]


def deepdanbooru(rgb):
    kernel = box if max(rgb.shape[:2]) > 512 else triangle
    small = fitted(kernel, 512, rgb, round) / 255
    top, left = (512 - small.shape[0]) // 2, (512 - small.shape[1]) // 2
    rows = np.clip(np.arange(512) - top, 0, small.shape[0] - 1)
    columns = np.clip(np.arange(512) - left, 0, small.shape[1] - 1)
    return small[rows][:, columns]


def pixai(rgb):
    return (resized(rgb, 448, 448, triangle) / 255 - 0.5) / 0.5


def camie_v1(rgb):
    return squared(fitted(lanczos, 512, rgb), 512, (0, 0, 0))[0] / 255


def camie_v2(rgb):
    pixels = squared(fitted(lanczos, 512, rgb), 512, (124, 116, 104))[0] / 255
    return (pixels - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


def cl_tagger(rgb):
    return square_then(cubic, (255, 255, 255), 448, rgb)[..., ::-1] / 127.5 - 1


def oppai(rgb):
    pixels, padding = squared(fitted(triangle, 448, rgb), 448, (114, 114, 114))
    return np.concatenate([pixels / 127.5 - 1, padding[..., None]], axis=2)


def joytag(rgb):
    pixels = square_then(cubic, (255, 255, 255), 448, rgb) / 255
    return (pixels - np.array([0.48145466, 0.4578275, 0.40821073])) / np.array([0.26862954, 0.26130258, 0.27577711])


def csv_list(numbers: dict[str, object], columns: str = "tag_id,name,category,count") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rows = [",".join({"name": name, "category": str(numbers[kind]), "tag_name": name}.get(column, "7")
                         for column in columns.split(",")) for name, kind in zip(NAMES, KINDS, strict=True)
                ]
        path.write_text("\n".join([columns, *rows]) + "\n")
    return write


def camie_metadata(path: Path) -> None:
    mapping = {"idx_to_tag": {str(place): name for place, name in enumerate(NAMES)},
               "tag_to_category": dict(zip(NAMES, KINDS, strict=True))}
    path.write_text(json.dumps({"model_info": {"img_size": 512}, "dataset_info": {"tag_mapping": mapping}}))


def cl_mapping(path: Path) -> None:
    path.write_text(json.dumps({str(place): {"tag": name, "category": {"year": "Quality"}.get(kind, kind.capitalize())}
                                for place, (name, kind) in enumerate(zip(NAMES, KINDS, strict=True))}))


def lines(path: Path) -> None:
    path.write_text("\n".join(NAMES) + "\n")


DANBOORU = {"general": 0, "artist": 1, "copyright": 3, "character": 4, "meta": 5, "year": 0}


@dataclass(frozen=True)
class Case:
    formula: Callable[[np.ndarray], np.ndarray]
    tags_file: str
    write_tags: Callable[[Path], None]
    side: int
    nchw: bool = True
    outputs: tuple[tuple[str, str], ...] = (("output", "sigmoid"),)
    image: str = "input"
    mask: str = ""


CASES = {
    "wd": Case(wd, "selected_tags.csv", csv_list(DANBOORU), 448, nchw=False, image="input_1:0"),
    "z3d_e621": Case(wd, "tags-selected.csv", csv_list({**DANBOORU, "meta": 7, "year": 5}), 448, nchw=False),
    "deepdanbooru": Case(deepdanbooru, "deepdanbooru_tags.csv", csv_list(DANBOORU, "name,real_name,category"), 512,
                         nchw=False),
    "pixai": Case(pixai, "selected_tags.csv", csv_list({**DANBOORU, "artist": 0, "copyright": 4, "meta": 0},
                                                       "id,tag_id,name,category,count,ips"), 448,
                  outputs=(("embedding", "embedding"), ("logits", "logits"), ("prediction", "sigmoid"))),
    "camie_v1": Case(camie_v1, "selected_tags.csv", csv_list({**DANBOORU, "year": 10}), 512, outputs=(
        ("initial/embedding", "embedding"), ("initial/logits", "other"), ("initial/output", "other"),
        ("embedding", "embedding"), ("logits", "logits"), ("output", "sigmoid"))),
    "camie_v2": Case(camie_v2, "camie-tagger-v2-metadata.json", camie_metadata, 512, image="image",
                     outputs=(("initial_predictions", "other"), ("refined_predictions", "logits"))),
    "cl_tagger": Case(cl_tagger, "tag_mapping.json", cl_mapping, 448, outputs=(("output", "logits"),)),
    "oppai_oracle": Case(oppai, "selected_tags.csv", csv_list({**DANBOORU, "artist": 0, "copyright": 0, "meta": 0,
                                                              "character": 0}, "tag_id,name,category"), 448,
                         image="pixel_values", mask="padding_mask", outputs=(("probabilities", "sigmoid"),)),
    "joytag": Case(joytag, "top_tags.txt", lines, 448, outputs=(("output", "logits"),)),
}
PICTURES = ((60, 100), (640, 361))


def picture(width: int, height: int) -> Image.Image:
    """Smooth random colors."""
    random = np.random.default_rng(width)
    small = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)


def seen(case: Case, image: Image.Image) -> np.ndarray:
    """The mean colors of the model's squares, by the formula, channels first."""
    pixels = case.formula(np.asarray(image, np.float64)).transpose(2, 0, 1)
    channels, side = pixels.shape[0], case.side // POOL
    return pixels.reshape(channels, side, POOL, side, POOL).mean((2, 4)).reshape(-1)


def make_tagger(folder: Path, case: Case, batch: int | str = "batch") -> tuple[Path, np.ndarray, np.ndarray]:
    """A tagger of an interface; its weights tell other colors, orders and paddings apart."""
    colors = seen(case, picture(*PICTURES[0]))
    random = np.random.default_rng(1)
    weights = random.normal(0, 6 / (colors.std() * np.sqrt(len(colors))), (len(colors), len(NAMES)))
    bias = LOGITS - colors @ weights
    folder.mkdir(parents=True, exist_ok=True)
    case.write_tags(folder / case.tags_file)
    model = pooled_model(folder / "anything.onnx", weights, bias, side=case.side, channels_first=case.nchw,
                         image=case.image, mask=case.mask, outputs=case.outputs, batch=batch)
    return model, weights, bias


def load(path: Path | str, models: Path = Path("/nowhere"), warn: Callable[[str], None] = lambda text: None) -> Tagger:
    return Tagger(find_tagger(models, str(path)), TaggerSettings(), warn)


def test_every_known_interface_has_a_case():
    assert set(CASES) == {name for name, description in described().items() if description.source.detect}


@pytest.mark.parametrize("name", CASES)
def test_an_interface_is_recognized_and_gives_the_confidences_of_its_formula(tmp_path: Path, name: str):
    case = CASES[name]
    model, weights, bias = make_tagger(tmp_path / "mine", case, batch=1 if name == "camie_v1" else "batch")
    tagger = load(model)
    assert tagger.description is described()[name]
    images = [picture(*size) for size in PICTURES]
    found = np.concatenate([tagger.confidences([tagger.prepare(image)]) for image in images])
    wanted = sigmoid(np.array([seen(case, image) @ weights + bias for image in images]))
    assert np.allclose(found, wanted, atol=0.01)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.3  # so that the second picture says something of its own
    thresholds = {kind: described()[name].threshold(kind) or {"general": .35}.get(kind, .85) for kind in CATEGORIES}
    kinds = tagger.tag_list.categories
    expected = {tag for tag, kind, value in zip(tagger.tag_list.tags, kinds, wanted[0], strict=True)
                if kind in ("general", "species", "character", "copyright") and value > thresholds[kind]}
    written = TagChooser(tagger.tag_list, TagRuleSettings(replace_underscore=False)).choose(found[0]).tags
    assert set(written) == expected
    assert {"1girl", "saber_(fate)"} <= expected and not {"hat", "rin"} & expected


OTHERS = [tagger for tagger in KNOWN_TAGGERS if tagger.described_by not in ("wd", "wd_canary")]


@pytest.mark.parametrize("known", OTHERS, ids=lambda tagger: tagger.name)
def test_the_downloaded_files_of_a_known_tagger_are_of_its_description(tmp_path: Path, known):
    model, _, _ = make_tagger(known.root(tmp_path) / known.folder, CASES[known.described_by])
    model.rename(model.with_name(known.description.files.model))
    assert load(known.name, tmp_path).description is known.description


def test_the_canary_is_known_by_its_name_only_since_its_inputs_are_those_of_many(tmp_path: Path):
    case = Case(lambda rgb: cl_tagger(rgb)[..., ::-1], "selected_tags.csv", csv_list(DANBOORU), 448,
                outputs=(("output", "logits"),))
    model, weights, bias = make_tagger(tmp_path / "wd-eva02-tagger-2026-canary", case)
    tagger = load("wd-eva02-tagger-2026-canary", tmp_path)
    image = picture(*PICTURES[1])
    assert np.allclose(tagger.confidences([tagger.prepare(image)])[0], sigmoid(seen(case, image) @ weights + bias),
                       atol=0.01)
    with pytest.raises(TaggerError, match="not one of the known taggers.*How its images are prepared is not known"):
        load(model)


def test_cl_tagger_can_be_given_red_first_in_a_description_of_ones_own(tmp_path: Path):
    case = CASES["cl_tagger"]
    told: list[str] = []
    red_first = Case(lambda rgb: cl_tagger(rgb)[..., ::-1], case.tags_file, cl_mapping, 448, outputs=case.outputs)
    model, _, _ = make_tagger(tmp_path, red_first)
    load(model, warn=told.append)
    assert any("color channels" in text and "channels: rgb" in text for text in told)
    model.with_name("tagger.yaml").write_text("like: cl_tagger\nimage: {channels: rgb}\n")
    tagger = load(model)
    image = picture(*PICTURES[0])
    assert np.allclose(tagger.confidences([tagger.prepare(image)])[0], sigmoid(LOGITS), atol=0.01)


def test_a_new_tagger_is_a_file(tmp_path: Path):
    """Another size, other names, probabilities, mean and deviation, and a list with columns of its own."""
    def formula(rgb):
        return (resized(rgb, 64, 64, lanczos)[..., ::-1] / 255 - np.array([.1, .2, .3])) / np.array([.5, .6, .7])

    def tags(path: Path) -> None:
        path.write_text("word,kind\n" + "".join(f"{name},{kind[0]}\n" for name, kind in zip(NAMES, KINDS, strict=True)))

    case = Case(formula, "words.csv", tags, 64, image="pixels", outputs=(("a", "other"), ("b", "sigmoid")))
    model, weights, bias = make_tagger(tmp_path, case)
    with pytest.raises(TaggerError, match="tagger.yaml"):
        load(model)
    model.with_suffix(".yaml").write_text("""
files: {tags: [words.csv]}
image: {layout: nchw, resize: stretch, filter: lanczos, channels: bgr, divide_by: 255, mean: [.1, .2, .3],
        std: [.5, .6, .7]}
model: {input: pixels, outputs: [b], values: probabilities}
tags: {name_column: word, category_column: kind, categories: {g: general, c: character, a: artist, m: meta, y: year}}
thresholds: {general: 0.2}
""")
    tagger = load(model)
    image = picture(*PICTURES[1])
    assert np.allclose(tagger.confidences([tagger.prepare(image)])[0], sigmoid(seen(case, image) @ weights + bias),
                       atol=0.01)


@pytest.mark.parametrize(("text", "words"), [
    ("", "has to hold the groups"),
    ("files: {tags: [top_tags.txt]}\n", "image.layout is missing.*image.channels is missing"),
    ("like: wd14\n", "like is 'wd14'. Choose one of: camie_v1"),
    ("like: joytag\nimage: {layot: nhwc}\n", "no setting 'layot'. Did you mean 'layout'"),
    ("like: joytag\nimage: {divide_by: 0}\n", "image.divide_by is 0"),
    ("like: joytag\nimage: {mean: [0.5]}\n", "image.mean is .* Write three numbers"),
    ("like: joytag\nimage: {std: [1, 0, 1]}\n", "image.std is .* none of them 0"),
    ("like: joytag\ntags: {categories: {0: hero}}\n", "tags.categories has 0: 'hero'. Choose one of: general"),
    ("like: joytag\nfiles: {tags: [../../etc/passwd]}\n", "without a path"),
    ("like: joytag\nfiles: {tags: [other.txt]}\n", "names other.txt as files.tags, but there is no such file"),
    ("like: joytag\nimage: {size: 384}\n", "takes images of 448 pixels, but its description says image.size: 384"),
    ("like: joytag\nimage: {layout: nhwc}\n", "does not take images as image.layout: nhwc says"),
    ("like: joytag\nmodel: {outputs: [probs]}\n", "has no output probs.*gives output"),
    ("like: joytag\nmodel: {padding_mask: mask}\n", "has no input 'mask'"),
    ("like: joytag\nmodel: {input: image}\n", "does not have one image input called 'image'"),
    ("like: joytag\nmodel: {values: probabilities}\n", "not probabilities from 0 to 1. Write model: {values: logits}"),
    ("image: [\n", "not readable as YAML"),
])
def test_a_description_that_is_wrong_says_what_to_write(tmp_path: Path, text: str, words: str):
    model, _, _ = make_tagger(tmp_path, CASES["joytag"])
    model.with_name("tagger.yaml").write_text(text)
    with pytest.raises(TaggerError, match=f"(?s){words}"):
        tagger = load(model)
        tagger.confidences([tagger.prepare(picture(*PICTURES[0]))])


def test_probabilities_that_are_called_logits_are_noticed(tmp_path: Path):
    model, _, _ = make_tagger(tmp_path, Case(joytag, "top_tags.txt", lines, 448))
    told: list[str] = []
    tagger = load(model, warn=told.append)
    tagger.confidences([tagger.prepare(picture(*PICTURES[0]))])
    assert any("says logits" in text and "values: probabilities" in text for text in told)


def test_logits_that_are_not_numbers_count_as_nothing_and_all_of_them_are_an_error(tmp_path: Path):
    case = CASES["cl_tagger"]
    for name, broken in (("some", [0, 4]), ("all", list(range(len(NAMES))))):
        model, weights, bias = make_tagger(tmp_path / name, case)
        bias[broken] = np.nan
        bias[8] = np.inf if name == "some" else np.nan
        pooled_model(model, weights, bias, side=448, channels_first=True, outputs=case.outputs)
        told: list[str] = []
        tagger = load(model, warn=told.append)
        prepared = tagger.prepare(picture(*PICTURES[0]))
        if name == "all":
            with pytest.raises(TaggerError, match="not numbers"):
                tagger.confidences([prepared])
            continue
        found = tagger.confidences([prepared])[0]
        assert (found[0], found[4], found[8]) == (0, 0, 1)
        assert found[2] == pytest.approx(sigmoid(LOGITS[2]), abs=0.01)
        assert any("2 of the 9 values" in text for text in told)


@pytest.mark.parametrize(("content", "words"), [
    ([{"tag": "1girl", "category": "General"}, {"tag": "rin", "category": "Character"}], ""),
    (["1girl", "rin"], ""),
    ({"idx_to_tag": ["1girl", "rin"], "tag_to_category": {"rin": "Character"}}, ""),
    ({"1": {"tag": "rin", "category": "Character"}, "0": {"tag": "1girl"}}, ""),
    ({"0": "1girl", "1": "rin"}, ""),
    ({"0": "1girl", "2": "rin"}, "none with the number 1"),
    ([{"tag": "1girl", "category": "Hero"}], "Entry 0 .* category 'Hero'.*categories: {Hero: general}"),
    ([["1girl"]], "Entry 0 .* It has to be a tag"), ({"tags": ["1girl"]}, "json_path"), ("1girl", "neither a list"),
    ([], "is empty"), ({"0": None}, "Entry 0"),
])
def test_json_lists_of_tags(tmp_path: Path, content, words: str):
    from lib_lora_train.tagging.tag_list import read_tag_list

    path = tmp_path / "tag_mapping.json"
    path.write_text(json.dumps(content))
    if words:
        with pytest.raises(TaggerError, match=words):
            read_tag_list(path, described()["cl_tagger"])
    else:
        found = read_tag_list(path, described()["cl_tagger"])
        assert found.tags == ("1girl", "rin")
        assert set(found.categories) <= {"general", "character"}


@pytest.mark.parametrize(("name", "text", "general", "character"), [
    ("threshold.json", '{"general": {"balanced": {"threshold": 0.9}}, "character": {"balanced": {"threshold": 0.97}}}',
     .9, .97),
    ("threshold.json", '{"year": {"balanced": {"threshold": 0.9}}}', .35, .85),
    ("t.csv", "category,name,threshold\n0,general,0.5\n4,character,0.6\n", .5, .6),
    ("t.csv", "category,threshold\n0,0.5\n", .5, .85),
    ("t.csv", "tag,threshold\n1girl,0.96\nsaber_(fate),0.2\n", .96, .2),
    ("t.json", '{"1girl": 0.96, "character": 0.4}', .96, .4),
])
def test_thresholds_of_a_file(tmp_path: Path, name: str, text: str, general: float, character: float):
    from lib_lora_train.tagging.choose import thresholds_of

    model, _, _ = make_tagger(tmp_path, CASES["camie_v1"])
    (tmp_path / name).write_text(text)
    path = "" if name == "t.json" else "{category}/balanced/threshold"
    model.with_name("tagger.yaml").write_text(
        f"like: camie_v1\nfiles: {{thresholds: {name}}}\nthresholds: {{json_path: '{path}'}}\n")
    tagger = load(model)
    found = thresholds_of(tagger.tag_list, TagRuleSettings())
    assert (found[0], found[2]) == (general, character)
    asked = thresholds_of(tagger.tag_list, TagRuleSettings(general_threshold=0.11, copyright_threshold=0.12))
    assert (asked[0], asked[2], asked[4]) == (0.11, character, 0.12)


@pytest.mark.parametrize("text", ['{"general": {"balanced": {"threshold": 7}}}', "[1]", "{"])
def test_thresholds_that_cannot_be_used_are_refused(tmp_path: Path, text: str):
    model, _, _ = make_tagger(tmp_path, CASES["camie_v1"])
    (tmp_path / "threshold.json").write_text(text)
    with pytest.raises(TaggerError, match=r"threshold\.json"):
        load(model)


def test_a_run_with_camie_writes_the_chosen_categories_and_says_what_is_uncertain(tmp_path: Path):
    model, _, _ = make_tagger(tmp_path / "camie", CASES["camie_v2"])
    folder = make_dataset(tmp_path / "set", {"red_1": None})
    picture(*PICTURES[0]).save(folder / "red_1.png")
    told = tag(tag_job(folder, model), tmp_path / "a.jsonl")
    assert captions_of(folder) == {"red_1": "fate, saber (fate), 1girl"}
    assert told.last["event"] == "finished"
    tag(tag_job(folder, model, write__mode="overwrite", tags__categories=["year", "meta", "artist", "character"]),
        tmp_path / "b.jsonl")
    assert captions_of(folder) == {"red_1": "saber (fate), 2015, highres"}


def test_every_field_of_a_description_is_in_the_docs():
    text = (Path(__file__).resolve().parents[2] / "docs" / "taggers.md").read_text()
    missing = [one.key for group, kind in groups_of(TaggerDescription).items() for one in fields_of(group, kind)
               if one.key != "source.order" and f"| `{one.key}` | {one.info.help} |" not in text]
    assert not missing
