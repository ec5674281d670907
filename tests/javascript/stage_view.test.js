import assert from "node:assert/strict";
import {test} from "node:test";

import {fitted, inImage, panned, toImage, toStage, zoomed} from "../../javascript/modules/captions/image/view.js";

const IMAGE = {width: 2000, height: 1000};
const STAGE = {width: 832, height: 632};

/** @param {number} value @param {number} expected */
function near(value, expected) {
    assert.ok(Math.abs(value - expected) < 1e-9, `${value} is not ${expected}`);
}

test("the whole image stands in the middle of the stage, with a margin", () => {
    assert.deepEqual(fitted(IMAGE, STAGE), {x: 16, y: 116, scale: 0.4});  // 800 of 832 across; (632 - 400) / 2
    assert.deepEqual(fitted({width: 100, height: 400}, STAGE), {x: 341, y: 16, scale: 1.5});
});

test("a tiny image is enlarged sixteen times at most", () => {
    assert.equal(fitted({width: 8, height: 8}, STAGE).scale, 16);
});

test("a point of the screen becomes the image's pixel there, and back", () => {
    const view = {x: 16, y: 116, scale: 0.4};
    assert.deepEqual(toImage(view, {x: 416, y: 316}), {x: 1000, y: 500});
    assert.deepEqual(toStage(view, {x: 1000, y: 500}), {x: 416, y: 316});
    assert.ok(toImage(view, {x: 0, y: 0}).x < 0);
});

test("zooming keeps the pixel under the pointer where it is", () => {
    const at = {x: 600, y: 400};
    let view = fitted(IMAGE, STAGE);
    const before = toImage(view, at);
    for (const factor of [1.5, 2, 1.25]) {
        view = zoomed(view, factor, at, IMAGE, STAGE);
        near(toImage(view, at).x, before.x);
        near(toImage(view, at).y, before.y);
    }
    near(view.scale, 0.4 * 1.5 * 2 * 1.25);
});

test("zooming out ends at the whole image, and in at sixteen screen pixels for one", () => {
    const near8 = zoomed(fitted(IMAGE, STAGE), 1000, {x: 20, y: 120}, IMAGE, STAGE);
    assert.equal(near8.scale, 16);
    assert.deepEqual(zoomed(near8, 1e-6, {x: 0, y: 0}, IMAGE, STAGE), fitted(IMAGE, STAGE));
});

test("an image cannot be moved off the stage", () => {
    const view = {x: 16, y: 116, scale: 0.4};
    assert.equal(panned(view, -5000, 0, IMAGE, STAGE).x, 48 - 800);
    assert.equal(panned(view, 5000, 5000, IMAGE, STAGE).x, 832 - 48);
    assert.equal(panned(view, 0, 5000, IMAGE, STAGE).y, 632 - 48);
    assert.deepEqual(panned(view, 7, -9, IMAGE, STAGE), {x: 23, y: 107, scale: 0.4});
});

test("a point outside becomes the nearest one of the image", () => {
    assert.deepEqual(inImage({x: -3, y: 1200}, IMAGE), {x: 0, y: 1000});
    assert.deepEqual(inImage({x: 12.5, y: 3}, IMAGE), {x: 12.5, y: 3});
});
