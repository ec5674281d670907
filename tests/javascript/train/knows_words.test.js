import assert from "node:assert/strict";
import test from "node:test";
import {levelColor, levelWords, listOf, planWords, settingsWords, surpriseWords} from "../../../javascript/modules/train/knows/words.js";

const PLAN = {trigger: "penny", traits: [], prompt: "", images: 21, taggers: [], checkpoint: "nai", drawn: 8, seconds: null, notes: []};

test("a word that draws something else says so before anything else", () => {
    assert.equal(levelWords({level: "unknown", means_something_else: true}), "Means something else");
    assert.equal(levelWords({level: "half", means_something_else: false}), "Half known");
    assert.deepEqual(["known", "half", "unknown", "unsure"].map((level) => levelColor({level, means_something_else: false})),
        ["good", "warning", "plain", "plain"]);
});

test("what will be done counts the images of each word and those without any", () => {
    assert.match(planWords(PLAN, 3, 4), /^nai generates 16 images: 4 for each of 3 words and 4 without any/);
    assert.match(planWords(PLAN, 1, 0), /^The loss of your 21 images is measured/);
    assert.match(planWords({...PLAN, seconds: 60}, 3, 4), /About 2 min\.$/);
});

test("a list of words has each once, without empty ones", () => {
    assert.deepEqual(listOf(" red boots,, bag ,\nred boots"), ["red boots", "bag"]);
});

test("settings and surprise in words", () => {
    assert.equal(settingsWords({"training.max_train_epochs": 1, "training.max_train_steps": null, "dataset.activation_tag": "miku"}),
        "1 epoch, trigger word miku");
    assert.match(surpriseWords(1.6), /1\.6 × .*caption agree/);
    assert.match(surpriseWords(0.7), /easy/);
    assert.equal(surpriseWords(1), "1.0 × the usual loss.");
});
