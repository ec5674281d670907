/** A mask on a canvas: opaque grey, white is trained. Strokes and changes of the whole can be undone and redone. */

import {h} from "../../core/dom.js";
import {joined, touched, trainedShare} from "./strokes.js";

/** @typedef {import("./strokes.js").Box} Box */
/** @typedef {import("./strokes.js").Point} Point */
/** @typedef {import("./strokes.js").Size} Size */
/** @typedef {{box: Box, before: Uint8Array, after: Uint8Array}} Step */

const MOST_STEPS = 100;
const MOST_BYTES = 256 << 20;
const SHARE_SIDE = 128;

export class MaskCanvas {
    /** @param {Size} size */
    constructor(size) {
        this.size = size;
        this.element = h("canvas", {class: "tl-mask-canvas", width: size.width, height: size.height});
        this.context = contextOf(this.element);
        /** The mask before the current stroke. */
        this.before = h("canvas", {width: size.width, height: size.height});
        /** @type {Box|null} what the current stroke has touched */
        this.box = null;
        /** @type {Step[]} */
        this.steps = [];
        /** How many of the steps are applied; the others can be redone. */
        this.position = 0;
        /** How many were applied when the mask was last saved. */
        this.saved = 0;
        this.fillWith(255);
    }

    get changed() {
        return this.position !== this.saved;
    }

    /** @param {number} level */
    fillWith(level) {
        this.context.fillStyle = `rgb(${level} ${level} ${level})`;
        this.context.fillRect(0, 0, this.size.width, this.size.height);
    }

    /** Take over an existing mask, which is not a step. @param {CanvasImageSource} image */
    load(image) {
        this.context.drawImage(image, 0, 0, this.size.width, this.size.height);
    }

    begin() {
        contextOf(this.before).drawImage(this.element, 0, 0);
        this.box = null;
    }

    /**
     * @param {Point[]} stamps @param {number} radius @param {number} softness 0 to 1, the share of the radius that fades
     * @param {boolean} erase
     */
    stamp(stamps, radius, softness, erase) {
        const brush = brushOf(radius, softness, erase);
        // The lighter of both (or the darker), so that overlapping soft stamps do not add up.
        this.context.globalCompositeOperation = erase ? "darken" : "lighten";
        for (const {x, y} of stamps) {
            this.context.drawImage(brush, x - brush.width / 2, y - brush.height / 2);
            this.box = joined(this.box, touched({x, y}, brush.width / 2 + 1, this.size));
        }
        this.context.globalCompositeOperation = "source-over";
    }

    /** End a stroke, which becomes a step unless it lay outside of the mask. */
    end() {
        const {box} = this;
        this.box = null;
        if (box) this.keep(box, levelsIn(contextOf(this.before), box), levelsIn(this.context, box));
    }

    /** @param {(levels: Uint8Array) => Uint8Array} change of the whole mask, as one step */
    change(change) {
        const before = this.levels();
        this.replace(change(before), before);
    }

    /** @param {CanvasImageSource} image an automatic mask that replaces this one, as one step */
    take(image) {
        const before = this.levels();
        this.load(image);
        this.replace(this.levels(), before);
    }

    /** @returns {Uint8Array} */
    levels() {
        return levelsIn(this.context, this.whole);
    }

    /** @returns {number} the trained share, 0 to 1, measured in a small copy; 0 only if the mask is black */
    share() {
        const small = h("canvas", {width: SHARE_SIDE, height: SHARE_SIDE});
        contextOf(small).drawImage(this.element, 0, 0, SHARE_SIDE, SHARE_SIDE);
        const all = {left: 0, top: 0, width: SHARE_SIDE, height: SHARE_SIDE};
        return trainedShare(levelsIn(contextOf(small), all)) || trainedShare(this.levels());
    }

    get whole() {
        return {left: 0, top: 0, ...this.size};
    }

