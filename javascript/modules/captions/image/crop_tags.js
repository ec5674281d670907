/** The caption of a crop: tags that are proposed to be removed or added, each with a box to tick, and the text to edit. */

import {fill, h, setText} from "../../core/dom.js";
import {captionWith, plainTag} from "./caption_text.js";

/** @typedef {import("../records").TagProposal} TagProposal */
/** @typedef {{proposal: TagProposal, add: boolean, chosen: boolean}} Choice */

export class CropTags {
    /** @param {import("../answers").PictureFacts} picture @param {string} separator */
    constructor(picture, separator) {
        this.original = picture.text || "";
        this.separator = separator;
        this.prose = picture.prose;
        /** @type {Choice[]} */
        this.choices = [];
        /** What the user decided about tags, by key; kept while the frame changes. @type {Map<string, boolean>} */
        this.decided = new Map();
        this.edited = false;
        this.list = h("ul", {class: "tl-croptags", "aria-label": "Proposed tags"});
        this.note = h("p", {class: "tl-note"}, "");
        this.text = h("textarea", {class: "tl-input tl-textarea", id: "tl_crop_caption", rows: "4", spellcheck: "false",
            "aria-label": "Caption of the result", value: this.original, on: {input: () => {
                this.edited = true;
            }}});
        this.element = h("section", {class: "tl-crop-part"}, h("h4", {class: "tl-subtitle"}, "Caption"), this.list, this.note,
            picture.problem ? h("p", {class: "tl-note"}, "The caption is copied as it is, since it cannot be read.") : this.text);
        this.readable = !picture.problem;
        this.text.value = this.original;
    }

    /** @returns {string|null} the caption to save, null for the image's own */
    get value() {
        return this.readable && this.text.value !== this.original ? this.text.value : null;
    }

    /** @param {Pick<import("../records").FrameFacts, "remove"|"add"|"note">} facts */
    show({remove, add, note}) {
        const proposed = this.prose ? [] : [...remove.map((proposal) => ({proposal, add: false})),
            ...add.map((proposal) => ({proposal, add: true}))];
        this.choices = proposed.map((item) => ({...item, chosen: this.decided.get(plainTag(item.proposal.tag)) ?? item.proposal.sure}));
        setText(this.note, this.prose ? "The caption is prose, so no tags are proposed. Edit it by hand." : note);
        this.note.hidden = !this.note.textContent;
        fill(this.list, this.choices.map((choice) => this.row(choice)));
        if (!this.edited) this.rewrite();
    }

    /** @param {Choice} choice */
    row(choice) {
        const {proposal, add} = choice;
        return h("li", {}, h("label", {class: "tl-tick"}, h("input", {type: "checkbox", checked: choice.chosen, on: {change: (event) => {
            choice.chosen = event.currentTarget.checked;
            this.decided.set(plainTag(proposal.tag), choice.chosen);
            if (this.edited) this.amend(choice);
            else this.rewrite();
        }}}), h("span", {}, add ? "add " : "remove ", h(add ? "ins" : "del", {}, proposal.tag), h("span", {class: "tl-note"}, ` ${proposal.why}`))));
    }

    /** Make the text anew from the image's caption. */
    rewrite() {
        const chosen = (/** @type {boolean} */ add) => this.choices.filter((choice) => choice.chosen && choice.add === add)
            .map((choice) => choice.proposal.tag);
        this.text.value = captionWith(this.original, chosen(false), chosen(true), this.separator);
    }

    /** Change one tag in a text that the user has edited. @param {Choice} choice */
    amend({proposal, add, chosen}) {
        const wanted = add === chosen;
        this.text.value = captionWith(this.text.value, wanted ? [] : [proposal.tag], wanted ? [proposal.tag] : [], this.separator);
    }

    /** Begin again, with a new caption of the image. @param {string} text */
    restart(text) {
        this.original = text;
        this.edited = false;
        this.rewrite();
    }
}
