/** Small multiples: a chart for each image or tag, the most suspicious first. */

import {h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {curves, thumbnail} from "./charts.js";
import {againstTypical, bySuspicion, highest, lastOf, percent} from "./order.js";
import {Pager} from "./pager.js";

const IMAGES_A_PAGE = 24;
const TAGS_A_PAGE = 24;

/** @typedef {import("../records").Diagnosis} Diagnosis */
/** @typedef {import("../records").DiagnosedImage} DiagnosedImage */
/** @typedef {import("../records").DiagnosedTag} DiagnosedTag */

export class ImageMultiples {
    /** @param {(index: number, opener: HTMLElement) => void} look opens an image */
    constructor(look) {
        this.look = look;
        /** @type {Diagnosis|null} */
        this.diagnosis = null;
        this.high = 1;
        /** @type {Set<number>} images that stand out */
        this.found = new Set();
        /** @type {Pager<DiagnosedImage>} */
        this.pager = new Pager({size: IMAGES_A_PAGE, name: "image", cls: "tl-multiples", draw: (image) => this.draw(image)});
        this.element = this.pager.element;
    }

    /** @param {Diagnosis} diagnosis */
    show(diagnosis) {
        this.diagnosis = diagnosis;
        this.found = new Set(diagnosis.findings.filter(({alarm}) => alarm).map(({image}) => image));
        this.high = highest([...diagnosis.images.map(({curve}) => curve), diagnosis.typical]);
        this.pager.show(bySuspicion(diagnosis.images));
    }

    /** @param {DiagnosedImage} image */
    draw(image) {
        const {folder, steps, typical} = /** @type {Diagnosis} */ (this.diagnosis);
        const about = againstTypical(image.curve, typical);
        return h("button", {type: "button", class: `tl-multiple${this.found.has(image.index) ? " tl-suspect" : ""}`,
            title: `${image.path || image.name}: ${about}`, data: {image: String(image.index)},
            on: {click: (event) => this.look(image.index, event.currentTarget)}},
        thumbnail(folder, image), h("span", {class: "tl-multiple-side"}, h("span", {class: "tl-multiple-name"}, image.name),
            curves(steps, [{curve: typical, name: "tl-curve-typical"}, {curve: image.curve, name: "tl-curve-own"}],
                {high: this.high, label: `${image.name}: ${about}`})));
    }
}

export class TagMultiples {
    /** @param {(images: number[]) => void} show opens images in the caption editor */
    constructor(show) {
        this.showImages = show;
        /** @type {Diagnosis|null} */
        this.diagnosis = null;
        this.most = 1;
        /** @type {Pager<DiagnosedTag>} */
        this.pager = new Pager({size: TAGS_A_PAGE, name: "tag", cls: "tl-multiples", draw: (tag) => this.draw(tag)});
        this.element = this.pager.element;
    }

    /** @param {Diagnosis} diagnosis */
    show(diagnosis) {
        this.diagnosis = diagnosis;
        this.most = highest(diagnosis.tags.map(({curve}) => curve.map((value) => value === null ? null : Math.abs(value))));
        this.pager.show(diagnosis.tags);
    }

    /** @param {DiagnosedTag} tag */
    draw(tag) {
        const {steps} = /** @type {Diagnosis} */ (this.diagnosis);
        const last = lastOf(tag.curve);
        const about = last === null ? "not measured yet" : `without it, the loss is ${percent(Math.abs(last))} ${last < 0 ? "lower" : "higher"}`;
        return h("button", {type: "button", class: `tl-multiple tl-multiple-tag${tag.alarm ? " tl-suspect" : ""}`,
            title: `${tag.tag}: ${about}. Click for its images.`, data: {tag: tag.tag}, on: {click: () => this.showImages(tag.images)}},
        h("span", {class: "tl-multiple-side"}, h("span", {class: "tl-multiple-name"}, tag.tag, h("span", {class: "tl-note"}, ` ${format.plural(tag.images.length, "image")}`)),
            curves(steps, [{curve: tag.curve, name: "tl-curve-own"}], {low: -this.most, high: this.most, zero: true, label: `${tag.tag}: ${about}`})));
    }
}
