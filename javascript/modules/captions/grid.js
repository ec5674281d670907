/** The thumbnail grid: renders only the visible part, with recycled elements. */

import {fill, h, later, on, setText, store} from "../core/dom.js";
import {root} from "../core/shell.js";
import {marksOf} from "./image/marks.js";
import {masksShown} from "./masks/bar.js";
import {maskUrl} from "./masks/url.js";

/** @typedef {import("./answers").Cell} Facts */
/**
 * @typedef {object} Tile a recycled element of the grid
 * @property {HTMLElement} element
 * @property {HTMLImageElement} image
 * @property {HTMLElement} name
 * @property {HTMLElement} marks
 * @property {string} marked the words of the marks shown
 * @property {HTMLElement} note
 * @property {number|null} number of the image shown
 * @property {string} src the current source
 * @property {string} wanted the source to load when scrolling stops
 * @property {HTMLImageElement} mask over the image
 * @property {string} masked the source of the mask to load after the image, empty for none
 */

/** @type {Record<string, number>} */
const SIZES = {small: 96, medium: 136, large: 208};
const GAP = 8;
const WORDS = 24;
const SPARE_ROWS = 2;
const AT_ONCE = 4;

export class CaptionGrid {
    /** @param {import("./set.js").CaptionSet} set @param {{open: () => void, remove: () => void}} actions for keys */
    constructor(set, actions) {
        this.set = set;
        this.actions = actions;
        this.size = SIZES[store.get("captions.size", "medium")] || SIZES.medium;
        this.sheet = h("div", {class: "tl-grid-sheet", role: "presentation"});
        this.empty = h("div", {class: "tl-grid-empty", hidden: true});
        this.element = h("div", {class: "tl-capgrid", tabindex: "0", role: "listbox", "aria-label": "Images",
            "aria-multiselectable": "true", on: {scroll: () => this.draw(), keydown: (event) => this.onKey(event)}},
        this.sheet, this.empty);
        /** @type {Map<number, Tile>} the rendered cells by index in the list */
        this.drawn = new Map();
        /** @type {Tile[]} */
        this.pool = [];
        /** @type {Set<Tile>} cells whose image is loading */
        this.loading = new Set();
        this.loadSoon = later(() => this.load(), 40);
        set.when("opened", ({same}) => {
            if (!same) this.element.scrollTop = 0;
        });
        set.when("view", () => this.relayout());
        set.when("cells", () => this.draw());
        set.when("edited", () => this.draw());
        set.when("selection", () => this.mark());
        on("masks-shown", () => this.draw());
        new ResizeObserver(() => this.relayout()).observe(this.element);
    }

    /** Whether keys act on the images: nothing else was clicked. */
    get isFocused() {
        return document.activeElement === document.body || this.element.contains(document.activeElement);
    }

    /** @param {string} name small, medium or large */
    setSize(name) {
        store.set("captions.size", name);
        this.size = SIZES[name];
        this.relayout();
        this.reveal(this.set.current);
    }

    get columns() {
        return Math.max(1, Math.floor((this.element.clientWidth - GAP) / (this.size + GAP)));
    }

    /** The cell size, enlarged a little so that a row fills the width. */
    get cellSize() {
        return Math.floor((this.element.clientWidth - GAP) / this.columns) - GAP;
    }

    get rowHeight() {
        return this.cellSize + WORDS + GAP;
    }

    relayout() {
        if (!this.element.clientWidth) return;
        const rows = Math.ceil(this.set.numbers.length / this.columns);
        this.sheet.style.height = `${rows * this.rowHeight + GAP}px`;
        this.element.style.setProperty("--tl-cell", `${this.cellSize}px`);
        this.empty.hidden = this.set.numbers.length > 0;
        setText(this.empty, this.set.filter ? "No image matches the filter." : "There are no images here.");
        const columns = this.columns;
        for (const [place, cell] of this.drawn) this.put(cell, place, columns);
        this.draw();
    }

