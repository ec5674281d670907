/** "Which epoch": its headline, the panels of its chart and what is shaded in it. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {featuresHint, headline, inWords, measuringWords, panelsOf, promptEnd, stretches, sureWords, valueText} from "../../javascript/modules/runs/epoch/words.js";

const POINT = {name: "penny-000001", path: "/p", label: "epoch 1", step: 10, held_out: 0.05, trained: null, drift: 0.125,
    likeness: null, flexibility: 0.9, copies: null, to_nearest: null, to_set: null, alike: false};
const FOUND = {path: "/p", name: "penny-000001", label: "epoch 1", strength: 0.85, sure: "likely"};

test("the headline names epoch and strength, or says that there is none", () => {
    assert.equal(headline(FOUND), "Epoch 1 at strength 0.85");
    assert.equal(headline({...FOUND, strength: null}), "Epoch 1");
    assert.equal(headline({...FOUND, path: "", sure: "flat"}), "No epoch stands out");
    assert.equal(headline({...FOUND, path: "", sure: "none"}), "No epoch can be proposed yet");
    assert.equal(sureWords(FOUND), "likely");
    assert.equal(sureWords({...FOUND, path: ""}), "");
    assert.equal(sureWords({...FOUND, sure: "guess"}), "a guess");
});

test("what was not measured has no line, and a panel without lines is left out", () => {
    const panels = panelsOf([POINT, {...POINT, held_out: 0.04}]);
    assert.deepEqual(panels.map(({title, lines}) => [title, lines.map(({key}) => key)]), [["Loss", ["held-out images"]],
        ["Drift without the trigger word", ["drift"]], ["Samples, by the tagger", ["flexibility"]]]);
    const alone = panelsOf([{...POINT, held_out: null, trained: 0.03}])[0];
    assert.deepEqual([alone.title, alone.lines[0].name], ["Loss on training images", "tl-line-unet"]);
    assert.deepEqual(["mirrored", "enlarged", "held_out"].map((source) => panelsOf([POINT], source)[0].lines[0].key),
        ["mirrored images", "enlarged images", "held-out images"]);
    assert.deepEqual(panelsOf([{...POINT, held_out: null, drift: null, flexibility: null}]), []);
});

test("likeness by image features is a panel of its own, and there is a hint without a model", () => {
    const panels = panelsOf([{...POINT, to_nearest: 0.81, to_set: 0.6}]);
    assert.deepEqual(panels[panels.length - 1].lines.map(({key, values}) => [key, values]),
        [["likeness to the set", [0.6]], ["to the nearest image", [0.81]]]);
    assert.match(inWords({...POINT, to_nearest: 0.81, to_set: 0.6}), /image features 0.81 like the nearest/);
    assert.equal(featuresHint({features: "Measured with clip.", features_dir: "/f"}), "");
    assert.match(featuresHint({features: "", features_dir: "/models/features"}), /in \/models\/features, and measure/);
});

test("neighbours that are equal within the measuring error are one stretch", () => {
    const points = [false, true, true, false, true].map((alike) => ({...POINT, alike}));
    assert.deepEqual(stretches(points), [[1, 2], [4, 4]]);
    assert.deepEqual(stretches([POINT]), []);
});

test("a point and a strength in words", () => {
    assert.equal(inWords(POINT), "epoch 1, held-out loss 0.0500, drift 0.13, flexibility 90 %");
    assert.equal(inWords({...POINT, drift: null, flexibility: null, copies: 0.25}),
        "epoch 1, held-out loss 0.0500, like one training image 25 %");
    assert.deepEqual([promptEnd(0.85), promptEnd(1), promptEnd(0.8000000001)], [":0.85", ":1", ":0.8"]);
});

test("the progress of measuring has what is done and left, and what it waits for", () => {
    const job = {state: "running", text: "Measuring the saved files", done: 40, total: 1200, seconds_left: 75};
    assert.equal(measuringWords(job, []), "Measuring the saved files · 40 of 1,200 · 1 min 15 s left");
    assert.equal(measuringWords({...job, text: "", done: null, total: null, seconds_left: null}, []), "Starting");
    const waiting = {...job, state: "waiting"};
    const run = {id: "a", name: "penny", alive: true, state: "running", seconds_left: 120, place: null};
    const queued = {...run, id: "b", name: "fox", alive: false, state: "waiting", place: 1};
    assert.equal(measuringWords(waiting, []), "Waiting for its turn");
    assert.equal(measuringWords(waiting, [run]), "Waiting for its turn: penny is being trained (2 min left)");
    assert.equal(measuringWords(waiting, [queued, run, {...queued, id: "c"}]),
        "Waiting for its turn: penny is being trained (2 min left), and 2 other runs are queued");
    assert.equal(measuringWords(waiting, [queued]), "Waiting for its turn, with 1 queued run");
});

test("a setting that a remedy changes, in words", () => {
    assert.deepEqual([valueText(null), valueText(3), valueText([]), valueText([{epochs: 2}])], ["empty", "3", "none", "1 more"]);
});