    /** @param {Uint8Array} after @param {Uint8Array} before */
    replace(after, before) {
        this.put(this.whole, after);
        if (after.some((level, place) => level !== before[place])) this.keep(this.whole, before, after);
    }

    /** @param {Box} box @param {Uint8Array} before @param {Uint8Array} after */
    keep(box, before, after) {
        this.steps.length = this.position;
        if (this.saved > this.position) this.saved = -1;  // what was saved can no longer be reached
        this.steps.push({box, before, after});
        this.position += 1;
        let bytes = this.steps.reduce((sum, step) => sum + 2 * step.before.length, 0);
        while (this.steps.length > 1 && (bytes > MOST_BYTES || this.steps.length > MOST_STEPS)) {
            bytes -= 2 * this.steps[0].before.length;
            this.steps.shift();
            this.position -= 1;
            this.saved -= 1;
        }
    }

    undo() {
        if (!this.position) return;
        this.position -= 1;
        const {box, before} = this.steps[this.position];
        this.put(box, before);
    }

    redo() {
        if (this.position === this.steps.length) return;
        const {box, after} = this.steps[this.position];
        this.position += 1;
        this.put(box, after);
    }

    /** @param {Box} box @param {Uint8Array} levels */
    put({left, top, width, height}, levels) {
        const pixels = new ImageData(width, height);
        const {data} = pixels;
        for (let place = 0; place < levels.length; place += 1) {
            data[4 * place] = data[4 * place + 1] = data[4 * place + 2] = levels[place];
            data[4 * place + 3] = 255;
        }
        this.context.putImageData(pixels, left, top);
    }

    /** @param {Size} size of the image @returns {Promise<string>} a PNG of that size, as a data URL */
    async png({width, height}) {
        const whole = h("canvas", {width, height});
        contextOf(whole).drawImage(this.element, 0, 0, width, height);
        const blob = await new Promise((resolve) => whole.toBlob(resolve, "image/png"));
        return new Promise((resolve, reject) => {
            const reader = new FileReader();
            reader.addEventListener("load", () => resolve(String(reader.result)));
            reader.addEventListener("error", () => reject(reader.error));
            reader.readAsDataURL(/** @type {Blob} */ (blob));
        });
    }
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function contextOf(canvas) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser cannot draw on a canvas.");
    return context;
}

/** @param {CanvasRenderingContext2D} context @param {Box} box @returns {Uint8Array} */
function levelsIn(context, {left, top, width, height}) {
    const {data} = context.getImageData(left, top, width, height);
    const levels = new Uint8Array(width * height);
    for (let place = 0; place < levels.length; place += 1) levels[place] = data[4 * place];
    return levels;
}

/** @type {{key: string, canvas: HTMLCanvasElement}|null} the last brush, which is used for many stamps */
let lastBrush = null;

/** @param {number} radius @param {number} softness @param {boolean} erase @returns {HTMLCanvasElement} one stamp, on an opaque square */
function brushOf(radius, softness, erase) {
    const key = `${radius.toFixed(1)} ${softness.toFixed(2)} ${erase}`;
    if (lastBrush && lastBrush.key === key) return lastBrush.canvas;
    const side = 2 * Math.ceil(radius + 1);
    const canvas = h("canvas", {width: side, height: side});
    const context = contextOf(canvas);
    const [inside, outside] = erase ? ["#000", "#fff"] : ["#fff", "#000"];
    context.fillStyle = outside;
    context.fillRect(0, 0, side, side);
    const fade = context.createRadialGradient(side / 2, side / 2, 0, side / 2, side / 2, radius);
    fade.addColorStop(0, inside);
    fade.addColorStop(Math.min(1 - Math.min(1, 1 / radius), 1 - softness), inside);
    fade.addColorStop(1, outside);
    context.fillStyle = fade;
    context.fillRect(0, 0, side, side);
    lastBrush = {key, canvas};
    return canvas;
}