    draw() {
        const {numbers} = this.set;
        const columns = this.columns;
        const first = Math.floor(this.element.scrollTop / this.rowHeight) - SPARE_ROWS;
        const last = Math.ceil((this.element.scrollTop + this.element.clientHeight) / this.rowHeight) + SPARE_ROWS;
        const from = Math.max(0, first * columns);
        const to = Math.min(numbers.length, last * columns);
        for (const [place, cell] of this.drawn) {
            if (place < from || place >= to) {
                this.release(cell);
                this.drawn.delete(place);
            }
        }
        for (let place = from; place < to; place += 1) {
            const cell = this.drawn.get(place) || this.place(place, columns);
            this.drawn.set(place, cell);
            this.fill(cell, numbers[place]);
        }
        this.set.need(numbers.slice(from, to));
        this.mark();
        this.loadSoon();
    }

    /** @param {number} place @param {number} columns */
    place(place, columns) {
        const cell = this.pool.pop() || this.make();
        this.put(cell, place, columns);
        cell.element.hidden = false;
        return cell;
    }

    /** @param {Tile} cell @param {number} place @param {number} columns */
    put(cell, place, columns) {
        const left = GAP + (place % columns) * (this.cellSize + GAP);
        cell.element.style.transform = `translate(${left}px, ${GAP + Math.floor(place / columns) * this.rowHeight}px)`;
    }

    /** @param {Tile} cell */
    release(cell) {
        cell.element.hidden = true;
        cell.number = null;
        cell.wanted = "";
        this.show(cell, "");
        this.pool.push(cell);
    }

    /** @returns {Tile} */
    make() {
        const image = h("img", {alt: "", draggable: "false", decoding: "async"});
        const mask = h("img", {class: "tl-cell-mask", alt: "", draggable: "false", decoding: "async"});
        const name = h("span", {class: "tl-cell-name"}, "");
        const note = h("span", {class: "tl-cell-note"}, "");
        const marks = h("div", {class: "tl-cell-marks"});
        const element = h("div", {class: "tl-cell", role: "option", "aria-selected": "false"},
            h("div", {class: "tl-cell-image"}, image, mask), marks, h("div", {class: "tl-cell-words"}, name, note));
        /** @type {Tile} */
        const cell = {element, image, mask, name, note, marks, marked: "", masked: "", number: null, src: "", wanted: ""};
        for (const event of ["load", "error"]) {
            for (const each of [image, mask]) each.addEventListener(event, () => this.loaded(cell));
        }
        element.addEventListener("click", (event) => this.onClick(event, cell));
        element.addEventListener("dblclick", () => this.actions.open());
        this.sheet.append(element);
        return cell;
    }

    /** @param {Tile} cell @param {number} number */
    fill(cell, number) {
        const known = this.set.cells.get(number);
        if (cell.number !== number) {
            cell.number = number;
            cell.wanted = "";
        }
        setText(cell.name, known ? known.name : "");
        const note = known ? noteOf(known) : null;
        setText(cell.note, note ? note.text : "");
        cell.note.dataset.level = note ? note.level : "";
        this.fillMarks(cell, known ? marksOf(known, this.set.suspects.get(number)) : []);
        cell.element.title = known ? `${known.path}\n${known.problem || known.text || "no caption"}` : "";
        cell.element.setAttribute("aria-label", known ? `${known.name}: ${known.text || "no caption"}` : "");
        const side = this.size > SIZES.medium ? 512 : 256;
        cell.wanted = known ? this.set.image(known, side) : "";
        cell.masked = known && known.mask && masksShown() ? maskUrl(this.set, known, "mask-overlay", side) : "";
        if (!known) this.show(cell, "");
        if (!this.loading.has(cell)) this.cover(cell);
    }

    /** @param {Tile} cell @param {ReturnType<typeof marksOf>} marks */
    fillMarks(cell, marks) {
        const words = marks.map(({text}) => text).join();
        if (words === cell.marked) return;
        cell.marked = words;
        fill(cell.marks, marks.map(({text, title, level}) => h("span", {class: "tl-cell-mark", title, data: {level}}, text)));
    }

    /**
     * Load images when scrolling stops, so that scrolling to the end loads nothing in between, and a few at a time,
     * since a browser has six connections and must keep some for the user's actions.
     */
    load() {
        for (const cell of this.drawn.values()) {
            if (this.loading.size >= AT_ONCE) return;
            if (cell.wanted && cell.src !== cell.wanted) this.show(cell, cell.wanted);
        }
    }

