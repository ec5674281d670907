/** Which runs the list shows, and which of them it folds away. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {isShown, neverStarted} from "../../javascript/modules/runs/filter.js";

const RUN = {id: "20260101-120000-penny", name: "Penny red hat", lora_name: "penny", note: "too stiff", state: "finished",
    starred: false, step: 90, saved: [{path: "x"}]};
const ALL = {words: "", state: "", starred: false};

describe("the filter", () => {
    for (const [change, filter, shown] of [
        [{}, {}, true], [{}, {words: "hat penny"}, true], [{}, {words: "HAT"}, true], [{}, {words: "stiff"}, true],
        [{}, {words: "20260101"}, true], [{}, {words: "blue"}, false], [{}, {starred: true}, false],
        [{starred: true}, {starred: true}, true], [{}, {state: "finished"}, true], [{}, {state: "failed"}, false],
        [{state: "lost"}, {state: "failed"}, true], [{state: "held"}, {state: "open"}, true],
        [{state: "waiting"}, {state: "open"}, true], [{starred: true}, {starred: true, words: "blue"}, false]]) {
        it(`${JSON.stringify(change)} by ${JSON.stringify(filter)}`, () =>
            assert.equal(isShown({...RUN, ...change}, {...ALL, ...filter}), shown));
    }
});

describe("runs that ended before their first step", () => {
    const early = {step: 0, saved: []};
    for (const [change, newest, folded] of [
        [{...early, state: "stopped"}, false, true], [{...early, state: "lost"}, false, true],
        [{...early, state: "failed"}, false, true], [{...early, state: "failed"}, true, false],
        [{...early, state: "running"}, false, false], [{...early, state: "waiting"}, false, false],
        [{...early, state: "damaged"}, false, false], [{state: "stopped"}, false, false],
        [{...early, state: "stopped", starred: true, note: ""}, false, false], [{step: 0, state: "lost"}, false, false]]) {
        it(`${JSON.stringify(change)}, newest ${newest}`, () =>
            assert.equal(neverStarted({...RUN, note: "", ...change}, newest), folded));
    }
});
