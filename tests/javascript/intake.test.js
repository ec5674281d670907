/** Files that come in: folders that are walked, pieces that are sent, and what is said of it. */

import assert from "node:assert/strict";
import {test} from "node:test";

import {filesIn, pasted, usable} from "../../javascript/modules/captions/intake/files.js";
import {Upload} from "../../javascript/modules/captions/intake/upload.js";
import {defaultFolder, planWords, uploadWords} from "../../javascript/modules/captions/intake/words.js";

globalThis.File ??= (await import("node:buffer")).File;

const fileEntry = (fullPath, content = "x") => ({isFile: true, fullPath,
    file: (take) => take(new File([content], fullPath.split("/").pop()))});

/** A folder that gives its entries a hundred at a time, as browsers do. */
function folderEntry(fullPath, entries) {
    return {isFile: false, fullPath, createReader: () => {
        let at = 0;
        return {readEntries: (take) => {
            take(entries.slice(at, at + 100));
            at += 100;
        }};
    }};
}

const broken = (fullPath) => ({isFile: true, fullPath, file: (take, fail) => fail(new Error("gone"))});

test("folders are walked to the end, whatever is in them", async () => {
    const many = Array.from({length: 250}, (_, number) => fileEntry(`/set/10_cat/${number}.png`));
    const found = await filesIn([folderEntry("/set", [folderEntry("/set/10_cat", many), broken("/set/gone.png"),
        folderEntry("/set/empty", [])]), new File(["y"], "single.png")]);
    assert.equal(found.files.length, 251);
    assert.equal(found.files[249].path, "set/10_cat/249.png");
    assert.deepEqual(found.left.map(({path}) => path), ["set/gone.png"]);
    assert.match(found.left[0].reason, /gone/);
});

test("what is neither image nor caption is not sent", () => {
    const file = new File([""], "x");
    const found = usable({files: ["a.PNG", "b.txt", "c.mp4", "d", "e.png.exe"].map((path) => ({path, file})), left: []}, [".png", ".txt"]);
    assert.deepEqual(found.files.map(({path}) => path), ["a.PNG", "b.txt"]);
    assert.deepEqual(found.left.map(({path}) => path), ["c.mp4", "d", "e.png.exe"]);
});

test("a pasted image gets a name, a pasted file keeps its own", () => {
    const [image, own] = pasted([new File(["x"], "image.png", {type: "image/png"}), new File(["y"], "fox.jpg")],
        new Date(2026, 0, 2, 3, 4, 5));
    assert.equal(image.name, "pasted-20260102-030405.png");
    assert.equal(own.name, "fox.jpg");
});

/** @param {string[]} contents */
const incoming = (contents) => contents.map((content, number) => ({path: `${number}.png`, file: new File([content], "x")}));

test("files go in pieces, in order, and at most three at once", async () => {
    const sent = [];
    let now = 0;
    let most = 0;
    const upload = new Upload(incoming(["abcdefg", "", "hij", "k", "l"]), {pieceBytes: 3, lost: () => false, send: async (piece, content) => {
        now += 1;
        most = Math.max(most, now);
        sent.push([piece.number, piece.start, piece.total, await content.text()]);
        await new Promise(setImmediate);
        now -= 1;
        return "";
    }});
    assert.equal(await upload.run(), true);
    assert.deepEqual(sent.filter(([number]) => number === 0), [[0, 0, 7, "abc"], [0, 3, 7, "def"], [0, 6, 7, "g"]]);
    assert.deepEqual(sent.filter(([number]) => number === 1), [[1, 0, 0, ""]]);
    assert.equal(most, 3);
    assert.deepEqual([upload.sentFiles, upload.sentBytes, upload.bytes], [5, 12, 12]);
});

test("a refused file is not sent to its end, and a lost piece is sent again", async () => {
    let attempts = 0;
    const starts = [];
    const upload = new Upload(incoming(["abcdef"]), {pieceBytes: 2, lost: () => true, pause: async () => {}, send: async ({start}) => {
        starts.push(start);
        attempts += 1;
        if (attempts === 1) throw new Error("lost");
        return start ? "it is no image" : "";
    }});
    assert.equal(await upload.run(), true);
    assert.deepEqual(starts, [0, 0, 2]);
    assert.equal(upload.sentBytes, 6);
});

test("a piece that is refused for good ends the upload with its error, a cancel without one", async () => {
    const full = new Upload(incoming(["a", "b"]), {pieceBytes: 2, lost: () => false, send: async () => {
        throw new Error("The disk is full.");
    }});
    await assert.rejects(full.run(), /disk is full/);
    const cancelled = new Upload(incoming(["a", "b", "c", "d", "e"]), {pieceBytes: 2, lost: () => false, send: async () => {
        cancelled.cancel();
        throw new Error("aborted");
    }});
    assert.equal(await cancelled.run(), false);
    assert.ok(cancelled.next <= 3);
});

test("the progress and the plan in words", () => {
    let clock = 0;
    const upload = new Upload(incoming(["x".repeat(100000), "y".repeat(100000)]), {pieceBytes: 1, lost: () => false,
        send: async () => "", now: () => clock});
    assert.equal(upload.secondsLeft, null);
    clock = 4000;
    Object.assign(upload, {sentBytes: 100000, sentFiles: 1});
    assert.equal(uploadWords(upload), "1 of 2 files, 100 kB of 200 kB, 4 s left");
    assert.equal(planWords({images: 1, captions: 0, masks: 0}), "1 image");
    assert.equal(planWords({images: 2, captions: 1, masks: 3}), "2 images with 1 caption and 3 masks");
    assert.equal(planWords({images: 0, captions: 2, masks: 0}), "2 captions");
    assert.equal(planWords({images: 0, captions: 0, masks: 0}), "nothing");
});

test("new images go to the current image's folder, else to the largest", () => {
    const folders = [{path: "", pictures: 2}, {path: "10_cat", pictures: 9}];
    assert.equal(defaultFolder(folders, null), "10_cat");
    assert.equal(defaultFolder(folders, ""), "");
    assert.equal(defaultFolder([], null), "");
});
