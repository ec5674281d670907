import assert from "node:assert/strict";
import {test} from "node:test";

import {captionWith} from "../../javascript/modules/captions/image/caption_text.js";
import {atRatio, drawn, handleAt, moved, resized, rounded, sizeOf} from "../../javascript/modules/captions/image/frame.js";
import {frameMirrored, frameTurned, quarterTurned, turnedSize, unturned} from "../../javascript/modules/captions/image/turn.js";

const SIZE = {width: 1000, height: 600};
const FRAME = {left: 100, top: 100, right: 300, bottom: 200};

/** @param {import("../../javascript/modules/captions/image/frame.js").Frame} frame */
const sides = ({left, top, right, bottom}) => [left, top, right, bottom].map((side) => Math.round(side * 1e6) / 1e6);

test("a frame is drawn from any corner, and ends at the image's edge", () => {
    assert.deepEqual(sides(drawn({x: 100, y: 100}, {x: 300, y: 200}, 0, SIZE)), [100, 100, 300, 200]);
    assert.deepEqual(sides(drawn({x: 300, y: 200}, {x: 100, y: 100}, 0, SIZE)), [100, 100, 300, 200]);
    assert.deepEqual(sides(drawn({x: 900, y: 500}, {x: 5000, y: 5000}, 0, SIZE)), [900, 500, 1000, 600]);
    assert.deepEqual(sides(drawn({x: 10, y: 20}, {x: -50, y: -50}, 0, SIZE)), [0, 0, 10, 20]);
});

test("a frame at a ratio keeps it wherever the image ends", () => {
    for (const ratio of [1, 832 / 1216, 2]) {
        for (const to of [{x: 2000, y: 350}, {x: 500, y: 2000}, {x: -900, y: 10}, {x: 420, y: -900}]) {
            const frame = drawn({x: 400, y: 300}, to, ratio, SIZE);
            const {width, height} = sizeOf(frame);
            assert.ok(Math.abs(width / height - ratio) < 1e-9, `${ratio} to ${to.x}, ${to.y}`);
            assert.ok(frame.left >= 0 && frame.top >= 0 && frame.right <= 1000 && frame.bottom <= 600 + 1e-9);
        }
    }
    assert.deepEqual(sides(drawn({x: 400, y: 300}, {x: 500, y: 310}, 1, SIZE)), [400, 300, 500, 400]);
});

test("a frame is moved within the image only", () => {
    assert.deepEqual(sides(moved(FRAME, 50, -30, SIZE)), [150, 70, 350, 170]);
    assert.deepEqual(sides(moved(FRAME, -500, 9000, SIZE)), [0, 500, 200, 600]);
});

test("a side or a corner is dragged, also beyond the opposite one", () => {
    assert.deepEqual(sides(resized(FRAME, "e", {x: 400, y: 999}, 0, SIZE)), [100, 100, 400, 200]);
    assert.deepEqual(sides(resized(FRAME, "n", {x: 0, y: 50}, 0, SIZE)), [100, 50, 300, 200]);
    assert.deepEqual(sides(resized(FRAME, "nw", {x: 120, y: 130}, 0, SIZE)), [120, 130, 300, 200]);
    assert.deepEqual(sides(resized(FRAME, "w", {x: 380, y: 0}, 0, SIZE)), [300, 100, 380, 200]);
});

test("a side that is dragged at a ratio moves the two others apart evenly", () => {
    assert.deepEqual(sides(resized(FRAME, "e", {x: 340, y: 0}, 2, SIZE)), [100, 90, 340, 210]);
    assert.deepEqual(sides(resized(FRAME, "s", {x: 0, y: 400}, 2, SIZE)), [0, 100, 400, 300]);  // 200 to the left edge
    assert.deepEqual(sides(resized(FRAME, "se", {x: 500, y: 150}, 2, SIZE)), [100, 100, 500, 300]);
});

test("another ratio keeps middle and area where there is room", () => {
    const square = atRatio(FRAME, 1, SIZE);
    assert.ok(Math.abs(sizeOf(square).width - Math.sqrt(20000)) < 1e-9);
    assert.deepEqual([square.left + square.right, square.top + square.bottom].map(Math.round), [400, 300]);
    assert.deepEqual(sides(atRatio({left: 0, top: 0, right: 1000, bottom: 600}, 0.5, SIZE)), [350, 0, 650, 600]);
    assert.equal(atRatio(FRAME, 0, SIZE), FRAME);
});

test("a frame becomes whole pixels inside the image", () => {
    assert.deepEqual(sides(rounded({left: 99.6, top: 0.2, right: 300.4, bottom: 200.1}, SIZE)), [100, 0, 301, 200]);
    assert.deepEqual(sides(rounded({left: 999, top: 599, right: 999.5, bottom: 599.1}, SIZE)), [992, 592, 1000, 600]);
});

test("edges, corners and the inside of a frame are told apart", () => {
    /** @type {[number, number, string][]} */
    const cases = [[100, 100, "nw"], [304, 150, "e"], [200, 196, "s"], [200, 150, "move"], [320, 150, ""], [300, 98, "ne"]];
    for (const [x, y, handle] of cases) assert.equal(handleAt(FRAME, {x, y}, 10), handle);
    assert.equal(handleAt({left: 0, top: 0, right: 12, bottom: 12}, {x: 6, y: 6}, 10), "move");
});

test("a turned frame shows the same part of the image", () => {
    assert.deepEqual(sides(frameTurned(FRAME, SIZE)), [400, 100, 500, 300]);
    let frame = FRAME;
    let size = SIZE;
    for (let turn = 0; turn < 4; turn += 1) {
        frame = frameTurned(frame, size);
        size = {width: size.height, height: size.width};
    }
    assert.deepEqual(sides(frame), sides(FRAME));
    assert.deepEqual(sides(frameMirrored(FRAME, SIZE)), [700, 100, 900, 200]);
});

test("turning what is mirrored turns what is seen", () => {
    assert.deepEqual(quarterTurned(unturned(), -1), {quarters: 3, mirrored: false, degrees: 0});
    assert.deepEqual(quarterTurned({quarters: 0, mirrored: true, degrees: 2}, 1), {quarters: 3, mirrored: true, degrees: 2});
});

test("a straightened image has the size that the server gives it", () => {
    /** As in tests/pictures/editing/test_turning.py. @type {[number, number, number, number, number, number][]} */
    const cases = [[1000, 600, 0, 5, 958, 518], [1000, 600, 1, 5, 518, 958], [64, 64, 0, 45, 45, 45], [1000, 90, 0, 30, 90, 51],
        [832, 1216, 3, -12.3, 1111, 609], [300, 200, 2, 0.1, 299, 199]];
    for (const [width, height, quarters, degrees, across, down] of cases) {
        assert.deepEqual(turnedSize({width, height}, {quarters, mirrored: false, degrees}), {width: across, height: down});
    }
});

test("a caption takes in what is chosen, and its other lines stay", () => {
    assert.equal(captionWith("penny, Full_Body, boots\nmore\n", ["full body", "boots"], ["portrait"], ","), "penny, portrait\nmore\n");
    assert.equal(captionWith("\n  a; b; c", ["b"], ["C", "d"], ";"), "\n  a; c; d");
    assert.equal(captionWith("", ["x"], ["close-up"], ","), "close-up");
    assert.equal(captionWith("a,b  ,c", ["x"], [], ","), "a,b  ,c");
});
