/** The tool "Mask": a brush over the chosen image for what is trained and what is not. */

import {failureOf, h, setText, store, svg} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, toast} from "../../core/parts.js";
import {Stage, stageDialog} from "../image/stage.js";
import {MaskCanvas} from "./canvas.js";
import {inverted, LARGEST_BRUSH, nextSize, paintedSize, pressedSize, SMALLEST_BRUSH, softened, stampsBetween} from
    "./strokes.js";
import {maskUrl} from "./url.js";

/** @typedef {import("../image/view.js").Point} Point */
/** @typedef {import("../image/tools.js").ToolContext} ToolContext */

const SOFTENED_SHARE = 0.008;
const KEYS = [["[ ]", "smaller or larger brush"], ["X", "paint or erase"], ["Alt", "hold: the opposite"], ["I", "invert"],
    ["Ctrl Z, Ctrl Shift Z", "undo, redo"], ["+ − 0", "zoom; the whole image"], ["Space", "hold: move the image"]];

/** @type {import("../image/tools.js").ImageTool} */
export const maskTool = {label: "Mask", title: "Paint what is trained and what is not", open: (context) => paintMask(context)};

/** @type {Map<string, MaskCanvas>} masks whose dialog was closed without saving, by image and version of the mask */
const unsaved = new Map();

/** @param {ToolContext} context */
async function paintMask({set, picture, opener}) {
    const cell = set.cells.get(picture.number) || picture;
    const key = [set.folder, picture.path, picture.version, cell.mask].join("\n");
    const kept = unsaved.get(key);
    const canvas = kept || new MaskCanvas(paintedSize(picture));
    if (!kept && cell.mask) {
        try {
            canvas.load(await loaded(maskUrl(set, cell, "mask-image")));
        } catch (error) {
            toast("error", failureOf(error).message);
            return;
        }
    }
    unsaved.delete(key);
    new MaskPainter({set, picture, opener}, canvas, {key, seen: cell.mask, kept: Boolean(kept)});
}

class MaskPainter {
    /** @param {ToolContext} context @param {MaskCanvas} canvas @param {{key: string, seen: string, kept: boolean}} state */
    constructor({set, picture, opener}, canvas, {key, seen, kept}) {
        this.set = set;
        this.picture = picture;
        this.canvas = canvas;
        this.seen = seen;
        this.erase = !seen && !canvas.steps.length;
        this.size = store.get("masks.size", Math.round(Math.max(picture.width, picture.height) / 12));
        this.softness = store.get("masks.softness", 0.2);
        /** @type {Point|null} the last stamp of the current stroke, in pixels of the mask */
        this.last = null;
        this.erasing = false;
        this.stage = new Stage(picture, (side) => set.image(picture, side), {down: (point, event) => this.down(point, event),
            move: (point, event) => this.move(point, event), up: () => this.up(), hover: (point) => this.hover(point),
            key: (event) => this.onKey(event)}, `Mask of ${picture.name}`);
        this.brush = h("div", {class: "tl-brush", hidden: true});
        this.stage.element.append(tint(), this.brush);
        this.stage.layer.append(canvas.element);
        this.stage.element.addEventListener("pointerleave", () => {
            this.brush.hidden = true;
        });
        this.modes = [false, true].map((erase) => h("button", {type: "button", role: "radio", data: {mode: erase ? "erase" : "paint"},
            on: {click: () => this.setErase(erase)}}, erase ? "Erase" : "Paint"));
        this.sizeSlider = slider("Brush size", SMALLEST_BRUSH, LARGEST_BRUSH, this.size, "px", (value) => this.setSize(value));
        this.share = h("p", {class: "tl-note", "aria-live": "polite"});
        this.undo = button("Undo", {small: true, click: () => this.step("undo")});
        this.redo = button("Redo", {small: true, click: () => this.step("redo")});
        this.problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.starts = [button("Border color", {small: true, title: "Everything in the color of the border is background", click: () => this.startFrom("border")}),
            button("Faces", {small: true, title: "Head and shoulders around each face", click: () => this.startFrom("face")})];
        this.save = button("Save mask", {kind: "primary", id: "tl_mask_save", click: () => this.saveMask()});
        const remove = button("Remove mask", {kind: "quiet", icon: "trash", hidden: !seen, click: () => this.remove()});
        this.dialog = stageDialog(`Mask of ${picture.name}`, this.stage, this.build(kept),
            [remove, button("Cancel", {click: () => this.dialog.close()}), this.save]);
        this.dialog.addEventListener("keydown", (event) => this.onDialogKey(event));
        this.dialog.addEventListener("close", () => {
            if (canvas.changed) {
                unsaved.clear();  // only the last one, since a mask takes megabytes
                unsaved.set(key, canvas);
                toast("info", "The mask was not saved. Its strokes are kept until the page is reloaded: open it again to continue.");
            }
            opener.focus({preventScroll: true});
        });
        this.refresh();
    }

