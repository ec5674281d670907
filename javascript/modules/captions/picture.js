/** The current image, large, with its caption as text or as tag chips that can be dragged and removed. */

import {fill, h, later, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, emptyState, findings, icon, setLabel} from "../core/parts.js";
import {form} from "../train/form.js";
import {chunkMarks, chunkWords, factsOf, isAfter, markElement, markedText, markWords, placeOf, problemsOf} from "./chips.js";
import {tagInput} from "./complete.js";
import {ShownImage} from "./image/shown.js";
import {pairLine} from "./image/pair.js";
import {imageToolbar} from "./image/toolbar.js";

/** Settings that affect which tokens of a caption are trained. */
const FRAMING = ["dataset.caption_prefix", "dataset.caption_suffix", "dataset.keep_tokens_separator"];
const CHUNKS = [...FRAMING, "base.max_token_length", "dataset.keep_tokens", "dataset.shuffle_caption"];
/** @type {Record<string, number>} */
const STEPS = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1};

/** @typedef {import("./answers").Cell} Cell */
/** @typedef {import("./answers").PictureFacts} PictureFacts */
/** @typedef {import("./answers").TagFacts} TagFacts */
/** @typedef {import("./chips.js").Drag} Drag */

export class CaptionPicture {
    /** @param {import("./set.js").CaptionSet} set @param {(filter: string) => void} setFilter */
    constructor(set, setFilter) {
        this.set = set;
        this.setFilter = setFilter;
        /** @type {PictureFacts|null} including changes that are being saved */
        this.picture = null;
        this.asText = false;
        this.saving = 0;
        this.stale = false;  // the caption has changed since it was requested
        this.changing = false;
        /** @type {number|undefined} the index of the dragged chip */
        this.dragged = undefined;
        /** @type {PictureFacts|null} the server's last response */
        this.shown = null;
        this.shownImage = new ShownImage(set);
        /** @type {number|null} the image that is being requested */
        this.asked = null;
        /** @type {{number: number|null, act: (picture: PictureFacts) => void}|null} what was clicked while it loads */
        this.wanted = null;
        this.tools = imageToolbar(set, (act) => this.whenShown(act));
        this.name = h("p", {class: "tl-capname"}, "");
        this.facts = h("p", {class: "tl-note"}, "");
        this.pair = pairLine(set);
        this.problem = h("div", {});
        this.chips = h("ul", {class: "tl-capchips", "aria-label": "Tags of this image"});
        this.add = tagInput(set, {label: "Add tags to this image", placeholder: "Add a tag, Enter", several: true,
            id: "tl_caption_add", enter: (text) => this.addTags(text)});
        this.likely = h("div", {class: "tl-likely"});
        this.text = h("textarea", {class: "tl-input tl-textarea", id: "tl_caption_text", rows: "6", spellcheck: "false",
            "aria-label": "Caption of this image", on: {change: () => this.saveText(),
                keydown: (event) => this.onTextKey(event)}});
        this.mode = button("As text", {kind: "quiet", small: true,
            click: () => this.whenShown(this.setMode.bind(this, !this.asText))});  // the mode that its label names
        this.chunks = h("p", {class: "tl-note", id: "tl_chunk_words"}, "");
        this.marked = h("p", {class: "tl-marked", "aria-label": "The caption with the ends of its chunks"});
        this.tagPart = h("div", {class: "tl-captags"}, this.chips, this.add.element, this.likely);
        this.body = h("div", {class: "tl-capbody", hidden: true}, this.shownImage.element, this.tools, h("div", {class: "tl-caphead"},
            h("div", {class: "tl-capwords"}, this.name, this.facts, this.pair.element), this.mode), this.problem, this.tagPart, this.text, this.marked, this.chunks);
        this.empty = emptyState("No image selected", "Click one, or move with the arrow keys. Enter goes to its " +
            "tags, Delete moves it to the trash, Ctrl+Z undoes anything.");
        this.element = h("aside", {class: "tl-cappicture", "aria-label": "The selected image"}, this.empty, this.body);
        this.loadSoon = later(() => this.load(), 50);
        set.when("selection", () => {
            if (this.wanted?.number !== set.current) this.wanted = null;
            if ((!this.ready || this.stale) && (set.current === null || this.asked !== set.current)) this.loadSoon();
        });
        set.when("edited", (numbers) => {
            if (this.picture && numbers.includes(this.picture.number)) this.stale = true;
            if (set.current !== null && numbers.includes(set.current)) this.loadSoon();
        });
        set.when("opened", ({same}) => {
            if (!same) this.picture = this.asked = this.wanted = null;  // another image may have its number
            this.loadSoon();
        });
        on("setting", ({keys}) => {
            if (this.picture && keys.some((key) => CHUNKS.includes(key))) this.loadSoon();
        });
    }

