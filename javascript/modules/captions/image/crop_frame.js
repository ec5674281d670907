/** The frame of a crop on a stage: drawn, moved and resized by dragging and by keys; and the frames that are proposed. */

import {h, setText} from "../../core/dom.js";
import {atRatio, drawn, handleAt, isWhole, moved, resized, rounded, sizeOf, wholeOf} from "./frame.js";
import {inImage} from "./view.js";

/** @typedef {import("./frame.js").Frame} Frame */
/** @typedef {import("./view.js").Point} Point */
/** @typedef {import("./view.js").Size} Size */
/** @typedef {import("../records").ProposedCrop} ProposedCrop */
/** @typedef {{kind: "draw"|"move"|"resize", handle: string, from: Point, frame: Frame}} Drag */

/** How near the pointer must be to an edge to drag it, in screen pixels. */
const REACH = 10;
/** A press that moves the pointer by less, in screen pixels, is a click. */
const CLICK = 4;
/** @type {Record<string, string>} */
const CURSORS = {n: "ns", s: "ns", e: "ew", w: "ew", nw: "nwse", se: "nwse", ne: "nesw", sw: "nesw"};
/** @type {Record<string, [number, number]>} */
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

export class CropFrame {
    /**
     * @param {Size} size of the image @param {(frame: Frame) => void} changed called after each change, also while dragging
     * @param {(proposal: ProposedCrop) => void} chosen called when a proposed frame is clicked
     */
    constructor(size, changed, chosen) {
        this.size = size;
        this.changed = changed;
        this.chosen = chosen;
        this.frame = wholeOf(size);
        this.ratio = 0;
        /** @type {Drag|null} */
        this.drag = null;
        /** @type {ProposedCrop[]} */
        this.proposals = [];
        /** @type {import("./stage.js").Stage|null} */
        this.stage = null;
        this.words = h("span", {class: "tl-cropframe-size"}, "");
        this.box = h("div", {class: "tl-cropframe"});
        this.handles = h("div", {class: "tl-cropframe-handles"}, Object.keys(CURSORS).map((side) =>
            h("span", {class: "tl-cropframe-handle", data: {side}})), this.words);
        this.shade = h("div", {class: "tl-cropframe-shade"}, this.box);
        this.proposed = h("div", {class: "tl-cropframe-proposals"});
    }

    /** @param {import("./stage.js").Stage} stage */
    attach(stage) {
        this.stage = stage;
        stage.layer.append(this.shade, this.proposed, this.handles);
        this.draw();
    }

    /** @param {Size} size of the image @param {Frame} frame in it */
    reset(size, frame) {
        this.size = size;
        this.set(frame);
    }

    /** @param {Frame} frame */
    set(frame) {
        this.frame = rounded(frame, this.size);
        this.draw();
        this.changed(this.frame);
    }

    /** @param {number} ratio 0 for any */
    setRatio(ratio) {
        this.ratio = ratio;
        if (ratio) this.set(atRatio(this.frame, ratio, this.size));
    }

    /** @param {ProposedCrop[]} proposals */
    propose(proposals) {
        this.proposals = proposals;
        this.proposed.replaceChildren(...proposals.map((proposal) => {
            const [left, top, right, bottom] = proposal.frame;
            const element = h("div", {class: `tl-proposed tl-proposed-${proposal.kind}`}, h("button", {type: "button", title: `Crop to ${proposal.label}`,
                on: {click: () => this.chosen(proposal)}}, proposal.label));
            this.lay(element, {left, top, right, bottom});
            return element;
        }));
    }

    draw() {
        const {width, height} = sizeOf(this.frame);
        const whole = isWhole(this.frame, this.size);
        this.box.hidden = whole;
        this.handles.classList.toggle("tl-whole", whole);
        this.proposed.classList.toggle("tl-faint", !whole);
        this.lay(this.box, this.frame);
        this.lay(this.handles, this.frame);
        setText(this.words, `${width} × ${height}`);
    }

