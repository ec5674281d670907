/** The selected image above its caption, with the part that is trained; a click enlarges it. */

import {h, on} from "../../core/dom.js";
import {lightbox} from "../../core/lightbox.js";
import {masksShown} from "../masks/bar.js";
import {maskUrl} from "../masks/url.js";

/** @typedef {import("../answers").Cell} Cell */
/** @typedef {import("../answers").PictureFacts} PictureFacts */

/** How many images before and after the chosen one can be browsed enlarged. */
const NEIGHBOURS = 20;

export class ShownImage {
    /** @param {import("../set.js").CaptionSet} set */
    constructor(set) {
        this.set = set;
        this.number = -1;
        on("masks-shown", () => this.drawMask());
        this.image = h("img", {class: "tl-capimage", alt: ""});
        this.crop = h("div", {class: "tl-crop", hidden: true, title: "What is trained on; the rest is cut off"});
        this.mask = h("img", {class: "tl-capmask", alt: "", hidden: true});
        this.mask.addEventListener("load", () => {
            this.mask.hidden = false;
        });
        /** @type {Cell|null} */
        this.cell = null;
        this.frame = h("div", {class: "tl-capframe"}, this.image, this.mask, this.crop);
        this.element = h("button", {type: "button", class: "tl-caplarge", "aria-label": "Show it larger",
            on: {click: () => this.enlarge()}}, this.frame);
    }

    /** Show an image of which only the grid's data is known yet. @param {Cell} cell */
    showFirst(cell) {
        this.show(cell);
        this.crop.hidden = true;
    }

    /** @param {Cell|PictureFacts} picture */
    show(picture) {
        const {width, height} = picture;
        const src = this.set.image(picture, 512);
        this.number = picture.number;
        this.element.hidden = false;
        if (this.image.getAttribute("src") !== src) this.image.src = src;
        this.image.alt = picture.text || picture.name;
        this.frame.style.aspectRatio = width ? `${width} / ${height}` : "1";
        this.frame.style.setProperty("--tl-ratio", width ? String(width / height) : "1");
        if ("crop" in picture) this.drawCrop(picture);
        this.cell = picture;
        this.drawMask();
    }

    drawMask() {
        const {cell} = this;
        const src = cell && cell.mask && masksShown() ? maskUrl(this.set, cell, "mask-overlay", 512) : "";
        if ((this.mask.getAttribute("src") || "") === src) return;
        this.mask.hidden = true;  // until it is loaded
        if (src) this.mask.src = src;
        else this.mask.removeAttribute("src");
    }

    /** @param {PictureFacts} picture */
    drawCrop({crop, width, height}) {
        const whole = !crop || (crop[0] < 1 && crop[1] < 1 && crop[2] > width - 1 && crop[3] > height - 1);
        this.crop.hidden = whole;
        if (!crop || whole) return;
        Object.assign(this.crop.style, {left: `${100 * crop[0] / width}%`, right: `${100 - 100 * crop[2] / width}%`,
            top: `${100 * crop[1] / height}%`, bottom: `${100 - 100 * crop[3] / height}%`});
    }

    enlarge() {
        const {numbers, cells} = this.set;
        const first = Math.max(0, numbers.indexOf(this.number) - NEIGHBOURS);
        const near = numbers.slice(first, first + 2 * NEIGHBOURS + 1).flatMap((number) => cells.get(number) || []);
        const items = near.map((cell) => ({src: this.set.image(cell, 1024), title: cell.path, text: cell.text || "no caption"}));
        lightbox(items, Math.max(0, near.findIndex((cell) => cell.number === this.number)), {opener: this.element});
    }
}
