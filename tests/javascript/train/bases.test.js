/** What the comparison of checkpoints says, and the layout of its tree. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {byNearness, layoutOf, nearnessWords, originWords} from "../../../javascript/modules/train/bases/words.js";

const base = (name, more = {}) => ({name, problems: [], parents: [], recipe: "", mixture: null, ...more});

test("the nearest to the chosen one come first, what cannot be compared last", () => {
    const bases = [base("a"), base("b"), base("c"), base("broken", {problems: ["damaged"]}), base("other")];
    const distances = [[0, 0.4, 0.1, null, null], [], [], [], []];
    assert.deepEqual(byNearness({bases, distances}, 0), [0, 2, 1, 4, 3]);
    assert.deepEqual(byNearness({bases, distances}, null), [0, 1, 2, 4, 3]);
});

test("a distance is said in words", () => {
    assert.deepEqual([0, 0.004, 0.1, 0.7, 1.4, null].map(nearnessWords), ["the same weights", "0.0040, very near", "0.10, near",
        "0.70, distantly related", "1.40, unrelated", "cannot be compared"]);
});

test("a merge names its parents, also those that are not there", () => {
    const bases = [base("a"), base("b")];
    const merged = base("m", {parents: [{name: "a", there: 0}, {name: "x", there: null}], recipe: "Weighted sum",
        mixture: {first: 0, second: 1, share: 0.7, lowest: 0.5, highest: 0.9}});
    assert.deepEqual(originWords({bases}, merged), ["Merged from a, x (not here), says its metadata (Weighted sum).",
        "By its weights, it is about 70 % a and 30 % b. Its blocks differ: 50 to 90 %."]);
});

test("each joint of the tree stands between the rows of its sides", () => {
    const tree = {distance: 0.5, children: [{distance: 0.1, children: [{leaf: 2}, {leaf: 0}]}, {leaf: 1}]};
    assert.deepEqual(layoutOf(tree, 3).joints, [{distance: 0.1, rows: [3, 4], sides: [0, 0]},
        {distance: 0.5, rows: [3.5, 5], sides: [0.1, 0]}]);
});
