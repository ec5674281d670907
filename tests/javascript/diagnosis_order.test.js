/** What the diagnosis shows: order, words, what can still be done, and pages. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {againstTypical, bySuspicion, doneWords, highest, imagesOf, pageOf, waysLeft} from "../../javascript/modules/runs/diagnosis/order.js";

const NOW = {gone: false, weight: 1, repeats: 1, retagged: false};
const ways = ["look", "weight", "retag", "leave_out", "unheard of"];
const finding = (/** @type {object|null} */ now) => /** @type {any} */ ({ways, now});

test("the most suspicious come first, then those with the highest loss, and the unmeasured last", () => {
    const image = (/** @type {number} */ index, /** @type {number} */ suspicion, /** @type {(number|null)[]} */ curve) =>
        /** @type {any} */ ({index, suspicion, curve});
    const sorted = bySuspicion([image(0, 0, [null]), image(1, 0, [0.1, 0.3]), image(2, 0, [0.9, 0.2]), image(3, 0.5, [0.1])]);
    assert.deepEqual(sorted.map(({index}) => index), [3, 1, 2, 0]);
});

test("what was done is said, and what would do nothing more is not offered", () => {
    assert.equal(doneWords(null), "");
    assert.equal(doneWords(NOW), "");
    assert.equal(doneWords({...NOW, weight: 0.5, retagged: true}), "Weight 0.5, Caption changed");
    assert.equal(doneWords({...NOW, repeats: 0}), "Left out");
    assert.equal(doneWords({...NOW, gone: true, repeats: 0}), "No longer in the folder");
    assert.deepEqual(waysLeft(finding(NOW)), ["look", "weight", "retag", "leave_out"]);
    assert.deepEqual(waysLeft(finding({...NOW, weight: 0.5})), ["look", "retag", "leave_out"]);
    assert.deepEqual(waysLeft(finding({...NOW, repeats: 0})), ["look", "retag"]);
    assert.deepEqual(waysLeft(finding({...NOW, gone: true})), ["look"]);
    assert.deepEqual(waysLeft(finding(null)), ["look"]);
});

test("an image is compared with the median, if both are measured", () => {
    assert.equal(againstTypical([0.2, 0.3], [0.2, 0.15]), "loss 0.3, 200 % of the median 0.15");
    assert.equal(againstTypical([null, null], [0.1, 0.1]), "its loss is not measured");
    assert.equal(againstTypical([0.02], [null]), "loss 0.02");
    assert.equal(highest([[0.1, null, 0.4], []]), 0.4);
    assert.equal(highest([[], [null]]), 1);
});

test("a group of copies is all of its images, and images to compare with are no group", () => {
    const of = (/** @type {string} */ kind) => imagesOf(/** @type {any} */ ({image: 4, kind, others: [2, 7]}));
    assert.deepEqual(of("duplicate"), [4, 2, 7]);
    assert.deepEqual(of("other"), [4]);
});

test("a page beyond the end is the last one", () => {
    const items = Array.from({length: 50}, (_, index) => index);
    assert.deepEqual(pageOf(items, 9, 24), {items: [48, 49], page: 2, pages: 3, first: 48});
    assert.deepEqual(pageOf(items, -1, 24).items.length, 24);
    assert.deepEqual(pageOf([], 3, 24), {items: [], page: 0, pages: 1, first: 0});
});
