/** The loss by noise level: smoothing by images, and what the run started from. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {bandCurves, isBands, kindOfModel, noiseWords, startOf} from "../../javascript/modules/runs/diagnosis/band_figures.js";

test("a band is averaged over images, and keeps its value while no step draws it", () => {
    const [low, high] = bandCurves([[[0.4, 3], [null, 0]], [[0.8, 1], [0.1, 2]], null, [[null, 0], [0.3, 2]]], 0);
    assert.deepEqual(low.map((loss) => loss.toFixed(6)), ["0.400000", "0.800000", "0.800000", "0.800000"]);
    assert.ok(Number.isNaN(high[0]) && high[2] === 0.1 && high[3] === 0.3);
    const [slow] = bandCurves([[[0.4, 3]], [[0.8, 1]]], 0.5);
    assert.ok(Math.abs(slow[1] - (0.25 * 0.4 * 3 + 0.5 * 0.8) / (0.25 * 3 + 0.5)) < 1e-12);
    assert.equal(bandCurves([[[0.4, 3]], [[null, 0]], [[null, 0]]], 0.9)[0][2].toFixed(6), "0.400000");
    assert.deepEqual(bandCurves([], 0.5), []);
});

test("the start is taken from the first steps only, and from enough images", () => {
    const steps = Array.from({length: 100}, (_, step) => /** @type {[number|null, number][]} */ ([[step < 10 ? 0.5 : 0.1, 1], [step ? null : 0.2, step ? 0 : 1]]));
    const [low, rare] = startOf(steps, 100);
    assert.equal(low && low.mean, 0.5);
    assert.equal(low && low.images, 10);
    assert.equal(rare, null);
});

test("events of other versions are not mistaken for bands", () => {
    assert.ok(isBands([[0.1, 2], [null, 0]]));
    for (const other of [undefined, null, 3, "x", [1], [[1]], [["a", 1]], {0: [1, 1]}]) assert.ok(!isBands(other));
});

test("the sentence names the loudest and the quietest band of any kind of model", () => {
    assert.match(noiseWords([0.3, 0.1, 0.02]), /low noise averages 0\.3 and high noise 0\.02/);
    assert.match(noiseWords([0.2, 0.15, 0.6]), /high noise averages 0\.6 and middle noise 0\.15/);
    assert.equal(noiseWords([NaN, 0.1, NaN]), "");
    assert.equal(kindOfModel({family: "SDXL", prediction: "v_prediction", zero_terminal_snr: true}),
        "SDXL, v prediction, zero-terminal SNR");
});
