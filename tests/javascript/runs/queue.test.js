/** The order of the queue, and where a dragged run is put. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {beforeAt, dropPosition, inQueue} from "../../../javascript/modules/runs/queue/order.js";

const IDS = ["a", "b", "c", "d"];

describe("a run is put", () => {
    for (const [id, to, before] of [["c", 1, "b"], ["c", 0, "a"], ["a", 1, "c"], ["a", 3, ""], ["a", 9, ""], ["a", 0, null],
        ["d", 4, null], ["b", -1, "a"], ["a", -1, null], ["x", 1, null]]) {
        it(`${id} at ${to}: before ${before}`, () => assert.equal(beforeAt(IDS, id, to), before));
    }
});

describe("a run is dropped", () => {
    const after = (id, over, below) => {
        const before = beforeAt(IDS, id, dropPosition(IDS, id, over, below));
        if (before === null) return "abcd";
        const others = IDS.filter((other) => other !== id);
        others.splice(before ? others.indexOf(before) : others.length, 0, id);
        return others.join("");
    };
    for (const [id, over, below, order] of [["d", "a", false, "dabc"], ["d", "a", true, "adbc"], ["a", "d", true, "bcda"],
        ["a", "d", false, "bcad"], ["b", "c", false, "abcd"], ["c", "b", true, "abcd"], ["c", "c", true, "abcd"],
        ["a", "b", true, "bacd"]]) {
        it(`${id} on the ${below ? "lower" : "upper"} half of ${over}: ${order}`, () =>
            assert.equal(after(id, over, below), order));
    }
});

it("the queue is in order of place, without runs that are being started", () => {
    const run = (id, place, state = "waiting") => ({id, place, state});
    const runs = [run("late", 3), run("starting", null), run("early", 1), run("done", 2, "finished"), run("same", 3)];
    assert.deepEqual(inQueue(runs).map(({id}) => id), ["early", "late", "same"]);
});
