/** Captions that become prompts, prompts that become captions, and tags that an edit took out. */

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {asPrompt, captionOf, fileNameOf, promptOfInfo, withoutTags} from "../../javascript/modules/captions/exchange/prompt_text.js";

test("brackets of a caption stand for themselves in a prompt, once", () => {
    assert.equal(asPrompt("saber (fate), [x]"), "saber \\(fate\\), \\[x\\]");
    assert.equal(asPrompt("saber \\(fate\\)"), "saber \\(fate\\)");
    assert.equal(asPrompt("A girl, smiling: 2 cats"), "A girl, smiling: 2 cats");
});

test("a prompt becomes a caption without LoRAs and weights, as in Python", () => {
    const table = readFileSync(new URL("../captions/intake/prompts.json", import.meta.url), "utf8");
    for (const [prompt, caption] of JSON.parse(table)) assert.equal(captionOf(prompt), caption, prompt);
    for (const tag of ["saber (fate)", "penny", ":) , x [y]"]) assert.equal(captionOf(asPrompt(tag)), tag.replace(" ,", ","));
});

test("tags are taken out and put back in their order, typed ones stay", () => {
    const tags = ["penny", "hat", "boots"];
    assert.equal(withoutTags(tags, new Set([1]), "penny, hat, boots", ","), "penny, boots");
    assert.equal(withoutTags(tags, new Set(), "penny, boots, no hat", ","), "penny, hat, boots, no hat");
    assert.equal(withoutTags(tags, new Set([0, 1, 2]), "", ";"), "");
    assert.equal(withoutTags(["a", "b"], new Set(), "a;c", ";"), "a; b; c");
});

test("a result has the name of the webui's file, with the extension of its content", () => {
    assert.equal(fileNameOf("http://127.0.0.1:7860/file=/w/outputs/00003-12 3.png?170", "image/png"), "00003-12 3.png");
    assert.equal(fileNameOf("http://x/file=C%3A%5Cw%5C0001-7.png", "image/jpeg"), "0001-7.jpg");
    assert.equal(fileNameOf("./train-lora/runs/1-penny/file?path=samples%2Fpenny-000004_00.png", "image/png"), "penny-000004_00.png");
    assert.equal(fileNameOf("data:image/png;base64,aaaa", "image/png"), "result.png");
    assert.equal(fileNameOf("blob:http://x/1-2", ""), "result.png");
    assert.equal(fileNameOf("http://x/100%.webp", "image/webp"), "100%.webp");
});

test("the prompt of a result is that below it, with all its lines", () => {
    const rest = "Steps: 8, Sampler: DPM++ 2M, Seed: 1";
    assert.equal(promptOfInfo(`penny <lora:penny:1>\nNegative prompt: bad\n${rest}`), "penny <lora:penny:1>");
    assert.equal(promptOfInfo(`penny,\nSteps to the house\n${rest}`), "penny,\nSteps to the house");
    assert.equal(promptOfInfo(rest), "");
    for (const none of ["", "Time taken: 3 sec."]) assert.equal(promptOfInfo(none), "");
});
