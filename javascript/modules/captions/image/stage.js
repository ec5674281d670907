/**
 * A stage: one image, as large as it fits, that can be zoomed and moved, with a layer for what a tool draws over it.
 *
 * Tools work in image pixels, whatever the zoom and the resolution that is shown. The wheel and + − 0 zoom; the middle
 * button, or the left one with Space held, moves the image; two fingers do both. All else goes to the tool.
 */

import {dialog} from "../../core/dialog.js";
import {h} from "../../core/dom.js";
import {button} from "../../core/parts.js";
import {fitted, panned, toImage, toStage, zoomed} from "./view.js";

/** @typedef {import("../../core/elements").Child} Child */
/** @typedef {import("./view.js").Point} Point */
/** @typedef {import("./view.js").Size} Size */
/**
 * @typedef {object} StageTool what draws or drags on a stage; all points are in image pixels, maybe outside the image
 * @property {(point: Point, event: PointerEvent) => void} down
 * @property {(point: Point, event: PointerEvent) => void} move only between `down` and `up`
 * @property {(point: Point, event: PointerEvent) => void} up also when the pointer is lost
 * @property {(point: Point, event: PointerEvent) => void} [hover]
 * @property {(event: KeyboardEvent) => boolean} [key] whether it has used the key
 */

const STEP = 1.25;
/** The resolutions of the image, longest side in pixels: the first is shown at once, the next when zoomed in. */
const RESOLUTIONS = [1024, 2048, 4096];

export class Stage {
    /**
     * @param {Size} image its size in pixels; also that of `layer`, whose children are best placed in percent
     * @param {(side: number) => string} source the URL of the image with a longest side of at most `side` pixels
     * @param {StageTool} tool
     * @param {string} label for screen readers
     */
    constructor(image, source, tool, label) {
        this.size = image;
        this.source = source;
        this.tool = tool;
        this.view = {x: 0, y: 0, scale: 1};
        this.resolution = RESOLUTIONS[0];
        this.spaceHeld = false;
        this.following = true;  // keep the whole image in sight when the stage changes its size
        /** @type {Map<number, Point>} the pressed pointers, on the stage */
        this.pointers = new Map();
        /** @type {"tool"|"pan"|null} what the pressed pointers do */
        this.doing = null;
        /** @type {(() => void)[]} */
        this.listeners = [];
        this.image = h("img", {class: "tl-stage-image", alt: "", draggable: "false", src: source(this.resolution)});
        this.picture = h("div", {class: "tl-stage-picture"}, this.image);
        this.layer = h("div", {class: "tl-stage-layer"}, this.picture);
        this.element = h("div", {class: "tl-stage", tabindex: "0", role: "application", "aria-label": label, on: {
            pointerdown: (event) => this.onDown(event), pointermove: (event) => this.onMove(event),
            pointerup: (event) => this.onUp(event), pointercancel: (event) => this.onUp(event),
            keydown: (event) => this.onKey(event), keyup: (event) => this.onKeyUp(event),
            blur: () => this.holdSpace(false), contextmenu: (event) => event.preventDefault()}}, this.layer);
        this.element.addEventListener("wheel", (event) => this.onWheel(event), {passive: false});
        new ResizeObserver(() => this.follow()).observe(this.element);
    }

    /** @param {() => void} listener called after each change of `view` */
    whenMoved(listener) {
        this.listeners.push(listener);
    }

    /** The image has another size now, for example turned. @param {Size} size */
    resize(size) {
        this.size = size;
        this.fit();
    }

    /** @returns {Size} in screen pixels */
    get room() {
        return {width: this.element.clientWidth, height: this.element.clientHeight};
    }

    fit() {
        this.following = true;
        this.show(fitted(this.size, this.room));
    }

    /** @param {number} factor @param {Point} [at] on the stage, its middle by default */
    zoom(factor, at = {x: this.room.width / 2, y: this.room.height / 2}) {
        this.show(zoomed(this.view, factor, at, this.size, this.room));
        this.following = this.view.scale <= fitted(this.size, this.room).scale;
    }

    follow() {
        if (!this.room.width || !this.room.height) return;
        if (this.following) this.show(fitted(this.size, this.room));
        else this.show(panned(this.view, 0, 0, this.size, this.room));
    }

    /** @param {import("./view.js").View} view */
    show(view) {
        this.view = view;
        Object.assign(this.layer.style, {left: `${view.x}px`, top: `${view.y}px`,
            width: `${this.size.width * view.scale}px`, height: `${this.size.height * view.scale}px`});
        this.sharpen();
        for (const listener of this.listeners) listener();
    }

    /** Load a higher resolution once the shown one is enlarged. */
    sharpen() {
        const longest = Math.max(this.size.width, this.size.height);
        const wanted = longest * this.view.scale * window.devicePixelRatio;
        const enough = RESOLUTIONS.find((side) => side >= Math.min(wanted, longest)) || RESOLUTIONS[RESOLUTIONS.length - 1];
        if (enough <= this.resolution) return;
        this.resolution = enough;
        const sharper = new Image();
        sharper.addEventListener("load", () => {
            if (this.resolution === enough) this.image.src = sharper.src;
        });
        sharper.src = this.source(enough);
    }