    async load() {
        const number = this.set.current;
        if (number === null || !this.set.isOpen) {
            this.picture = null;
            this.body.hidden = true;
            this.empty.hidden = false;
            return;
        }
        this.drawFirst(number);
        const {session} = this.set;
        this.asked = number;
        const answer = await this.set.ask("picture", {numbers: [number], ...framing()}, {quiet: true}).catch(() => null);
        if (this.asked === number) this.asked = null;
        if (number !== this.set.current || session !== this.set.session || !answer) return;
        const other = !this.picture || this.picture.number !== number;
        if (!other && this.saving) return;  // already shows the changes being saved
        this.picture = answer;
        if (other) {
            this.changing = false;
            this.dragged = undefined;
        }
        this.shown = {...answer};
        this.stale = false;
        if (other) this.asText = answer.prose;
        this.draw(other);
        const {wanted} = this;
        this.wanted = null;
        wanted?.act(answer);
    }

    /** Whether the selected image is the one shown, with its caption. */
    get ready() {
        return this.picture !== null && this.picture.number === this.set.current && !this.body.classList.contains("tl-pending");
    }

    /** Act on the selected image, once it has loaded unless another is selected first. @param {(picture: PictureFacts) => void} act */
    whenShown(act) {
        if (this.ready && this.picture) act(this.picture);
        else {
            this.wanted = {number: this.set.current, act};
            if (this.asked !== this.set.current) this.loadSoon();
        }
    }

    /** Show what the grid already has, without waiting. @param {number} number */
    drawFirst(number) {
        const cell = this.set.cells.get(number);
        if (!cell || this.ready) return;
        this.body.hidden = false;
        this.empty.hidden = true;
        this.shownImage.showFirst(cell);
        setText(this.name, cell.path);
        this.body.classList.add("tl-pending");
    }

    /** @param {boolean} other whether the image has changed */
    draw(other) {
        const {picture} = this;
        if (!picture) return;
        this.body.hidden = false;
        this.empty.hidden = true;
        this.body.classList.remove("tl-pending");
        this.shownImage.show(picture);
        setText(this.name, picture.path);
        setText(this.facts, factsOf(picture, this.limit));
        this.pair.show(picture);
        const found = problemsOf(picture);
        fill(this.problem, found.length ? findings(found) : null);
        this.tagPart.hidden = this.asText || Boolean(picture.problem);
        this.text.hidden = !this.asText || Boolean(picture.problem);
        this.mode.hidden = Boolean(picture.problem);
        setLabel(this.mode, this.asText ? "As tags" : "As text");
        if (other || document.activeElement !== this.text) this.text.value = picture.text || "";
        this.drawChips();
        this.drawLikely(picture);
        const {shuffled, kept} = shuffling();
        setText(this.chunks, picture.problem ? "" : chunkWords(picture, this.limit, shuffled, kept, Boolean(this.set.about?.tokens_exact)));
        this.marked.hidden = !this.asText || Boolean(picture.problem) || !picture.chunk_ends.length;
        fill(this.marked, markedText(picture, this.limit));
    }

    /** @returns {number} the most tokens of a caption that are trained */
    get limit() {
        return Number(form.get("base.max_token_length")) || 75;
    }

    drawChips() {
        const {picture} = this;
        if (!picture || this.changing || this.dragged !== undefined) return;  // rendered when that ends
        const focused = document.activeElement && document.activeElement.closest("li");
        const held = focused ? [...this.chips.children].indexOf(focused) : -1;
        const {shuffled, kept} = shuffling();
        const marks = chunkMarks(picture.tag_list, this.limit, shuffled ? kept : 0);
        fill(this.chips, picture.tag_list.map((item, place) => this.chip(item, place, marks[place])));
        if (held >= 0) this.focusChip(Math.min(held, this.chips.children.length - 1));
    }

    /** @param {number} place */
    focusChip(place) {
        const chip = this.chips.children[place];
        if (chip instanceof HTMLElement) chip.focus();
    }

    /** @param {TagFacts} item @param {number} place @param {import("./chips.js").Mark} mark */
    chip(item, place, mark) {
        const first = place === 0 && item.tag === this.set.activationTag;
        const remove = h("button", {type: "button", class: "tl-chip-x", "aria-label": `Remove ${item.tag}`, tabindex: "-1",
            title: "Remove", on: {click: () => this.removeTag(place)}}, icon("close"));
        const kind = `${first ? " tl-chip-first" : ""}${mark.beyond ? " tl-beyond" : ""}${mark.kept ? " tl-chip-kept" : ""}`;
        return h("li", {class: `tl-chip${kind}`, draggable: "true", tabindex: place ? "-1" : "0", data: {tag: item.tag},
            title: `${format.plural(item.count, "image")} with it. Drag to order, double click to change. ${markWords(mark, this.limit)}`,
            on: {keydown: (event) => this.onChipKey(event, place), dblclick: () => this.change(place),
                dragstart: (event) => this.startDrag(event, place), dragover: (event) => this.dragOver(event),
                dragleave: (event) => event.currentTarget.classList.remove("tl-drop-before", "tl-drop-after"),
                drop: (event) => this.drop(event, place), dragend: () => this.endDrag()}},
        mark.cut ? null : markElement(mark), h("span", {class: "tl-chip-tag"}, item.tag), mark.cut ? markElement(mark) : null,
        item.confidence === null ? null : h("span", {class: "tl-chip-sure", title: "Tagger confidence"},
            `${Math.round(100 * item.confidence)}%`), remove);
    }

