/** The images that show a tag untagged, or tagged, and the ways out: one click each, as one undo step. */

import {fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, findings} from "../../core/parts.js";
import {maskTool} from "../masks/paint.js";

/** @typedef {import("../set.js").CaptionSet} CaptionSet */
/** @typedef {import("./answers").TagCauseFacts} Facts */
/** @typedef {import("../records").Shown} Shown */
/** @typedef {{label: string, title: string, route: keyof import("../routes").CaptionEdits, body: object}} Way */

const LISTED = 60;
const HALF = 0.5;

/** @param {string} tag @param {boolean} tagged whether the captions have it @param {string} trigger @returns {Way[]} */
function waysOf(tag, tagged, trigger) {
    const operation = (/** @type {object} */ values) => ({operation: {tags: [tag], include_prose: true, ...values}, activation_tag: trigger});
    return [tagged ? {label: "Remove the tag", title: "From their captions: it is then learned as a part of the subject", route: "apply",
        body: operation({kind: "remove", exact: true})}
        : {label: "Add the tag", title: "To their captions, at the end: then a prompt can leave it out", route: "apply",
            body: operation({kind: "add", place: "last"})},
    {label: "Half weight", title: "They count half in the loss", route: "weights", body: {weight: HALF, repeats: null}},
    {label: "Leave out", title: "0 repeats: they are not trained; the files stay", route: "weights", body: {weight: null, repeats: 0}}];
}

export class CauseLists {
    /**
     * @param {CaptionSet} set
     * @param {{again: () => void, show: (numbers: number[]) => void, tagSet: (numbers: number[]) => void, trigger: () => string,
     *     hasTagger: () => boolean}} actions `again`: something was edited; `tagSet` tags images without writing captions
     */
    constructor(set, actions) {
        this.set = set;
        this.actions = actions;
        this.title = h("h4", {}, "");
        this.text = h("p", {class: "tl-cause-text", id: "tl_cause_text", role: "status"}, "");
        this.unknown = h("div", {class: "tl-row"});
        this.body = h("div", {class: "tl-cause-part"});
        this.element = h("section", {class: "tl-cause-part", "aria-label": "Images that show it", hidden: true}, this.title, this.text,
            this.unknown, this.body);
    }

    /** @param {Facts} facts */
    show(facts) {
        this.element.hidden = false;
        setText(this.title, `Images that show ${facts.tag}`);
        setText(this.text, facts.text);
        const {unknown} = facts;
        this.unknown.hidden = !unknown.length;
        fill(this.unknown, h("span", {class: "tl-note"}, `No tagger has seen ${format.number(unknown.length)} of ` +
            `${format.plural(facts.images, "image")} yet, so only ${unknown.length === 1 ? "its caption counts" : "their captions count"}.`),
        this.actions.hasTagger() ? button("Tag them without writing captions", {small: true, id: "tl_cause_tag_set",
            click: () => this.actions.tagSet(unknown)}) : null);
        fill(this.body, this.list("Shown, but not in the caption", facts, facts.untagged, false),
            this.list("In the caption", facts, facts.tagged, true));
    }

    /** @param {string} problem */
    fail(problem) {
        this.element.hidden = false;
        fill(this.body, findings([{level: "error", text: problem}]));
    }

    /** @param {string} title @param {Facts} facts @param {Shown[]} shown @param {boolean} tagged */
    list(title, facts, shown, tagged) {
        if (!shown.length) return null;
        const chosen = new Set(shown.map(({number}) => number));
        const cells = new Map(facts.cells.map((cell) => [cell.number, cell]));
        const count = h("span", {class: "tl-note"});
        const ways = waysOf(facts.tag, tagged, this.actions.trigger());
        const buttons = [...ways.map((way) => button(way.label, {small: true, title: way.title, click: () => this.carryOut(way, [...chosen])})),
            button("Mask", {small: true, title: "Paint what is not trained, in the first of them", click: (event) =>
                this.mask([...chosen][0], /** @type {HTMLElement} */ (event.currentTarget))}),
            button("Show in the editor", {small: true, kind: "quiet", click: () => this.actions.show([...chosen])})];
        const refresh = () => {
            setText(count, `${format.number(chosen.size)} of ${format.plural(shown.length, "image")} chosen`);
            for (const one of buttons) one.disabled = !chosen.size;
        };
        const thumbs = shown.slice(0, LISTED).flatMap(({number, confidence}) => {
            const cell = cells.get(number);
            return cell ? [this.thumb(cell, confidence, chosen, refresh)] : [];
        });
        refresh();
        return h("div", {class: "tl-cause-list", data: {list: tagged ? "tagged" : "untagged"}}, h("div", {class: "tl-row"},
            h("h5", {}, title), count), h("div", {class: "tl-cause-thumbs"}, thumbs, shown.length > LISTED ? h("span", {class: "tl-note"},
            `and ${format.number(shown.length - LISTED)} more`) : null), h("div", {class: "tl-row tl-cause-ways"}, buttons));
    }

    /** @param {import("../answers").Cell} cell @param {number|null} confidence @param {Set<number>} chosen @param {() => void} changed */
    thumb(cell, confidence, chosen, changed) {
        return h("button", {type: "button", class: "tl-cause-thumb", "aria-pressed": "true", "aria-label": cell.name, title: `${cell.path}\n${cell.text || ""}`,
            on: {click: (event) => {
                if (!chosen.delete(cell.number)) chosen.add(cell.number);
                event.currentTarget.setAttribute("aria-pressed", String(chosen.has(cell.number)));
                changed();
            }}}, h("img", {src: this.set.image(cell, 256), alt: "", loading: "lazy"}),
        h("span", {class: "tl-cause-sure"}, confidence === null ? cell.weight === 1 ? "" : `× ${cell.weight}` : `${Math.round(100 * confidence)}%`));
    }

    /** @param {Way} way @param {number[]} numbers */
    async carryOut(way, numbers) {
        if (await this.set.edit(way.route, {numbers, ...way.body})) this.actions.again();
    }

    /** @param {number} number @param {HTMLElement} opener */
    async mask(number, opener) {
        const picture = await this.set.ask("picture", {numbers: [number]}).catch(() => null);
        if (picture) maskTool.open({set: this.set, picture, opener});
    }
}
