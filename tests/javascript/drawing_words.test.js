/** How far a drawing is, in words. */
import assert from "node:assert/strict";
import {it} from "node:test";

import {drawingWords} from "../../javascript/modules/core/drawing_words.js";

for (const [state, done, total, left, words] of [
    ["queued", 0, 12, null, "Queued: 12 images"], ["queued", 0, 1, null, "Queued: 1 image"],
    ["waiting", 0, 12, null, "Waiting for the webui"], ["drawing", 0, 12, null, "Image 1 of 12"],
    ["drawing", 2, 12, 65, "Image 3 of 12, 1 min 5 s left"], ["queued", 2, 12, 65, "Image 3 of 12, 1 min 5 s left"],
    ["waiting", 2, 12, 65, "Image 3 of 12, 1 min 5 s left"], ["drawing", 12, 12, 0, "Image 12 of 12, almost done"]]) {
    it(words, () => assert.equal(drawingWords({state, done, total, seconds_left: left}), words));
}
