/** What Tab completes: how all proposed paths begin. */

import assert from "node:assert/strict";
import test from "node:test";

import {longestCommon} from "../../javascript/modules/core/path_text.js";

test("what all texts have in common is completed, whatever the case", () => {
    assert.equal(longestCommon([]), "");
    assert.equal(longestCommon(["/home/me"]), "/home/me");
    assert.equal(longestCommon(["/home/me/penny", "/home/me/pony"]), "/home/me/p");
    assert.equal(longestCommon(["C:\\Sets\\Penny", "C:\\sets\\pony"]), "C:\\Sets\\P");
    assert.equal(longestCommon(["a", "b"]), "");
    assert.equal(longestCommon(["abc", "ab"]), "ab");
});
