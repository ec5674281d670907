import assert from "node:assert/strict";
import {test} from "node:test";

import {doneWords, madeCount} from "../../javascript/modules/captions/masks/make_words.js";

const FACTS = {images: 12, masks: 5, automatic: 2};

test("masks that are there are kept, replaced if a run made them, or all replaced", () => {
    assert.deepEqual([madeCount(FACTS, "if-missing").made, madeCount(FACTS, "if-missing").kept], [7, 5]);
    assert.deepEqual([madeCount(FACTS, "replace-automatic").made, madeCount(FACTS, "replace-automatic").kept], [9, 3]);
    assert.deepEqual([madeCount(FACTS, "replace-all").made, madeCount(FACTS, "replace-all").kept], [12, 0]);
    assert.match(madeCount(FACTS, "replace-automatic").words, /^9 images get a mask, 3 keep those they have, 2 masks are replaced/);
    assert.match(madeCount({images: 1, masks: 0, automatic: 0}, "if-missing").words, /^1 image gets a mask\. One undo/);
});

test("a run's end names its counts, and only what happened", () => {
    const ending = {event: "finished", time: 0, pictures: 4, written: 4, failed: 0, seconds: 3, mode: "if-missing"};
    assert.equal(doneWords(ending).level, "good");
    assert.match(doneWords(ending).text, /^Done: 4 masks made, in 3 s.*One undo/);
    assert.match(doneWords({...ending, event: "stopped", failed: 1, had_masks: 2}).text,
        /^Stopped: 4 masks made, 2 images kept existing masks, 1 image without a mask/);
    assert.deepEqual(doneWords({event: "error", time: 0, text: "No."}), {level: "error", text: "No."});
    assert.ok(!doneWords({...ending, mode: "preview", written: 0, pictures: 1}).text.includes("undo"));
});
