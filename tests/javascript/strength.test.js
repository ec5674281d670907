/** The strength of a LoRA, as it is written behind its name in a prompt. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {readStrength, writeStrength} from "../../javascript/modules/tools/strength.js";

for (const [unet, text, blocks, written] of [
    ["", "", "", "1"], ["0.8", "", "", "0.8"], ["0,8", "", "", "0.8"], ["", "0.5", "", "te=0.5:unet=1"],
    ["0.3", "-0,5", "OUTALL", "te=-0.5:unet=0.3:lbw=OUTALL"], ["", "", "1,0,1", "1:lbw=1,0,1"]]) {
    test(`${unet || "none"}, ${text || "none"}, ${blocks || "none"} is ${written}`, () => {
        assert.equal(writeStrength({unet, text, blocks}), written);
        assert.equal(writeStrength(readStrength(written)), written);
    });
}