    /** @param {MouseEvent} event @returns {Point} on the stage */
    place(event) {
        const box = this.element.getBoundingClientRect();
        return {x: event.clientX - box.left - this.element.clientLeft, y: event.clientY - box.top - this.element.clientTop};
    }

    /** @param {MouseEvent} event @returns {Point} in image pixels, maybe outside the image */
    pointOf(event) {
        return toImage(this.view, this.place(event));
    }

    /** @param {Point} point in image pixels @returns {Point} on the stage, in screen pixels */
    onStage(point) {
        return toStage(this.view, point);
    }

    /** @param {PointerEvent} event */
    onDown(event) {
        if (event.button > 1 || (event.target instanceof Element && event.target.closest("button"))) return;
        event.preventDefault();  // no text selection, and no scrolling by the middle button
        this.element.focus({preventScroll: true});
        this.element.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, this.place(event));
        if (this.pointers.size > 1 && this.doing === "tool") this.tool.up(this.pointOf(event), event);
        this.doing = this.pointers.size > 1 || event.button === 1 || this.spaceHeld ? "pan" : "tool";
        if (this.doing === "tool") this.tool.down(this.pointOf(event), event);
    }

    /** @param {PointerEvent} event */
    onMove(event) {
        const before = this.pointers.get(event.pointerId);
        if (!before) {
            if (this.tool.hover) this.tool.hover(this.pointOf(event), event);
        } else if (this.doing === "tool") {
            this.pointers.set(event.pointerId, this.place(event));
            this.tool.move(this.pointOf(event), event);
        } else {
            this.drag(event.pointerId, before, this.place(event));
        }
    }

    /** Move the image, and zoom if two fingers do it. @param {number} id @param {Point} from @param {Point} to */
    drag(id, from, to) {
        const other = [...this.pointers].find(([pointer]) => pointer !== id);
        this.pointers.set(id, to);
        const share = 1 / this.pointers.size;  // each of two fingers moves the image by half of its way
        this.following = false;
        this.show(panned(this.view, (to.x - from.x) * share, (to.y - from.y) * share, this.size, this.room));
        if (!other) return;
        const apart = (/** @type {Point} */ point) => Math.hypot(point.x - other[1].x, point.y - other[1].y) || 1;
        this.zoom(apart(to) / apart(from), {x: (to.x + other[1].x) / 2, y: (to.y + other[1].y) / 2});
    }

    /** @param {PointerEvent} event */
    onUp(event) {
        if (!this.pointers.delete(event.pointerId)) return;
        if (this.doing === "tool") this.tool.up(this.pointOf(event), event);
        if (!this.pointers.size || this.doing === "tool") this.doing = null;
    }

    /** @param {WheelEvent} event */
    onWheel(event) {
        event.preventDefault();
        const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 * event.deltaY : event.deltaY;
        this.zoom(Math.exp(-Math.max(-200, Math.min(200, pixels)) / 400), this.place(event));
    }

    /** @param {KeyboardEvent} event */
    onKey(event) {
        if (event.ctrlKey || event.metaKey) return;
        if (event.key === " ") this.holdSpace(true);
        else if (event.key === "+" || event.key === "=") this.zoom(STEP);
        else if (event.key === "-") this.zoom(1 / STEP);
        else if (event.key === "0") this.fit();
        else if (!this.tool.key || !this.tool.key(event)) return;
        event.preventDefault();
    }

    /** @param {KeyboardEvent} event */
    onKeyUp(event) {
        if (event.key === " ") this.holdSpace(false);
    }

    /** @param {boolean} held */
    holdSpace(held) {
        this.spaceHeld = held;
        this.element.classList.toggle("tl-panning", held);
    }

    /** @returns {HTMLElement} buttons to zoom */
    zoomButtons() {
        return h("div", {class: "tl-stage-zoom"}, button("Zoom out", {icon: "minus", iconOnly: true, small: true, click: () => this.zoom(1 / STEP)}),
            button("Fit", {small: true, title: "Show the whole image (0)", click: () => this.fit()}),
            button("Zoom in", {icon: "plus", iconOnly: true, small: true, click: () => this.zoom(STEP)}));
    }
}

/**
 * Open a dialog as large as the window: the stage on the left, a tool's controls on the right.
 * @param {string} title @param {Stage} stage @param {Child[]} controls @param {Child[]} buttons
 * @returns {HTMLDialogElement}
 */
export function stageDialog(title, stage, controls, buttons) {
    const element = dialog(title, [h("div", {class: "tl-stage-columns"},
        h("div", {class: "tl-stage-place"}, stage.element, stage.zoomButtons()),
        h("div", {class: "tl-stage-controls"}, controls))], buttons);
    element.classList.add("tl-full-dialog", "tl-stage-dialog");
    stage.fit();
    stage.element.focus({preventScroll: true});
    return element;
}
