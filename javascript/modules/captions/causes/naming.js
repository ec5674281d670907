/** Names for what is marked: the tagger's run on the marked part, its tags to choose from, and a box to type one. */

import {api, emit, failureOf, fill, h, setText, store} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, findings, unread} from "../../core/parts.js";
import {tagInput} from "../complete.js";
import {TagRun} from "../tag_run.js";

/** @typedef {import("../set.js").CaptionSet} CaptionSet */
/** @typedef {import("./answers").NamedTags["tags"][number]} Named */
/** @typedef {{sample: string, frame: number[]|null, prompt: string}} Marked */

const PANEL = {route: "tagging/runs", id: "tl_cause_run", lost: "The run was interrupted."};

/** @param {import("../../core/types").EndingEvent} ending @returns {import("../../core/types").Finding} */
function outcome(ending) {
    if (ending.event === "error") return {level: "error", text: ending.text || ""};
    const {pictures = 0} = ending;
    return {level: ending.event === "finished" ? "good" : "note",
        text: `${format.plural(pictures, "image")} tagged${ending.event === "finished" ? "" : " before it was stopped"}, no caption touched.`};
}

export class Naming {
    /**
     * @param {CaptionSet} set
     * @param {{marked: () => Marked, chosen: (tag: string) => void, tagged: () => void}} actions `tagged`: the sample was tagged
     */
    constructor(set, actions) {
        this.set = set;
        this.actions = actions;
        /** What the running run is for. @type {"name"|"set"} */
        this.task = "name";
        this.tagger = h("select", {class: "tl-input tl-select", "aria-label": "Tagger", id: "tl_cause_tagger"});
        this.go = button("Name it", {kind: "primary", small: true, id: "tl_cause_name", click: () => this.start("name")});
        this.row = h("div", {class: "tl-row"}, this.tagger, this.go);
        this.without = h("p", {class: "tl-note", id: "tl_cause_no_tagger", hidden: true}, "No tagger is on this machine. Captions > Tagger " +
            "downloads one, about 400 MB. Without it, type a tag; the nearest images are found anyway.");
        this.problem = h("div", {});
        this.chips = h("div", {class: "tl-chips tl-cause-chips", role: "group", "aria-label": "Tags that the tagger found"});
        this.words = h("p", {class: "tl-note", role: "status"}, "Draw a frame around what is wrong or click it, or type a tag.");
        const box = tagInput(set, {label: "What is wrong", placeholder: "or type a tag: bag", id: "tl_cause_tag",
            enter: (text) => this.choose(text)});
        this.input = box.input;
        this.run = new TagRun((ended) => this.changed(ended), {...PANEL, outcome});
        this.element = h("section", {class: "tl-cause-part tl-cause-naming", "aria-label": "What is it?"}, h("h4", {}, "What is it?"), this.row,
            this.without, this.words, this.run.element, this.problem, this.chips,
            h("div", {class: "tl-row"}, box.element, button("Find", {small: true, id: "tl_cause_find", click: () => this.choose(this.input.value)})));
    }

    /** List the taggers that are on this machine. */
    async load() {
        const facts = await api("tagging", {quiet: true}).catch((failure) => ({failure}));
        const here = "failure" in facts ? [] : facts.taggers.filter((one) => one.here);
        fill(this.problem, "failure" in facts ? unread("The list of taggers", facts.failure, () => this.load()) : null);
        const usual = store.get("tagging", /** @type {Record<string, string>} */ ({}))["tagger.model"];
        fill(this.tagger, here.map(({name}) => h("option", {value: name}, name)));
        if (here.some(({name}) => name === usual)) this.tagger.value = usual;
        this.row.hidden = !here.length;
        this.without.hidden = here.length > 0 || "failure" in facts;
    }

    get hasTagger() {
        return this.tagger.options.length > 0;
    }

    /**
     * Start a run: on the sample and its mark, or on images of the set, whose captions stay as they are.
     * @param {"name"|"set"} task @param {readonly number[]} [numbers] of the set's images
     */
    async start(task, numbers = []) {
        this.task = task;
        this.go.disabled = true;
        fill(this.problem);
        const settings = store.get("tagging", /** @type {Record<string, string>} */ ({}));
        const by = {model: this.tagger.value, provider: settings["tagger.provider"] || "auto"};
        try {
            const {run} = task === "name" ? await this.set.ask("causes/name", {...this.actions.marked(), ...by}, {quiet: true})
                : await this.set.ask("causes/confidences", {numbers, ...by}, {quiet: true});
            this.run.watch(run);
        } catch (error) {
            const {message, problems} = failureOf(error);
            fill(this.problem, findings((problems.length ? problems : [message]).map((text) => ({level: "error", text}))));
            this.go.disabled = false;
        }
    }

    /** @param {boolean} ended */
    async changed(ended) {
        this.go.disabled = this.run.open;
        if (!ended) return;
        if (this.task === "set") emit("captions-changed", {folder: this.set.folder, run: this.run.id});
        else await this.showTags();
        this.actions.tagged();
    }

    async showTags() {
        const answer = await this.set.ask("causes/named", this.actions.marked()).catch(() => null);
        if (!answer) return;
        const {tags, tagged} = answer;
        setText(this.words, tags.length ? "Click the tag of what is wrong." : tagged ? "The tagger names nothing there. Draw a larger " +
            "frame, or type a tag." : "The tagger has not seen this image.");
        fill(this.chips, tags.map((one) => this.chip(one)));
    }

    /** @param {Named} named */
    chip(named) {
        const {tag, marked, whole, prompted, untagged} = named;
        const sure = Math.round(100 * (marked ?? whole ?? 0));
        const more = [`${sure}%`, untagged ? `untagged in ${format.number(untagged)}` : "", prompted ? "in the prompt" : ""];
        return h("button", {type: "button", class: "tl-chip tl-cause-chip", data: {tag}, "aria-pressed": "false",
            title: marked !== null && whole !== null ? `${Math.round(100 * marked)}% in the frame, ${Math.round(100 * whole)}% in the whole image` : null,
            on: {click: () => this.choose(tag)}}, tag, h("span", {class: "tl-chip-sure"}, more.filter(Boolean).join(" · ")));
    }

    /** @param {string} text */
    choose(text) {
        const tag = text.trim();
        if (!tag) {
            this.input.focus();
            return;
        }
        this.input.value = tag;
        for (const chip of this.chips.querySelectorAll("button")) chip.setAttribute("aria-pressed", String(chip.dataset.tag === tag));
        this.actions.chosen(tag);
    }
}