    /** @param {boolean} kept whether unsaved strokes are shown */
    build(kept) {
        const soft = slider("Brush feather", 0, 100, Math.round(100 * this.softness), "%", (value) => {
            this.softness = value / 100;
            store.set("masks.softness", this.softness);
        });
        const opacity = slider("Opacity of the mask", 10, 100, store.get("masks.opacity", 55), "%", (value) => this.setOpacity(value));
        this.setOpacity(store.get("masks.opacity", 55));
        const whole = (/** @type {string} */ label, /** @type {string} */ title, /** @type {(levels: Uint8Array) => Uint8Array} */ change) =>
            button(label, {small: true, title, click: () => this.change(change)});
        const hint = kept ? "Your unsaved strokes are back." : this.seen ? "" : "There is no mask yet: the whole image is trained. Erase " +
            "what is not to be learned, or clear it and paint what is.";
        return [h("div", {class: "tl-verbs", role: "radiogroup", "aria-label": "Brush"}, this.modes), this.sizeSlider.element,
            soft.element, opacity.element, h("div", {class: "tl-row"}, this.undo, this.redo),
            h("div", {class: "tl-row"}, whole("Invert", "Swap trained and not trained (I)", inverted),
                whole("Fill", "Train the whole image", (levels) => levels.map(() => 255)),
                whole("Clear", "Train nothing, then paint what is to be learned", (levels) => levels.map(() => 0)),
                whole("Feather edges", "Soften all edges of the mask", (levels) => softened(levels, this.canvas.size, this.featherRadius))),
            h("div", {class: "tl-mask-start"}, h("span", {class: "tl-note"}, "Start from"), this.starts),
            this.problem, this.share, h("p", {class: "tl-note"}, `The tinted part is not trained. ${hint}`),
            h("dl", {class: "tl-keylist"}, KEYS.map(([keys, words]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, words)]))];
    }

    get featherRadius() {
        return Math.max(1, Math.round(Math.min(this.canvas.size.width, this.canvas.size.height) * SOFTENED_SHARE));
    }

    /** Pixels of the mask per pixel of the image. */
    get scale() {
        return this.canvas.size.width / this.picture.width;
    }

    /** @param {PointerEvent} event @returns {number} the radius of the brush, in pixels of the mask */
    radius(event) {
        return pressedSize(this.size, event.pointerType, event.pressure) / 2 * this.scale;
    }

    /** @param {Point} point in image pixels @returns {Point} in pixels of the mask */
    inMask(point) {
        return {x: point.x * this.scale, y: point.y * this.canvas.size.height / this.picture.height};
    }

    /** @param {Point} point @param {PointerEvent} event */
    down(point, event) {
        this.hover(point);
        this.erasing = this.erase !== event.altKey;
        this.canvas.begin();
        this.last = this.inMask(point);
        this.canvas.stamp([this.last], this.radius(event), this.softness, this.erasing);
    }

    /** @param {Point} point @param {PointerEvent} event */
    move(point, event) {
        this.hover(point);
        const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
        for (const each of events.length ? events : [event]) {
            const to = this.inMask(this.stage.pointOf(each));
            const radius = this.radius(each);
            if (this.last) this.canvas.stamp(stampsBetween(this.last, to, radius), radius, this.softness, this.erasing);
            this.last = to;
        }
    }

    up() {
        this.last = null;
        this.canvas.end();
        this.refresh();
    }

    /** Move the brush's outline. @param {Point} point */
    hover(point) {
        const {x, y} = this.stage.onStage(point);
        const side = this.size * this.stage.view.scale;
        this.brush.hidden = false;
        Object.assign(this.brush.style, {left: `${x - side / 2}px`, top: `${y - side / 2}px`, width: `${side}px`, height: `${side}px`});
    }

    /** @param {KeyboardEvent} event @returns {boolean} whether the key is one of the brush */
    onKey(event) {
        const key = event.key.toLowerCase();
        if (key === "[") this.setSize(nextSize(this.size, -1));
        else if (key === "]") this.setSize(nextSize(this.size, 1));
        else if (key === "x") this.setErase(!this.erase);
        else if (key === "i") this.change(inverted);
        else return false;
        return true;
    }

    /** Undo and redo, and the keys of the brush if the focus is not on the stage. @param {KeyboardEvent} event */
    onDialogKey(event) {
        const key = event.key.toLowerCase();
        const control = event.ctrlKey || event.metaKey;
        const elsewhere = event.target instanceof Node && !this.stage.element.contains(event.target);
        if (control && (key === "z" || key === "y")) this.step(key === "y" || event.shiftKey ? "redo" : "undo");
        else if (control || !elsewhere || !this.onKey(event)) return;
        event.preventDefault();
    }

    /** @param {boolean} erase */
    setErase(erase) {
        this.erase = erase;
        this.refresh();
    }

    /** @param {number} size in image pixels */
    setSize(size) {
        this.size = Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, size));
        store.set("masks.size", this.size);
        this.sizeSlider.show(this.size);
        const side = this.size * this.stage.view.scale;
        const {offsetLeft, offsetTop, offsetWidth, offsetHeight} = this.brush;
        Object.assign(this.brush.style, {left: `${offsetLeft + (offsetWidth - side) / 2}px`, width: `${side}px`,
            top: `${offsetTop + (offsetHeight - side) / 2}px`, height: `${side}px`});
    }

    /** @param {number} percent */
    setOpacity(percent) {
        store.set("masks.opacity", percent);
        this.canvas.element.style.opacity = String(percent / 100);
    }

    /** @param {(levels: Uint8Array) => Uint8Array} change */
    change(change) {
        if (this.last) return;  // in the middle of a stroke
        this.canvas.change(change);
        this.refresh();
    }

    /** @param {"undo"|"redo"} way */
    step(way) {
        if (this.last) return;
        this.canvas[way]();
        this.refresh();
    }

    refresh() {
        const {canvas} = this;
        for (const mode of this.modes) {
            mode.setAttribute("aria-checked", String((mode.dataset.mode === "erase") === this.erase));
        }
        this.undo.disabled = !canvas.position;
        this.redo.disabled = canvas.position === canvas.steps.length;
        const share = canvas.share();
        setText(this.share, `${format.number(Math.round(100 * share))} % of the image is trained.`);
        this.save.disabled = share === 0 || (!canvas.changed && this.seen !== "");
    }

    /** @param {"border"|"face"} method */
    async startFrom(method) {
        setText(this.problem, "");
        setText(this.share, "Making the mask …");
        for (const each of [...this.starts, this.save]) each.disabled = true;
        try {
            const {mask} = await this.set.ask("mask/preview", {number: this.picture.number, mask: {method}}, {quiet: true});
            const image = await loaded(mask);
            if (!this.dialog.open) return;
            if (this.last) this.up();  // in the middle of a stroke
            this.canvas.take(image);
        } catch (error) {
            setText(this.problem, failureOf(error).message);
        }
        for (const each of this.starts) each.disabled = false;
        this.refresh();
    }

    async saveMask() {
        this.save.disabled = true;
        const {number, width, height} = this.picture;
        const outcome = await this.set.edit("mask/save", async () => ({number, seen: this.seen, png: await this.canvas.png({width, height})}));
        this.save.disabled = false;
        if (!outcome) return;
        this.canvas.saved = this.canvas.position;
        this.dialog.close();
    }

    async remove() {
        const outcome = await this.set.edit("mask/remove", {numbers: [this.picture.number]});
        if (!outcome) return;
        this.canvas.saved = this.canvas.position;
        this.dialog.close();
    }
}

