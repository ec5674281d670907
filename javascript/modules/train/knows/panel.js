/** "What does the base know?": the button at the trigger word, and the window that it opens. */

import {api, failureOf, fill, h, setText} from "../../core/dom.js";
import {dialog} from "../../core/dialog.js";
import {DrawingList, refreshDrawings} from "../../core/drawings.js";
import {format} from "../../core/format.js";
import {button, findings, tryAgain, unread} from "../../core/parts.js";
import {poll} from "../../core/shell.js";
import {TagRun} from "../../captions/tag_run.js";
import {form} from "../form.js";
import {resultView} from "./result.js";
import {listOf, planWords} from "./words.js";

/** @typedef {import("./answers").KnowsPlan} KnowsPlan */

const LOST = "The check was interrupted. The images that are done are kept.";

/** @returns {HTMLElement} the button at the trigger word */
export function knowsButton() {
    return button("What does the base know?", {kind: "quiet", small: true, icon: "bulb", id: "tl_knows",
        title: "Tries the trigger word, other names and your tags on the checkpoint before you train", click: openKnows});
}

/** Open the window of a check. */
export function openKnows() {
    new Panel().open();
}

/** @param {import("../../core/types").EndingEvent} ending @returns {import("../../core/types").Finding} */
function outcome({event, text, seconds}) {
    if (event === "error") return {level: "error", text: text || "The check failed."};
    return event === "finished" ? {level: "good", text: `Measured in ${format.duration(Math.max(1, seconds || 0))}.`} :
        {level: "note", text: "Stopped before anything was found out."};
}

class Panel {
    constructor() {
        this.words = h("p", {id: "tl_knows_words", "aria-live": "polite"}, "Reading the set…");
        this.problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.notes = h("div", {});
        this.candidates = this.text("tl_knows_candidates", "a name that the checkpoint may know, an invented word");
        this.traits = this.text("tl_knows_traits", "red boots, long hair");
        this.prompt = this.text("tl_knows_prompt", "1girl, solo");
        this.perWord = h("input", {type: "number", class: "tl-input tl-tiny-input", id: "tl_knows_images", min: "0", max: "16", step: "1", value: "4",
            on: {input: () => this.refresh()}});
        this.tagger = h("select", {class: "tl-input tl-select", id: "tl_knows_tagger"});
        this.start = button("Check", {kind: "primary", id: "tl_knows_start", disabled: true, click: () => this.begin()});
        this.stop = button("Stop", {kind: "danger", icon: "stop", id: "tl_knows_stop", hidden: true, click: () => this.end()});
        this.drawings = new DrawingList();
        this.run = new TagRun((ended) => this.changed(ended), {route: "knows/runs", id: "tl_knows_run", lost: LOST, outcome});
        this.result = h("div", {});
        this.id = "";
        this.drawing = false;
        /** @type {KnowsPlan|null} */
        this.plan = null;
        this.closed = false;
        this.poller = poll(() => this.ask(), () => (this.drawing && !this.closed ? 1 : 0));
    }

    /** @param {string} id @param {string} placeholder */
    text(id, placeholder) {
        return h("input", {type: "text", class: "tl-input", id, placeholder, spellcheck: "false", autocomplete: "off", on: {input: () => this.refresh()}});
    }

    open() {
        const field = (/** @type {string} */ label, /** @type {HTMLElement} */ input) => h("div", {class: "tl-field"},
            h("label", {class: "tl-label", for: input.id}, label), input);
        const element = dialog("What does the base know?", [this.words, this.notes,
            h("div", {class: "tl-knows-form"}, field("Candidates for the trigger word", this.candidates), field("Tags of the subject", this.traits),
                field("In every prompt", this.prompt), field("Images per word", this.perWord), field("Tagger", this.tagger)),
            h("div", {class: "tl-row"}, this.start, this.stop), this.problem, this.drawings.element, this.run.element, this.result], []);
        element.id = "tl_knows_dialog";
        element.addEventListener("close", () => {
            this.closed = true;
        });
        this.load();
    }

    async load() {
        try {
            this.plan = await api("knows", {body: {job: form.job(), images_per_word: 1}, quiet: true});
        } catch (error) {
            const {message, problems} = failureOf(error);
            setText(this.words, "");
            fill(this.notes, tryAgain([...new Set([message, ...problems])].map(form.inWords), () => this.load()));
            return;
        }
        const {traits, prompt, taggers, notes} = this.plan;
        this.traits.value = traits.join(", ");
        this.prompt.value = prompt;
        fill(this.tagger, taggers.map((name) => h("option", {value: name}, name)), h("option", {value: ""}, "none"));
        fill(this.notes, notes.length ? findings(notes.map((text) => ({level: "note", text}))) : null);
        this.start.disabled = false;
        this.refresh();
        await this.find();
    }

    /** Show the newest check of this set, if there is one. */
    async find() {
        const newest = await api("knows/newest", {body: {job: form.job()}, quiet: true}).catch((failure) => ({failure}));
        fill(this.result, "failure" in newest ? unread("The last check", newest.failure, () => this.find()) : null);
        if ("id" in newest && newest.id) this.watch(newest.id);
    }

    get asked() {
        const trigger = this.plan?.trigger ? [this.plan.trigger] : [];
        return new Set([...trigger, ...listOf(this.candidates.value), ...listOf(this.traits.value)].map((word) => word.toLowerCase())).size;
    }

    refresh() {
        if (this.plan) setText(this.words, planWords(this.plan, this.asked, Number(this.perWord.value) || 0));
    }

    async begin() {
        if (!this.perWord.reportValidity()) return;
        setText(this.problem, "");
        this.start.disabled = true;
        try {
            const {id} = await api("knows/runs", {body: {job: form.job(), candidates: listOf(this.candidates.value), traits: listOf(this.traits.value),
                prompt: this.prompt.value.trim(), images_per_word: Number(this.perWord.value), tagger: this.tagger.value}, quiet: true});
            fill(this.result);
            this.watch(id);
            refreshDrawings();
        } catch (error) {
            const {message, problems} = failureOf(error);
            setText(this.problem, [...new Set([message, ...problems])].map(form.inWords).join(" "));
            this.start.disabled = false;
        }
    }

    end() {
        api(`knows/runs/${encodeURIComponent(this.id)}/stop`, {body: {}}).then(() => this.poller.wake(), () => {});
    }

    /** @param {string} id of a check, whatever its state */
    watch(id) {
        this.id = id;
        this.drawing = true;
        this.poller.wake();
    }

    /** Wait for the images of the webui, then watch the worker. */
    async ask() {
        if (!this.id) return;
        const {drawing} = await api(`knows/runs/${encodeURIComponent(this.id)}`, {quiet: true});
        this.drawing = drawing?.state === "drawing";
        this.stop.hidden = !this.drawing;
        this.start.disabled = this.drawing;
        if (!this.drawing && this.run.id !== this.id) this.run.watch(this.id);
    }

    /** @param {boolean} ended */
    changed(ended) {
        this.start.disabled = this.run.open || this.drawing;
        if (!this.run.open && (ended || this.run.state)) this.show();
    }

    async show() {
        const result = await api(`knows/runs/${encodeURIComponent(this.id)}/result`, {quiet: true}).catch((failure) => ({failure}));
        fill(this.result, "failure" in result ? unread("The result", result.failure, () => this.show()) : resultView(result));
    }
}
