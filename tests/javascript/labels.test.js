/** What buttons and lists say, from the modules alone. */
import assert from "node:assert/strict";
import {it} from "node:test";

import {goWords} from "../../javascript/modules/captions/actions/words.js";
import {failureOf, ApiError} from "../../javascript/modules/core/dom.js";
import {plotTitle} from "../../javascript/modules/testing/plot_view.js";

for (const [verb, what, count, words] of [
    ["add", "", 3, "Add to 3 captions"], ["remove", "", 1, "Remove from 1 caption"],
    ["replace", "", 2, "Replace in 2 captions"], ["pattern", "", 4, "Use regex on 4 captions"],
    ["sort", "", 1200, "Sort 1,200 captions"], ["dedupe", "", 5, "Remove duplicates in 5 captions"],
    ["pictures", "move", 2, "Move 2 images"], ["pictures", "delete", 1, "Delete 1 image"],
    ["pictures", "copy", 0, "Select images first"]]) {
    it(`${verb} ${what} of ${count} is “${words}”`, () => assert.equal(goWords(verb, what, count), words));
}

const damaged = {id: "20260801-140000-epochs", kind: "", created: 0};

it("a damaged plot is named by its folder, not by an unknown kind in 1970", () => {
    assert.equal(plotTitle(damaged), "Damaged plot 20260801-140000-epochs");
});

for (const [kind, title] of [["epochs", "Epochs"], ["strengths", "Strengths"], ["blocks", "Blocks"],
    ["prompts", "Prompts"]]) {
    it(`a plot of ${kind} is named by kind and time`, () => {
        assert.match(plotTitle({...damaged, kind, created: Date.now() / 1000}), new RegExp(`^${title}, today \\d\\d:`));
    });
}

for (const [caught, message, problems] of [
    [new ApiError("No.", ["a", "b"], 400), "No.", ["a", "b"]], [new TypeError("x is null"), "x is null", []],
    ["words", "words", []], [undefined, "undefined", []]]) {
    it(`a request that fails with ${caught} has a message and problems`, () => {
        const failure = failureOf(caught);
        assert.equal(failure.message, message);
        assert.deepEqual(failure.problems, problems);
    });
}