    /** @param {PictureFacts} picture */
    drawLikely({likely}) {
        fill(this.likely, likely.length ? [h("span", {class: "tl-note"}, "The tagger also sees"), likely.map((item) =>
            h("button", {type: "button", class: "tl-ghost", title: "Add it", on: {click: () => this.addTags(item.tag)}},
                item.tag, h("span", {class: "tl-chip-sure"}, `${Math.round(100 * item.confidence)}%`)))] : null);
    }

    get tags() {
        return this.picture ? this.picture.tag_list.map((item) => item.tag) : [];
    }

    /**
     * Show a change immediately and save it after pending edits, applied to their result.
     * @param {(tags: string[]) => string[]} change
     */
    async saveTags(change) {
        if (!this.picture) return;
        const {number} = this.picture;
        const known = new Map(this.picture.tag_list.map((item) => [item.tag, item]));
        this.picture.tag_list = change(this.tags).map((tag) => known.get(tag) || {tag, count: 1, confidence: null, begins: 0, ends: 0});
        this.drawChips();
        this.saving += 1;
        await this.set.edit("text", async () => {
            const {text, tag_list: list} = await this.saved(number);
            const before = list.map((item) => item.tag);
            const tags = change(before);
            return JSON.stringify(tags) === JSON.stringify(before) ? null : {number, before: text || "", tags};
        }, {quiet: true});
        this.saving -= 1;
        this.loadSoon();
    }

    /** The saved caption as last seen, so that changes by other programs cause a conflict. @param {number} number */
    async saved(number) {
        if (this.shown && this.shown.number === number && !this.stale) return this.shown;
        return this.set.ask("picture", {numbers: [number], ...framing()}, {quiet: true});
    }

    /** @param {string} text */
    addTags(text) {
        const more = text.split(",").map((tag) => tag.trim()).filter(Boolean);
        if (!more.length || !this.picture) return;
        this.add.input.value = "";
        this.saveTags((tags) => {
            const there = new Set(tags.map((tag) => tag.toLowerCase()));
            return [...tags, ...more.filter((tag) => !there.has(tag.toLowerCase()))];
        });
    }

    /** @param {number} place */
    removeTag(place) {
        const tag = this.tags[place];
        this.saveTags((tags) => tags.filter((_, index) => index !== placeOf(tags, tag, place)));
    }

    /** @param {number} from @param {number} to */
    moveTag(from, to) {
        const tag = this.tags[from];
        return this.saveTags((tags) => {
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
            this.drawChips();
            const tag = text.trim();
            if (tag && tag !== before) {
                this.saveTags((tags) => tags.map((other, index) => index === placeOf(tags, before, place) ? tag : other));
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
        this.chips.children[place].replaceWith(box.element);
        box.input.focus();
        box.input.select();
    }

    /** @param {KeyboardEvent} event @param {number} place */
    onChipKey(event, place) {
        const step = STEPS[event.key];
        const next = step ? place + step : place;
        if (event.target !== event.currentTarget) return;
        if (step && (next < 0 || next >= this.chips.children.length)) return;
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
        this.drawChips();
    }

    async saveText() {
        const {picture} = this;
        if (!picture || this.text.value === (picture.text || "").replace(/\r\n/g, "\n")) return;
        await this.set.edit("text", {number: picture.number, before: picture.text || "", text: this.text.value},
            {quiet: true});
    }

    /** @param {KeyboardEvent} event */
    onTextKey(event) {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            this.text.blur();
        } else if (event.key === "Escape") {
            this.text.value = (this.picture && this.picture.text) || "";
            this.text.blur();
        } else {
            return;
        }
        event.preventDefault();
    }

    /** @param {boolean} asText */
    setMode(asText) {
        this.asText = asText;
        this.draw(false);
        this.focus();
    }

    /** Focus the caption's input. */
    focus() {
        (this.asText ? this.text : this.add.input).focus();
    }
}

/** Prefix, suffix and keep-tokens separator from the form. */
function framing() {
    const [prefix, suffix, mark] = FRAMING.map((key) => form.text(key));
    return {prefix, suffix, mark};
}

/** Whether training shuffles tags, and how many it keeps in front; a keep-tokens separator overrides that number. */
function shuffling() {
    const shuffled = form.get("dataset.shuffle_caption") === true;
    return {shuffled, kept: form.text("dataset.keep_tokens_separator") ? 0 : Number(form.get("dataset.keep_tokens")) || 0};
}