/** @returns {SVGElement} the filter that tints what is not trained: black becomes the tint, white transparent */
function tint() {
    return svg("svg", {class: "tl-mask-filter", width: 0, height: 0, "aria-hidden": "true"},
        svg("filter", {id: "tl-mask-tint", "color-interpolation-filters": "sRGB"}, svg("feColorMatrix", {type: "matrix",
            values: "0 0 0 0 0.88  0 0 0 0 0.11  0 0 0 0 0.28  -1 0 0 1 0"})));
}

/** @param {string} src @returns {Promise<HTMLImageElement>} rejects with the server's words */
async function loaded(src) {
    const image = new Image();
    image.src = src;
    try {
        await image.decode();
    } catch {
        const answer = await fetch(src).then((response) => response.json()).catch(() => null);
        throw new Error(answer && answer.error ? answer.error : "The mask cannot be loaded. Is the webui still running?");
    }
    return image;
}

/**
 * @param {string} label @param {number} minimum @param {number} maximum @param {number} value @param {string} unit
 * @param {(value: number) => void} changed
 */
function slider(label, minimum, maximum, value, unit, changed) {
    const shown = h("span", {class: "tl-note"});
    const input = h("input", {type: "range", class: "tl-range", min: minimum, max: maximum, value, "aria-label": label,
        on: {input: (event) => {
            show(Number(event.currentTarget.value));
            changed(Number(event.currentTarget.value));
        }}});
    const show = (/** @type {number} */ now) => {
        input.value = String(now);
        setText(shown, `${format.number(now)} ${unit}`);
    };
    show(value);
    return {element: h("label", {class: "tl-mask-slider"}, h("span", {class: "tl-label"}, label), input, shown), show};
}
