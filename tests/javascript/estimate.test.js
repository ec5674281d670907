/** How long a plot takes, from earlier ones. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {estimateText} from "../../javascript/modules/testing/estimate.js";

const PACE = {seconds: 4, steps: 20, pixels: 512 * 512};
const PLOT = {pictures: 12, steps: 20, width: 512, height: 512, checkpoints: 1};

describe("the estimate of a plot", () => {
    for (const [pace, change, words] of [
        [PACE, {}, "12 images, about 48 s"], [PACE, {steps: 40}, "12 images, about 1 min 36 s"],
        [PACE, {width: 1024, height: 1024}, "12 images, about 3 min 12 s"], [PACE, {pictures: 1}, "1 image, about 4 s"],
        [{...PACE, seconds: 0.01}, {pictures: 1}, "1 image, about 1 s"],
        [PACE, {checkpoints: 3}, "12 images, about 48 s, and the loading of 3 checkpoints"],
        [null, {}, "12 images, time unknown before the first plot with this checkpoint"],
        [PACE, {steps: NaN}, "12 images"], [PACE, {width: 0}, "12 images"]]) {
        it(words, () => assert.equal(estimateText(pace, {...PLOT, ...change}), words));
    }
});
