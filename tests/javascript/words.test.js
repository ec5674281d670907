/** Times, sizes and prompts in words, from the modules alone. */
import assert from "node:assert/strict";
import {describe, it} from "node:test";

import {format} from "../../javascript/modules/core/format.js";
import {promptWith} from "../../javascript/modules/runs/prompt.js";

/** @param {string} title @param {(value: any) => string} written @param {[any, string][]} cases */
function table(title, written, cases) {
    describe(title, () => {
        for (const [value, words] of cases) it(`${value} is “${words}”`, () => assert.equal(written(value), words));
    });
}

table("a duration", format.duration, [
    [0, "0 s"], [0.6, "1 s"], [59.4, "59 s"], [59.6, "1 min"], [60, "1 min"], [200, "3 min 20 s"], [599, "9 min 59 s"],
    [754, "13 min"], [3599, "60 min"], [3600, "1 h"], [5400, "1 h 30 min"], [7200, "2 h"], [200000, "2 days 7 h"]]);

table("what is left", format.left, [[null, ""], [0.2, "almost done"], [200, "3 min 20 s left"]]);

table("a learning rate", format.rate, [
    [1, "1"], [1e-4, "0.0001"], [5e-5, "0.00005"], [0.00012345, "0.000123"], [5e-7, "5e-7"], [1.25e-6, "1.3e-6"],
    [0, "0"], [null, "–"]]);

table("a file size", format.bytes, [
    [0, "0 bytes"], [999, "999 bytes"], [1500, "1.5 kB"], [37_900_000, "37.9 MB"], [151_000_000, "151 MB"]]);

table("a LoRA joins the prompt that is there",
    (before) => promptWith(before, {prompt: "<lora:penny-000002:1> penny", name: "penny-000002", tag: "penny"}), [
        ["", "<lora:penny-000002:1> penny"],
        ["a castle", "a castle, <lora:penny-000002:1> penny"],
        ["a castle, ", "a castle, <lora:penny-000002:1> penny"],
        ["penny, a castle", "penny, a castle, <lora:penny-000002:1>"],
        ["a castle, <lora:penny:0.8> penny", "a castle, <lora:penny-000002:0.8> penny"],
        ["<lora:penny-000001:1:0.5> penny, night", "<lora:penny-000002:1:0.5> penny, night"],
        ["<lora:penny-step00000100:1>", "<lora:penny-000002:1>"],
        ["<lora:penny-v2:1> penny", "<lora:penny-v2:1> penny, <lora:penny-000002:1> penny"],
        ["<lora:other:1>", "<lora:other:1>, <lora:penny-000002:1> penny"]]);
