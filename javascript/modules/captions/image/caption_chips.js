/** The tags of the shown image as chips: ordered by dragging and keys, changed by a double click, removed. */

import {fill, h} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {icon} from "../../core/parts.js";
import {chunkMarks, isAfter, markElement, markWords, placeOf} from "../chips.js";
import {tagInput} from "../complete.js";

/** @type {Record<string, number>} */
const STEPS = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1};

/** @typedef {import("../answers").TagFacts} TagFacts */
/** @typedef {import("../chips.js").Drag} Drag */

export class CaptionChips {
    /** @param {import("../set.js").CaptionSet} set @param {(change: (tags: string[]) => string[]) => unknown} save */
    constructor(set, save) {
        this.set = set;
        this.save = save;
        /** @type {{items: TagFacts[], limit: number, kept: number}} */
        this.shown = {items: [], limit: 0, kept: 0};
        this.changing = false;
        /** @type {number|undefined} the index of the dragged chip */
        this.dragged = undefined;
        this.element = h("ul", {class: "tl-capchips", "aria-label": "Tags of this image"});
    }

    /** Another image is shown: end what is done to a chip. */
    forget() {
        this.changing = false;
        this.dragged = undefined;
    }

    /** @param {TagFacts[]} items @param {number} limit the most tokens that are trained @param {number} kept tags that are not shuffled */
    show(items, limit, kept) {
        this.shown = {items, limit, kept};
        this.draw();
    }

    draw() {
        if (this.changing || this.dragged !== undefined) return;  // rendered when that ends
        const {items, limit, kept} = this.shown;
        const focused = document.activeElement && document.activeElement.closest("li");
        const held = focused ? [...this.element.children].indexOf(focused) : -1;
        const marks = chunkMarks(items, limit, kept);
        fill(this.element, items.map((item, place) => this.chip(item, place, marks[place])));
        if (held >= 0) this.focusChip(Math.min(held, this.element.children.length - 1));
    }

    get tags() {
        return this.shown.items.map((item) => item.tag);
    }

    /** @param {number} place */
    focusChip(place) {
        const chip = this.element.children[place];
        if (chip instanceof HTMLElement) chip.focus();
    }

    /** @param {TagFacts} item @param {number} place @param {import("../chips.js").Mark} mark */
    chip(item, place, mark) {
        const first = place === 0 && item.tag === this.set.activationTag;
        const remove = h("button", {type: "button", class: "tl-chip-x", "aria-label": `Remove ${item.tag}`, tabindex: "-1",
            title: "Remove", on: {click: () => this.removeTag(place)}}, icon("close"));
        const kind = `${first ? " tl-chip-first" : ""}${mark.beyond ? " tl-beyond" : ""}${mark.kept ? " tl-chip-kept" : ""}`;
        return h("li", {class: `tl-chip${kind}`, draggable: "true", tabindex: place ? "-1" : "0", data: {tag: item.tag},
            title: `${format.plural(item.count, "image")} with it. Drag to order, double click to change. ${markWords(mark, this.shown.limit)}`,
            on: {keydown: (event) => this.onChipKey(event, place), dblclick: () => this.change(place),
                dragstart: (event) => this.startDrag(event, place), dragover: (event) => this.dragOver(event),
                dragleave: (event) => event.currentTarget.classList.remove("tl-drop-before", "tl-drop-after"),
                drop: (event) => this.drop(event, place), dragend: () => this.endDrag()}},
        mark.cut ? null : markElement(mark), h("span", {class: "tl-chip-tag"}, item.tag), mark.cut ? markElement(mark) : null,
        item.confidence === null ? null : h("span", {class: "tl-chip-sure", title: "Tagger confidence"},
            `${Math.round(100 * item.confidence)}%`), remove);
    }

    /** @param {number} place */
    removeTag(place) {
        const tag = this.tags[place];
        this.save((tags) => tags.filter((_, index) => index !== placeOf(tags, tag, place)));
    }

    /** @param {number} from @param {number} to */
    moveTag(from, to) {
        const tag = this.tags[from];
        return this.save((tags) => {
            const rest = tags.filter((_, index) => index !== placeOf(tags, tag, from));
            if (rest.length < tags.length) rest.splice(to, 0, tag);
            return rest;
        });
    }

    /** @param {number} place */
    change(place) {
        const before = this.tags[place];
        const box = tagInput(this.set, {label: `Change ${before}`, enter: (text) => finish(text)});
        let done = false;
        const finish = (/** @type {string} */ text) => {
            if (done) return;
            done = true;  // removing the box blurs it, which would finish again
            this.changing = false;
            this.draw();
            const tag = text.trim();
            if (tag && tag !== before) {
                this.save((tags) => tags.map((other, index) => index === placeOf(tags, before, place) ? tag : other));
            } else {
                this.focusChip(place);
            }
        };
        box.element.classList.add("tl-chip-change");
        box.input.value = before;
        box.input.addEventListener("blur", () => finish(box.input.value));
        box.input.addEventListener("keydown", (event) => {
            if (event.key === "Escape") finish(before);
        });
        this.changing = true;
        this.element.children[place].replaceWith(box.element);
        box.input.focus();
        box.input.select();
    }

    /** @param {KeyboardEvent} event @param {number} place */
    onChipKey(event, place) {
        const step = STEPS[event.key];
        const next = step ? place + step : place;
        if (event.target !== event.currentTarget) return;
        if (step && (next < 0 || next >= this.element.children.length)) return;
        if (step && event.altKey) {
            this.moveTag(place, next);
            this.focusChip(next);
        } else if (step) {
            this.focusChip(next);
        } else if (event.key === "Delete" || event.key === "Backspace") {
            this.removeTag(place);
        } else if (event.key === "Enter" || event.key === "F2") {
            this.change(place);
        } else {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {Drag} event @param {number} place */
    startDrag(event, place) {
        this.dragged = place;
        if (event.dataTransfer) {
            event.dataTransfer.effectAllowed = "move";
            event.dataTransfer.setData("text/plain", this.tags[place]);
        }
        event.currentTarget.classList.add("tl-dragged");
    }

    /** @param {Drag} event */
    dragOver(event) {
        if (this.dragged === undefined) return;
        event.preventDefault();
        const after = isAfter(event);
        event.currentTarget.classList.toggle("tl-drop-after", after);
        event.currentTarget.classList.toggle("tl-drop-before", !after);
    }

    /** @param {Drag} event @param {number} place */
    drop(event, place) {
        if (this.dragged === undefined) return;
        event.preventDefault();
        const from = this.dragged;
        let to = place + (isAfter(event) ? 1 : 0);
        if (to > from) to -= 1;
        this.endDrag();
        if (to !== from) this.moveTag(from, to);
    }

    endDrag() {
        if (this.dragged === undefined) return;
        this.dragged = undefined;
        this.draw();
    }
}
