import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {asked, bakeWords} from "../../../javascript/modules/train/goal/words.js";

describe("the answers that are sent", () => {
    it("say whether the base model knows it only if the user has said so", () => {
        assert.equal(asked({kind: "character", known: "yes"}).known, true);
        assert.equal(asked({kind: "outfit", known: "no"}).known, false);
        for (const known of ["", undefined, true, false]) assert.ok(!("known" in asked({kind: "character", known})));
        assert.ok(!("known" in asked({kind: "style", known: "yes"})));
    });
});

describe("a test bake that has ended", () => {
    for (const [run, words] of /** @type {const} */ ([
        [{state: "finished"}, "is done"], [{state: "failed", out_of_memory: true}, "will need less"],
        [{state: "failed", diverged: true}, "will be lower"], [{state: "failed"}, "Runs says why"],
        [{state: "stopped"}, "was stopped"], [{state: "lost"}, "was interrupted"]])) {
        it(`${JSON.stringify(run)} ${words}`, () => assert.ok(bakeWords(run).includes(words)));
    }
});