    /** @param {Tile} cell @param {string} src empty for none */
    show(cell, src) {
        if (cell.src === src) return;
        cell.src = src;
        cell.mask.removeAttribute("src");
        if (src) {
            this.loading.add(cell);
            cell.image.src = src;
        } else {
            this.loading.delete(cell);
            cell.image.removeAttribute("src");
        }
    }

    /** @param {Tile} cell whose image or mask has been loaded */
    loaded(cell) {
        this.loading.delete(cell);
        this.cover(cell);
        this.load();
    }

    /** Show the mask over an image that is loaded. @param {Tile} cell */
    cover(cell) {
        const src = cell.src && cell.src === cell.wanted ? cell.masked : "";
        if ((cell.mask.getAttribute("src") || "") === src) return;
        if (src) {
            this.loading.add(cell);
            cell.mask.src = src;
        } else {
            cell.mask.removeAttribute("src");
        }
    }

    mark() {
        for (const cell of this.drawn.values()) {
            cell.element.setAttribute("aria-selected", String(cell.number !== null && this.set.selected.has(cell.number)));
            cell.element.classList.toggle("tl-current", cell.number === this.set.current);
        }
    }

    /** @param {MouseEvent} event @param {Tile} cell */
    onClick(event, cell) {
        this.element.focus({preventScroll: true});
        if (cell.number === null) return;
        this.set.choose(cell.number, {toggle: event.ctrlKey || event.metaKey, extend: event.shiftKey});
    }

    /** @param {KeyboardEvent} event */
    onKey(event) {
        const rows = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight));
        /** @type {Record<string, number>} */
        const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
            PageUp: -rows * this.columns, PageDown: rows * this.columns, Home: -Infinity, End: Infinity};
        if (event.key in moves && !event.altKey) {
            this.move(moves[event.key], event.shiftKey);
        } else if (event.key === " ") {
            if (this.set.current !== null) this.set.choose(this.set.current, {toggle: true});
        } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
            this.actions.open();
        } else if (event.key === "Delete") {
            this.actions.remove();
        } else if (event.key === "Escape") {
            this.set.select([]);
        } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
            this.set.select(this.set.numbers);
        } else {
            return;
        }
        event.preventDefault();
    }

    /** @param {number} steps @param {boolean} [extend] */
    move(steps, extend = false) {
        const {numbers} = this.set;
        if (!numbers.length) return;
        const at = this.set.current === null ? -1 : numbers.indexOf(this.set.current);
        const next = Math.max(0, Math.min(numbers.length - 1, at < 0 && Number.isFinite(steps) ? 0 : at + steps));
        this.set.choose(numbers[next], {extend});
        this.reveal(numbers[next]);
    }

    /** The height of the grid that is neither below the window nor covered by the action bar. */
    heightInSight() {
        const box = this.element.getBoundingClientRect();
        const bar = root.querySelector(".tl-capactions")?.getBoundingClientRect();
        const end = Math.min(window.innerHeight, bar && bar.height ? bar.top : window.innerHeight);
        return Math.max(this.rowHeight, Math.min(this.element.clientHeight, end - box.top));
    }

    /** @param {number|null} number of the image to scroll into view, null for none */
    reveal(number) {
        const place = number === null ? -1 : this.set.numbers.indexOf(number);
        if (place < 0) return;
        const top = Math.floor(place / this.columns) * this.rowHeight;
        const {scrollTop} = this.element;
        const clientHeight = this.heightInSight();
        if (top < scrollTop) this.element.scrollTop = top;
        else if (top + this.rowHeight + GAP > scrollTop + clientHeight) {
            this.element.scrollTop = top + this.rowHeight + GAP - clientHeight;
        }
    }
}

/** @param {Facts} cell */
function noteOf(cell) {
    if (cell.problem) return {text: "unreadable", level: "bad"};
    if (!(cell.text || "").trim()) return {text: "no caption", level: "warning"};
    return {text: cell.prose ? "prose" : String(cell.tags), level: ""};
}

export const CAPTION_SIZES = Object.keys(SIZES);
