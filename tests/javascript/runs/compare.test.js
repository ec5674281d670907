import assert from "node:assert/strict";
import {test} from "node:test";

import {assignColors, colorClass} from "../../../javascript/modules/runs/compare/colors.js";
import {along, columnKey, columnsOf, nearest, pointsOf} from "../../../javascript/modules/runs/compare/series.js";
import {sorted, typedValues} from "../../../javascript/modules/runs/compare/values.js";

const RUN = {
    steps: {step: [1, 2, 3, 4], loss: [0.4, null, 0.2, 0.1], unet: [1e-4, 1e-4, null, null], text: [5e-5, 5e-5, 5e-5, null],
        gradient: [null, 1, 2, 3], bands: [], time: [10, 20, 45, 50]},
    validation: [{step: 2, loss: 0.5}, {step: 4, loss: 0.3}], norms: [{step: 4, unet: null, text_encoder: 0.7}],
    started: {steps_per_epoch: 2}, job: {dataset: {train_batch_size: 3}, training: {gradient_accumulation_steps: 2}}};

test("a run's curves lie on the chosen axis", () => {
    assert.deepEqual(pointsOf(RUN, "loss", "step"), [[1, 0.4], [2, null], [3, 0.2], [4, 0.1]]);
    assert.deepEqual(pointsOf(RUN, "loss", "epoch").map(([x]) => x), [0.5, 1, 1.5, 2]);
    assert.deepEqual(pointsOf(RUN, "loss", "images").map(([x]) => x), [6, 12, 18, 24]);
    assert.deepEqual(pointsOf(RUN, "loss", "time").map(([x]) => x), [10, 20, 45, 50]);
    assert.deepEqual(pointsOf(RUN, "validation", "time"), [[20, 0.5], [50, 0.3]]);
    assert.deepEqual(pointsOf(RUN, "norm", "epoch"), [[2, 0.7]]);
    assert.deepEqual(pointsOf(RUN, "rate", "step").map(([, value]) => value), [1e-4, 1e-4, 5e-5, null]);
});

test("a run of which nothing is known yet has no place on the axis", () => {
    const empty = {steps: {step: [], loss: [], unet: [], text: [], gradient: [], bands: [], time: []}, validation: [], norms: [],
        started: null, job: null};
    for (const axis of ["step", "epoch", "images", "time"]) assert.deepEqual(pointsOf(empty, "loss", axis), []);
    assert.ok(Number.isNaN(along(empty, "epoch")(3)) && Number.isNaN(along(empty, "time")(3)));
    assert.equal(nearest([], 3), -1);
    assert.equal(nearest([[1, 0], [4, 0], [9, 0]], 6), 1);
});

test("the same epoch of all runs is one column, and steps are where a run has several in an epoch", () => {
    const first = [{step: 0, epoch: 0}, {step: 10, epoch: 1}, {step: 20, epoch: 2}];
    const second = [{step: 7, epoch: 1}, {step: 21, epoch: 3}];
    assert.deepEqual(columnsOf([first, second]).map(({title}) => title), ["No LoRA", "Epoch 1", "Epoch 2", "Epoch 3"]);
    assert.deepEqual(columnsOf([first, [...second, {step: 25, epoch: 3}]]).map(({title}) => title),
        ["No LoRA", "Step 7", "Step 10", "Step 20", "Step 21", "Step 25"]);
    assert.deepEqual(columnsOf([[], []]), []);
    assert.equal(columnKey({step: 7, epoch: 1}, false), "e1");
});

test("a run keeps its color while others come and go", () => {
    assignColors(["a", "b", "c"]);
    assert.deepEqual(["a", "b", "c"].map(colorClass), ["tl-series-0", "tl-series-1", "tl-series-2"]);
    assignColors(["c", "d"]);
    assert.deepEqual(["c", "d"].map(colorClass), ["tl-series-2", "tl-series-0"]);
    assignColors(["a", "c", "d"]);
    assert.equal(new Set(["a", "c", "d"].map(colorClass)).size, 3);
    assert.equal(colorClass("c"), "tl-series-2");
});

test("values are typed with commas or one a line, and what is no number stays for the server to name", () => {
    const int = {type: "int", optional: false};
    assert.deepEqual(typedValues(int, "8, 16\n32;x"), [8, 16, 32, "x"]);
    assert.deepEqual(typedValues({type: "float", optional: true}, "1e-4,empty"), [1e-4, null]);
    assert.deepEqual(typedValues({type: "str", optional: false}, "a, b\n\n c "), ["a, b", "c"]);
    assert.deepEqual(typedValues({type: "texts", optional: false}, "a=1 | b=2\nc"), [["a=1", "b=2"], ["c"]]);
    assert.deepEqual(typedValues({type: "bool", optional: false}, "on\nperhaps"), [true, "perhaps"]);
    assert.deepEqual(sorted([32, 8, 16]), [8, 16, 32]);
    assert.deepEqual(sorted(["b", "a", 1]), ["b", "a", 1]);
});
