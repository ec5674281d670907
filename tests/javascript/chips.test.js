import assert from "node:assert/strict";
import {test} from "node:test";

import {chunkMarks, chunkWords, factsOf} from "../../javascript/modules/captions/chips.js";
import {tagsIn} from "../../javascript/modules/captions/clipboard.js";

/** Tags of the given numbers of tokens with a comma of one token between two. @param {number[]} sizes */
function tagsOf(sizes) {
    let at = 0;
    return sizes.map((size) => {
        const tag = {begins: at, ends: at + size};
        at += size + 1;
        return tag;
    });
}

test("a mark stands before the tag that begins a chunk", () => {
    const marks = chunkMarks(tagsOf([70, 4, 10, 10]), 225);  // 0–70, 71–75, 76–86
    assert.deepEqual(marks.map((mark) => [mark.starts, mark.cut]), [[0, 0], [0, 0], [75, 0], [0, 0]]);
});

test("a comma that ends a chunk belongs to the tag before it", () => {
    const marks = chunkMarks(tagsOf([74, 10]), 225);  // 0–74, the comma is token 75, 75–85
    assert.deepEqual(marks.map((mark) => [mark.starts, mark.cut]), [[0, 0], [75, 0]]);
});

test("a tag across the end of a chunk is cut and the next one has no mark", () => {
    const marks = chunkMarks(tagsOf([73, 5, 5]), 225);  // 74–79
    assert.deepEqual(marks.map((mark) => [mark.starts, mark.cut]), [[0, 0], [0, 75], [0, 0]]);
});

test("every chunk has its own mark, and what is beyond the limit is known", () => {
    const marks = chunkMarks(tagsOf(Array(30).fill(5)), 150, 2);
    assert.deepEqual(marks.filter((mark) => mark.starts || mark.cut).map((mark) => mark.starts || mark.cut), [75, 150]);
    assert.deepEqual(marks.map((mark) => mark.beyond), Array.from({length: 30}, (_, place) => place * 6 >= 150));
    assert.deepEqual(marks.map((mark) => mark.kept).filter(Boolean), [true, true]);
});

test("tags that are being saved have no tokens yet and no marks", () => {
    assert.deepEqual(chunkMarks([{begins: 0, ends: 0}, {begins: 0, ends: 0}], 75).map((mark) => mark.starts + mark.cut), [0, 0]);
});

test("the words say what is not trained and what shuffling does", () => {
    const picture = /** @type {any} */ ({trained_tokens: 80, prose: false, tag_list: Array(20).fill({}), text: "x"});
    assert.equal(chunkWords({...picture, trained_tokens: 75}, 75, true, 1, true), "");
    assert.match(chunkWords(picture, 75, false, 1, true), /5 tokens beyond 75 are not trained/);
    assert.doesNotMatch(chunkWords(picture, 150, false, 1, true), /not trained|shuffled/);
    assert.match(chunkWords(picture, 150, true, 1, true), /only the first one keeps its place/);
    assert.match(chunkWords(picture, 150, true, 0, false), /estimated.*shuffled/);
    assert.match(factsOf({...picture, width: 0}, 150), /80 of 150 tokens/);
});

test("pasted text is taken apart at separators and lines, each tag once", () => {
    assert.deepEqual(tagsIn("penny, hat,, Hat\r\nred boots ,penny\n", ","), ["penny", "hat", "red boots"]);
    assert.deepEqual(tagsIn("a, b; c", ";"), ["a, b", "c"]);
    assert.deepEqual(tagsIn(" \n ", ","), []);
});
