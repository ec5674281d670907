/** The words of the view Grow. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {growthWords, targetsOf} from "../../javascript/modules/captions/grow/words.js";

const growth = (/** @type {object} */ values) => ({images: 3, made: 0, target: 4, repeats: 10, prompts: [], loras: [], size: [512, 512],
    candidates: [], drawing: {state: /** @type {const} */ ("idle"), done: 0, total: 0, error: ""}, ...values});

test("the next number to aim for is named, until there are enough", () => {
    assert.match(growthWords(growth({})), /^3 images\. Aim for 4 next/);
    assert.match(growthWords(growth({images: 1, target: 2})), /^1 image\. Aim for 2/);
    assert.match(growthWords(growth({images: 6, made: 4, target: 10})), /^2 images of your own and 4 generated\. Aim for 10/);
    assert.match(growthWords(growth({images: 26, made: 20, target: 39})), /enough for a character/);
});

test("targets that are reached, next and later", () => {
    assert.deepEqual(targetsOf(growth({})).map(({state}) => state), ["done", "done", "next", "later", "later", "later", "later"]);
    assert.ok(targetsOf(growth({images: 40, target: 60})).every(({state}) => state === "done"));
});
