/** Actions on the selected images (copy, paste, tag), and the common tags of several. */

import {fill, h, later, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, icon, setLabel, unread} from "../core/parts.js";
import {tagInput} from "./complete.js";

/** @type {Record<string, number>} */
const STEPS = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1};

/** @typedef {import("./records").CommonTags} CommonTags */

export class SelectedImages {
    /**
     * @param {import("./set.js").CaptionSet} set
     * @param {import("./clipboard.js").CaptionClipboard} clipboard
     * @param {() => void} tag opens the tagger for the selected images
     */
    constructor(set, clipboard, tag) {
        this.set = set;
        this.clipboard = clipboard;
        /** @type {CommonTags|null} */
        this.shown = null;
        this.words = h("p", {class: "tl-selected-count", "aria-live": "polite"}, "");
        this.paste = button("Paste tags", {small: true, id: "tl_paste_tags", title: "Add the copied tags to the selected images (Ctrl+V)",
            click: () => clipboard.paste()});
        this.common = h("ul", {class: "tl-commonchips", "aria-label": "Tags of all selected images"});
        this.some = h("ul", {class: "tl-commonchips", "aria-label": "Tags of some selected images"});
        this.someWords = h("p", {class: "tl-note"}, "");
        this.note = h("p", {class: "tl-note"}, "");
        this.add = tagInput(set, {label: "Add tags to all selected images", placeholder: "Add a tag to all, Enter",
            several: true, id: "tl_common_add", enter: (text) => this.addTyped(text)});
        this.allWords = h("p", {class: "tl-note"}, "");
        this.failed = h("div", {});
        this.several = h("div", {class: "tl-captags", id: "tl_common_tags"}, this.allWords, this.common,
            this.add.element, this.someWords, this.some, this.note);
        this.element = h("section", {class: "tl-selected", "aria-label": "The selected images", hidden: true},
            h("div", {class: "tl-selected-head"}, this.words, h("div", {class: "tl-row"},
                button("Copy tags", {small: true, id: "tl_copy_tags", title: "Copy the tags of the selected images (Ctrl+C)",
                    click: () => clipboard.copy()}), this.paste,
                button("Tagger …", {small: true, id: "tl_tag_selected", title: "Tag only the selected images",
                    click: tag}))), this.failed, this.several);
        this.loadSoon = later(() => this.load(), 60);
        for (const name of /** @type {const} */ (["selection", "edited", "opened"])) {
            set.when(name, () => this.changed());
        }
    }

    /** Show the count immediately, and the tags when the server responds. */
    changed() {
        const {selected} = this.set;
        this.element.hidden = !selected.size;
        setText(this.words, `${format.number(selected.size)} selected`);
        const copied = this.clipboard.tags.length;
        setLabel(this.paste, copied ? `Paste ${format.plural(copied, "tag")}` : "Paste tags");
        this.several.hidden = selected.size < 2 || !this.shown;
        if (selected.size > 1) this.loadSoon();
        else {
            this.shown = null;
            fill(this.failed);
        }
    }

    async load() {
        const numbers = [...this.set.selected];
        if (numbers.length < 2 || !this.set.isOpen) return;
        const answer = await this.set.ask("common", {numbers}, {quiet: true}).catch((failure) => ({failure}));
        if (numbers.length !== this.set.selected.size || !numbers.every((one) => this.set.selected.has(one))) return;
        this.shown = "failure" in answer ? null : answer;
        this.several.hidden = "failure" in answer;
        fill(this.failed, "failure" in answer ? unread("The common tags", answer.failure, () => this.load()) : null);
        if (!("failure" in answer)) this.draw(answer);
    }

    /** @param {CommonTags} found */
    draw(found) {
        const {common, some, images, more} = found;
        const all = images === 2 ? "both" : `all ${format.number(images)}`;
        setText(this.allWords, !images ? "" : common.length ? `In ${all}` : `No tag is in ${all}.`);
        const lists = [this.common, this.some], focused = document.activeElement?.closest("li");
        const held = lists.map((list) => [...list.children].indexOf(focused ?? list));
        fill(this.common, common.map((tag, place) => this.chip(tag, place, images, images)));
        fill(this.some, some.map(([tag, count], place) => this.chip(tag, place, count, images)));
        lists.forEach((list, which) => {
            if (held[which] < 0) return;
            const same = [...list.children].findIndex((chip) => chip instanceof HTMLElement && chip.dataset.tag === focused?.dataset.tag);
            focusChip(list, same >= 0 ? same : Math.min(held[which], list.children.length - 1));  // else what took its place
        });
        setText(this.someWords, some.length ? `In some${more ? `, the most frequent ${some.length} of ${format.number(some.length + more)}` : ""}` : "");
        const left = [found.sentences ? `${format.plural(found.sentences, "caption")} in sentences` : "",
            found.unreadable ? `${format.plural(found.unreadable, "caption")} that cannot be read` : ""].filter(Boolean);
        setText(this.note, left.length ? `Left alone: ${left.join(" and ")}.` : "");
        this.add.element.hidden = !images;
        this.several.hidden = false;
    }

    /** @param {string} tag @param {number} place @param {number} count @param {number} images */
    chip(tag, place, count, images) {
        const some = count < images;
        const words = some ? `In ${format.number(count)} of ${format.number(images)}. Enter adds it to all, Delete removes it.`
            : "In all of them. Delete removes it from all.";
        return h("li", {class: `tl-chip tl-common${some ? " tl-common-some" : ""}`, tabindex: place ? "-1" : "0", data: {tag},
            title: words, "aria-label": `${tag}, in ${format.number(count)} of ${format.number(images)}`,
            on: {keydown: (event) => this.onKey(event, tag, place, some)}},
        h("span", {class: "tl-common-tag"}, tag),
        some ? h("span", {class: "tl-chip-sure"}, format.number(count)) : null,
        some ? h("button", {type: "button", class: "tl-chip-x tl-chip-plus", tabindex: "-1", title: "Add it to all",
            "aria-label": `Add ${tag} to all`, on: {click: () => this.addTags([tag])}}, icon("plus")) : null,
        h("button", {type: "button", class: "tl-chip-x", tabindex: "-1", title: "Remove it from all",
            "aria-label": `Remove ${tag} from all`, on: {click: () => this.remove(tag)}}, icon("close")));
    }

    /** @param {KeyboardEvent & {currentTarget: HTMLElement}} event @param {string} tag @param {number} place @param {boolean} some */
    onKey(event, tag, place, some) {
        if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
        const list = event.currentTarget.parentElement;
        const step = STEPS[event.key];
        if (step && list) focusChip(list, place + step);
        else if (event.key === "Delete" || event.key === "Backspace") this.remove(tag);
        else if (event.key === "Enter" && some) this.addTags([tag]);
        else return;
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {string} text */
    addTyped(text) {
        const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
        if (!tags.length) return;
        this.add.input.value = "";
        this.addTags(tags);
    }

    /** @param {string[]} tags */
    addTags(tags) {
        this.apply({kind: "add", tags, place: "last"});
    }

    /** @param {string} tag */
    remove(tag) {
        this.apply({kind: "remove", tags: [tag], exact: true});
    }

    /** @param {object} operation */
    apply(operation) {
        const numbers = [...this.set.selected];
        this.set.edit("apply", {numbers, operation, activation_tag: this.set.activationTag});
    }
}

/** @param {Element} list @param {number} place */
function focusChip(list, place) {
    const chip = list.children[place];
    if (chip instanceof HTMLElement) chip.focus();
}
