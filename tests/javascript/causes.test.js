import assert from "node:assert/strict";
import {test} from "node:test";
import {frameAround, lorasIn, originOf, runOfPrompt, sizeWithin} from "../../javascript/modules/captions/causes/origin.js";

test("the run is the newest that saved a LoRA of the prompt, the last named first", () => {
    const runs = [{id: "b", saved: [{path: "D:\\webui\\Lora\\penny-v2.safetensors"}, {path: "D:\\webui\\Lora\\penny-v2-000004.safetensors"}]},
        {id: "a", saved: [{path: "/webui/Lora/penny.safetensors"}]}, {id: "c"}];
    assert.deepEqual(lorasIn("a <lora:penny:0.8:lbw=ALL>, <LyCO: style :1> <hypernet:x:1>"), ["style", "penny"]);
    assert.equal(runOfPrompt(runs, "a <lora:penny:1>"), "a");
    assert.equal(runOfPrompt(runs, "<lora:penny:1> <lora:penny-v2-000004:0.5>"), "b");
    assert.equal(runOfPrompt(runs, "<lora:pen:1> penny"), "");
});

test("a run's set, and how its captions are read; a damaged run has none", () => {
    assert.deepEqual(originOf({dataset: {train_data_dir: "/set", activation_tag: " penny ", caption_extension: ".caption", resolution: "512"}}),
        {folder: "/set", trigger: "penny", settings: {caption_extension: ".caption"}, ofRun: true});
    for (const damaged of [{}, null, undefined, {dataset: {}}, {dataset: {train_data_dir: 3}}]) assert.equal(originOf(damaged), null);
});

test("a large sample is made smaller in proportion, a small one stays", () => {
    assert.deepEqual(sizeWithin(2048, 1024, 1024), {width: 1024, height: 512});
    assert.deepEqual(sizeWithin(512, 768, 1024), {width: 512, height: 768});
    assert.deepEqual(sizeWithin(4096, 2, 1024), {width: 1024, height: 1});
});

test("a click marks a square around it, inside the image", () => {
    assert.deepEqual(frameAround({x: 50, y: 100}, {width: 100, height: 200}), {left: 35, top: 85, right: 65, bottom: 115});
    assert.deepEqual(frameAround({x: 1, y: 199}, {width: 100, height: 200}), {left: 0, top: 170, right: 30, bottom: 200});
});
