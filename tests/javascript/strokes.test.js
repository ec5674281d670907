import assert from "node:assert/strict";
import {test} from "node:test";

import {inverted, joined, LARGEST_BRUSH, nextSize, paintedSize, pressedSize, SMALLEST_BRUSH, softened, stampsBetween,
    touched, trainedShare} from "../../javascript/modules/captions/masks/strokes.js";

test("a mask is painted at the size of its image, and a huge one in a smaller copy of the same shape", () => {
    assert.deepEqual(paintedSize({width: 832, height: 1216}), {width: 832, height: 1216});
    assert.deepEqual(paintedSize({width: 6000, height: 3000}), {width: 2048, height: 1024});
    assert.deepEqual(paintedSize({width: 5000, height: 80}), {width: 2048, height: 33});
});

test("the keys for the brush's size always change it, up to its limits, and back", () => {
    for (let size = SMALLEST_BRUSH; size < LARGEST_BRUSH; size += 1) {
        assert.ok(nextSize(size, 1) > size && nextSize(size + 1, -1) < size + 1);
    }
    assert.equal(nextSize(LARGEST_BRUSH, 1), LARGEST_BRUSH);
    assert.equal(nextSize(SMALLEST_BRUSH, -1), SMALLEST_BRUSH);
});

test("only a pen that reports its pressure paints thinner strokes", () => {
    assert.equal(pressedSize(100, "mouse", 0.5), 100);
    assert.equal(pressedSize(100, "touch", 0.1), 100);
    assert.equal(pressedSize(100, "pen", 0), 100);
    assert.equal(pressedSize(100, "pen", 1), 100);
    assert.ok(pressedSize(100, "pen", 0.2) < 50);
});

test("stamps lie on the way, close to each other, and end where the pointer is", () => {
    for (const [to, radius] of [[{x: 90, y: 30}, 8], [{x: 10.2, y: 10}, 50], [{x: 10, y: 10}, 3], [{x: -400, y: 900}, 1]]) {
        const from = {x: 10, y: 10};
        const stamps = stampsBetween(from, to, radius);
        assert.deepEqual(stamps[stamps.length - 1], to);
        [from, ...stamps].reduce((before, at) => {
            assert.ok(Math.hypot(at.x - before.x, at.y - before.y) <= Math.max(0.5, radius * 0.15) + 1e-9);
            assert.ok(Math.abs((at.x - 10) * (to.y - 10) - (at.y - 10) * (to.x - 10)) < 1e-6);
            return at;
        });
    }
});

test("the touched pixels are inside the mask, and none are outside of it", () => {
    const size = {width: 100, height: 60};
    assert.deepEqual(touched({x: 50, y: 30}, 10, size), {left: 40, top: 20, width: 20, height: 20});
    assert.deepEqual(touched({x: -4, y: 58}, 10, size), {left: 0, top: 48, width: 6, height: 12});
    assert.equal(touched({x: -30, y: 30}, 10, size), null);
    assert.deepEqual(joined({left: 4, top: 9, width: 2, height: 2}, {left: 1, top: 10, width: 4, height: 5}),
        {left: 1, top: 9, width: 5, height: 6});
    assert.equal(joined(null, null), null);
});

test("inverting and the trained share", () => {
    assert.deepEqual([...inverted(Uint8Array.of(0, 55, 255))], [255, 200, 0]);
    assert.equal(trainedShare(Uint8Array.of(0, 255, 255, 0)), 0.5);
    assert.equal(trainedShare(new Uint8Array(0)), 0);
});

test("softening is the mean over a square, twice, with the edge repeated", () => {
    const [width, height, radius] = [7, 5, 1];
    const levels = Uint8Array.from({length: width * height}, (_, place) => (place * 97) % 256);
    const mean = (values) => values.map((_, place) => {
        let sum = 0;
        for (let dy = -radius; dy <= radius; dy += 1) {
            for (let dx = -radius; dx <= radius; dx += 1) {
                const x = Math.min(width - 1, Math.max(0, place % width + dx));
                const y = Math.min(height - 1, Math.max(0, Math.floor(place / width) + dy));
                sum += values[y * width + x];
            }
        }
        return sum / (2 * radius + 1) ** 2;
    });
    const wanted = mean(mean([...levels]));
    softened(levels, {width, height}, radius).forEach((level, place) => assert.ok(Math.abs(level - wanted[place]) <= 0.51));
    assert.deepEqual(softened(levels, {width, height}, 0), levels);
});