    /** @param {HTMLElement} element @param {Frame} frame */
    lay(element, {left, top, right, bottom}) {
        const {width, height} = this.size;
        Object.assign(element.style, {left: `${100 * left / width}%`, top: `${100 * top / height}%`,
            width: `${100 * (right - left) / width}%`, height: `${100 * (bottom - top) / height}%`});
    }

    /** @returns {number} `REACH` in image pixels */
    get reach() {
        return REACH / (this.stage ? this.stage.view.scale : 1);
    }

    /** @param {Point} point @returns {string} the handle there, "move", or "" where a new frame is drawn */
    handle(point) {
        const handle = handleAt(this.frame, point, this.reach);
        return handle === "move" && isWhole(this.frame, this.size) ? "" : handle;
    }

    /** @param {Point} point */
    down(point) {
        const handle = this.handle(point);
        const kind = handle === "move" ? "move" : handle ? "resize" : "draw";
        this.drag = {kind, handle, from: kind === "draw" ? inImage(point, this.size) : point, frame: this.frame};
    }

    /** @param {Point} point @param {PointerEvent} event */
    move(point, event) {
        const {drag} = this;
        if (!drag || this.isClick(point)) return;
        const ratio = this.ratio || (event.shiftKey ? this.shiftRatio(drag) : 0);
        if (drag.kind === "move") this.set(moved(drag.frame, point.x - drag.from.x, point.y - drag.from.y, this.size));
        else if (drag.kind === "draw") this.set(drawn(drag.from, inImage(point, this.size), ratio, this.size));
        else this.set(resized(drag.frame, drag.handle, inImage(point, this.size), ratio, this.size));
    }

    /** Shift draws a square, and keeps the ratio of a frame that is resized. @param {Drag} drag */
    shiftRatio({kind, frame}) {
        const {width, height} = sizeOf(frame);
        return kind === "draw" ? 1 : width / height;
    }

    /** @param {Point} point */
    isClick(point) {
        if (!this.drag || !this.stage) return false;
        return Math.hypot(point.x - this.drag.from.x, point.y - this.drag.from.y) * this.stage.view.scale < CLICK
            && this.frame === this.drag.frame;
    }

    /** @param {Point} point */
    up(point) {
        const click = this.isClick(point);
        this.drag = null;
        if (!click) return;
        const area = (/** @type {ProposedCrop} */ {frame: [left, top, right, bottom]}) => (right - left) * (bottom - top);
        const hit = this.proposals.filter(({frame: [left, top, right, bottom]}) =>
            point.x >= left && point.x < right && point.y >= top && point.y < bottom).sort((a, b) => area(a) - area(b))[0];
        if (hit) this.chosen(hit);
    }

    /** @param {Point} point */
    hover(point) {
        if (!this.stage) return;
        const handle = this.handle(point);
        this.stage.element.style.cursor = handle === "move" ? "move" : handle ? `${CURSORS[handle]}-resize` : "";
    }

    /** Arrows move the frame by 1 pixel, with Shift by 10; with Alt they move its lower right corner. @param {KeyboardEvent} event */
    key(event) {
        const arrow = ARROWS[event.key];
        if (!arrow) return false;
        const step = event.shiftKey ? 10 : 1;
        const [dx, dy] = [arrow[0] * step, arrow[1] * step];
        if (!event.altKey) {
            this.set(moved(this.frame, dx, dy, this.size));
        } else if (this.ratio) {
            this.set(resized(this.frame, "se", {x: this.frame.right + dx + dy * this.ratio, y: this.frame.top}, this.ratio, this.size));
        } else {
            const corner = inImage({x: this.frame.right + dx, y: this.frame.bottom + dy}, this.size);
            this.set({...this.frame, right: Math.max(this.frame.left + 1, corner.x), bottom: Math.max(this.frame.top + 1, corner.y)});
        }
        return true;
    }
}
