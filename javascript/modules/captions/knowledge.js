/** The views "Consolidate" (redundant tags) and "Doubtful tags" (tags that may be wrong). */

import {fill, h} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, fold} from "../core/parts.js";
import {captionDifference} from "./dialogs.js";

/** @typedef {import("./set.js").CaptionSet} CaptionSet */
/** @typedef {import("./answers").Cell} Cell */
/** @typedef {import("./answers").Suggestion} Suggestion */
/** @typedef {import("./answers").DoubtFacts} DoubtFacts */

/** @param {CaptionSet} set @param {Cell} cell @param {number} size */
function thumb(set, cell, size = 128) {
    return h("button", {type: "button", class: "tl-advice-thumb", title: cell.path, "aria-label": cell.name,
        on: {click: () => set.choose(cell.number)}}, h("img", {src: set.image(cell, size), alt: "", loading: "lazy"}));
}

export class ConsolidatePanel {
    /** @param {CaptionSet} set */
    constructor(set) {
        this.set = set;
        this.all = button("Accept all", {kind: "primary", click: () => this.accept(this.suggestions)});
        this.list = h("ul", {class: "tl-advice-list"});
        this.words = h("p", {}, "");
        this.element = h("section", {class: "tl-advice", "aria-label": "Consolidate"}, h("div", {class: "tl-advice-head"},
            h("div", {}, h("h3", {class: "tl-card-title"}, "Redundant tags"), this.words), this.all), this.list);
        /** @type {Suggestion[]} */
        this.suggestions = [];
        set.when("opened", ({same}) => {
            if (same) return;
            this.suggestions = [];
            this.list.replaceChildren();
        });
    }

    async load() {
        const answer = await this.set.ask("consolidate", {tag: this.set.activationTag}).catch(() => null);
        if (!answer) return;
        this.suggestions = answer.suggestions;
        this.words.textContent = answer.total
            ? "Taggers give one thing several tags. The most specific tag replaces the others in the images that have " +
                "it."
            : "No redundant tags were found.";
        this.all.hidden = answer.total < 2;
        fill(this.list, this.suggestions.map((item) => this.row(item)));
    }

    /** @param {Suggestion} item */
    row(item) {
        const drops = item.drop.map((tag) => ({tag, box: h("input", {type: "checkbox", checked: true, data: {tag}})}));
        const chosen = () => ({keep: item.keep, drop: drops.filter(({box}) => box.checked).map(({tag}) => tag)});
        const adding = item.adds_up ? ` In ${format.plural(item.adds_up, "image")} it is combined from the ` +
            `others.` : "";
        return h("li", {class: "tl-advice-item"},
            h("div", {class: "tl-advice-line"}, h("b", {class: "tl-keep"}, item.keep), h("span", {class: "tl-note"}, "replaces"),
                drops.map(({tag, box}) => h("label", {class: "tl-tick"}, box, h("del", {}, tag))),
                h("span", {class: "tl-advice-space"}),
                button(`Accept in ${format.plural(item.pictures, "image")}`, {small: true, click: () => this.accept([chosen()])})),
            adding ? h("p", {class: "tl-note"}, adding) : null,
            h("div", {class: "tl-advice-thumbs"}, item.examples.slice(0, 12).map((cell) => thumb(this.set, cell))),
            fold("Before and after", h("ul", {class: "tl-previews"}, item.examples.slice(0, 6).map((cell) =>
                h("li", {class: "tl-preview"}, h("img", {src: this.set.image(cell, 128), alt: "", loading: "lazy"}),
                    h("div", {}, captionDifference(cell.text || "", cell.after.join(", "))))))));
    }

    /** @param {import("./answers").Consolidation[]} suggestions */
    async accept(suggestions) {
        const chosen = suggestions.filter((item) => item.drop.length).map(({keep, drop}) => ({keep, drop}));
        if (chosen.length && await this.set.edit("consolidate/accept", {chosen})) await this.load();
    }
}

export class DoubtfulPanel {
    /** @param {CaptionSet} set */
    constructor(set) {
        this.set = set;
        this.list = h("ul", {class: "tl-doubts", tabindex: "0", "aria-label": "Doubtful tags",
            on: {keydown: (event) => this.onKey(event)}});
        this.words = h("p", {}, "");
        this.element = h("section", {class: "tl-advice", "aria-label": "Doubtful tags"}, h("div", {class: "tl-advice-head"},
            h("div", {}, h("h3", {class: "tl-card-title"}, "Tags that may be wrong"), this.words)), this.list);
        /** @type {DoubtFacts[]} */
        this.doubts = [];
        this.at = 0;
        set.when("opened", ({same}) => {
            if (same) return;
            this.doubts = [];
            this.list.replaceChildren();
        });
    }

    async load() {
        const answer = await this.set.ask("doubtful").catch(() => null);
        if (!answer) return;
        this.doubts = answer.doubts;
        const tagged = answer.tagged ? "" : " Run a tagger on the images to list its doubts too; it does not have to write captions.";
        this.words.textContent = (answer.total ? `${format.plural(answer.total, "tag")} to check. M fixes the selected ` +
            "one, K keeps it, the arrow keys move." : "Nothing looks wrong.") + tagged;
        fill(this.list, this.doubts.map((doubt, place) => this.row(doubt, place)));
        this.mark(Math.min(this.at, this.doubts.length - 1));
    }

    /** @param {DoubtFacts} doubt @param {number} place */
    row(doubt, place) {
        return h("li", {class: "tl-doubt", data: {key: doubt.key}, on: {click: () => this.mark(place)}},
            thumb(this.set, doubt.cell), h("div", {class: "tl-doubt-words"},
                h("p", {}, h("b", {}, doubt.tag), h("span", {class: "tl-note"}, ` in ${doubt.picture}`)),
                h("p", {class: "tl-note"}, doubt.why)),
            button("Keep", {small: true, click: () => this.decide([place], true)}),
            button(doubt.fix, {small: true, kind: "primary", click: () => this.decide([place], false)}));
    }

    /** @param {number} place */
    mark(place) {
        this.at = Math.max(0, place);
        [...this.list.children].forEach((row, index) => row.classList.toggle("tl-current", index === this.at));
        const doubt = this.doubts[this.at];
        if (doubt && this.set.current !== doubt.cell.number) this.set.choose(doubt.cell.number);
    }

    /** @param {KeyboardEvent} event */
    onKey(event) {
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
        if (step) {
            this.mark(Math.max(0, Math.min(this.doubts.length - 1, this.at + step)));
            const row = this.list.children[this.at];
            if (row) row.scrollIntoView({block: "nearest"});
        } else if (["k", "m"].includes(event.key.toLowerCase()) && !event.ctrlKey && this.doubts.length) {
            this.decide([this.at], event.key.toLowerCase() === "k");
        } else {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {number[]} places @param {boolean} keep */
    async decide(places, keep) {
        const keys = places.map((place) => this.doubts[place].key);
        const done = keep ? await this.set.ask("doubtful/decide", {keys, keep}).catch(() => null)
            : await this.set.edit("doubtful/decide", {keys, keep});
        if (!done) return;
        this.at = places[0];
        await this.load();
        this.list.focus({preventScroll: true});
    }
}

export {thumb as captionThumb};
