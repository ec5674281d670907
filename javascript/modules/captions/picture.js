/** The current image, large, with its caption as text or as tag chips that can be dragged and removed. */

import {fill, h, later, on, setText} from "../core/dom.js";
import {button, emptyState, findings, setLabel, unread} from "../core/parts.js";
import {form} from "../train/form.js";
import {chunkWords, factsOf, markedText, problemsOf} from "./chips.js";
import {tagInput} from "./complete.js";
import {CaptionChips} from "./image/caption_chips.js";
import {ShownImage} from "./image/shown.js";
import {pairLine} from "./image/pair.js";
import {imageToolbar} from "./image/toolbar.js";

/** Settings that affect which tokens of a caption are trained. */
const FRAMING = ["dataset.caption_prefix", "dataset.caption_suffix", "dataset.keep_tokens_separator"];
const CHUNKS = [...FRAMING, "base.max_token_length", "dataset.keep_tokens", "dataset.shuffle_caption"];

/** @typedef {import("./answers").Cell} Cell */
/** @typedef {import("./answers").PictureFacts} PictureFacts */

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
        this.failed = h("div", {});
        this.chips = new CaptionChips(set, (change) => this.saveTags(change));
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
        this.tagPart = h("div", {class: "tl-captags"}, this.chips.element, this.add.element, this.likely);
        this.body = h("div", {class: "tl-capbody", hidden: true}, this.shownImage.element, this.tools, h("div", {class: "tl-caphead"},
            h("div", {class: "tl-capwords"}, this.name, this.facts, this.pair.element), this.mode), this.failed, this.problem, this.tagPart, this.text, this.marked, this.chunks);
        this.empty = emptyState("No image selected", "Click one, or move with the arrow keys. Enter goes to its " +
            "tags, Delete moves it to the trash, Ctrl+Z undoes anything.");
        this.element = h("aside", {class: "tl-cappicture", "aria-label": "The selected image"}, this.empty, this.body);
        this.loadSoon = later(() => this.load(), 50);
        set.when("selection", () => {
            if (this.wanted?.number !== set.current) this.wanted = null;
            if ((!this.ready || this.stale) && (set.current === null || this.asked !== set.current)) this.loadSoon();
        });
        set.when("cells", (numbers) => {
            if (set.current !== null && !this.ready && numbers.includes(set.current)) this.pend(set.cells.get(set.current));
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
        const answer = await this.set.ask("picture", {numbers: [number], ...framing()}, {quiet: true}).catch((failure) => ({failure}));
        if (this.asked === number) this.asked = null;
        if (number !== this.set.current || session !== this.set.session) return;
        if ("failure" in answer) {
            this.fail(answer.failure);
            return;
        }
        const other = !this.picture || this.picture.number !== number;
        if (!other && this.saving) return;  // already shows the changes being saved
        this.picture = answer;
        if (other) this.chips.forget();
        this.shown = {...answer};
        this.stale = false;
        if (other) this.asText = answer.prose;
        this.draw(other);
        const {wanted} = this;
        this.wanted = null;
        wanted?.act(answer);
    }

    /** Say so in the caption's place. What was clicked waits for the next answer. @param {unknown} error */
    fail(error) {
        fill(this.failed, unread("The caption", error, () => this.load()));
        if (this.ready) return;
        this.pend(this.set.cells.get(this.set.current ?? -1));
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
        if (this.ready) return;
        fill(this.failed);
        const cell = this.set.cells.get(number);
        if (cell) this.pend(cell);
    }

    /** Show the image without its caption. @param {Cell} [cell] what the grid has of it, if anything */
    pend(cell) {
        this.body.hidden = false;
        this.empty.hidden = true;
        this.body.classList.add("tl-pending");
        setText(this.name, cell ? cell.path : "");
        if (cell) this.shownImage.showFirst(cell);
        else this.shownImage.element.hidden = true;
    }

    /** @param {boolean} other whether the image has changed */
    draw(other) {
        const {picture} = this;
        if (!picture) return;
        this.body.hidden = false;
        this.empty.hidden = true;
        this.body.classList.remove("tl-pending");
        fill(this.failed);
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
        const {shuffled, kept} = shuffling();
        if (this.picture) this.chips.show(this.picture.tag_list, this.limit, shuffled ? kept : 0);
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
