/** Where a run stands, in words: what it is held for, when a request is granted, how long it was trained. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {heldLately, stateNow, timeTrained, weightsText, whenGranted} from "../../javascript/modules/runs/state_words.js";

describe("the state with what was asked for", () => {
    for (const [state, control, begun, seen] of [
        ["running", [], true, "running"], ["running", [], false, "starting"], ["held", [], true, "held"],
        ["held", [], false, "held"], ["held", ["pause"], true, "pausing"], ["paused", ["pause"], true, "paused"],
        ["running", ["pause"], true, "pausing"], ["paused", ["pause", "stop"], true, "stopping"],
        ["held", ["stop"], true, "stopping"], ["waiting", [], false, "waiting"], ["finished", ["stop"], true, "finished"]]) {
        it(`${state}, asked ${control}, ${begun} is ${seen}`, () => assert.equal(stateNow(state, control, begun), seen));
    }
});

describe("the time trained", () => {
    for (const [seconds, still, words] of [[250, 0, " in 4 min 10 s"], [250, 0.4, " in 4 min 10 s"],
        [250, 2220, " in 4 min 10 s (paused 37 min)"], [0, 30, ""], [undefined, undefined, ""], [60, undefined, " in 1 min"]]) {
        it(`${seconds} and ${still}`, () => assert.equal(timeTrained({seconds, still_seconds: still}), words));
    }
});

describe("what the run was held for", () => {
    const hold = {time: 100, seconds: 6, why: "an image in txt2img"};
    for (const [last, step, words] of [[hold, {time: 110}, "held 6 s for an image in txt2img"],
        [{...hold, seconds: 0.3}, {time: 110}, "held under 1 s for an image in txt2img"], [hold, {time: 161}, ""],
        [null, {time: 110}, ""], [hold, null, ""]]) {
        it(`${JSON.stringify(last)} at ${JSON.stringify(step)}`, () => assert.equal(heldLately(last, step), words));
    }
});

describe("when a request is granted", () => {
    const training = {name: "train", text: "Epoch 1 of 3"};
    for (const [state, heldFor, phase, stepping, words] of [
        ["running", "", training, true, "as soon as this step is done"],
        ["running", "", training, false, "as soon as the next step is done"],
        ["running", "", {name: "", text: ""}, false, "as soon as possible (now: starting the worker)"],
        ["running", "", {name: "model", text: "Loading mini.safetensors…"}, false,
            "as soon as possible (now: Loading mini.safetensors)"],
        ["running", "", {name: "latents", text: "Encoding the images"}, false,
            "as soon as possible (now: Encoding the images)"],
        ["held", "a plot", training, true, "as soon as a plot is done"]]) {
        it(words, () => assert.equal(whenGranted({state, held_for: heldFor}, phase, stepping), words));
    }
});

describe("how a run got its model", () => {
    const earlier = "Trains on the webui's own copy of the model: 38 MB are in memory once and not twice.";
    for (const [text, open, words] of [
        [earlier, true, earlier],
        [earlier, false, "Trained on the webui's own copy of the model: 38 MB were in memory once and not twice."],
        ["Trains on a copy of the model that the webui holds, made without reading the file.", false,
            "Trained on a copy of the model that the webui holds, made without reading the file."],
        ["The model is read from the file, because it is another's.", false,
            "The model was read from the file, because it is another's."],
        ["The webui's loaded model, shared with it, which saves 38 MB of memory.", false,
            "The webui's loaded model, shared with it, which saves 38 MB of memory."]]) {
        it(`${open}: ${words}`, () => assert.equal(weightsText(text, open), words));
    }
});
