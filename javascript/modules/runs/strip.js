/** The test strip: the run's prompts with each saved file, drawn by the webui while the training goes on. */

import {api, fill, h, on, setText, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card, emptyState, findings, fold} from "../core/parts.js";
import {PredictionNotice} from "../core/prediction.js";
import {poll} from "../core/shell.js";
import {readTxt2img} from "../core/txt2img_form.js";
import {testField} from "../testing/form.js";
import {SamplesGrid} from "./samples.js";

/** @typedef {import("./model.js").RunModel} RunModel */
/** @typedef {import("../core/types").StripFacts} StripFacts */

/** @type {StripFacts} while nothing was asked yet */
const NOTHING = {on: false, possible: false, about: "", prompts: [], error: "", columns: [], missing: 0,
    seconds_left: null, seconds_each: null, drawing: null, waits_for: "", prediction: null};

export class StripCard {
    constructor() {
        /** @type {RunModel|null} */
        this.run = null;
        this.facts = NOTHING;
        this.saved = -1;
        this.id = uniqueId("strip");
        this.grid = new SamplesGrid({label: "Test images by prompt and epoch", empty: emptyState(
            "Each epoch in the webui", "When on, the webui generates your prompts with every saved file and txt2img's " +
            "current settings: sampler, VAE, styles, hires fix. Training pauses meanwhile.")});
        this.onOff = h("input", {type: "checkbox", role: "switch", class: "tl-switch", id: this.id,
            on: {change: (event) => this.change({on: event.currentTarget.checked}, !this.facts.about)}});
        this.problem = h("div", {});
        this.prediction = new PredictionNotice();
        this.fillBar = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the test strip",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fillBar);
        this.words = h("p", {class: "tl-note", role: "status"});
        this.progress = h("div", {class: "tl-strip-progress"}, this.bar, this.words);
        this.prompts = h("textarea", {class: "tl-input tl-textarea", rows: 3, spellcheck: "false",
            placeholder: "One prompt a line", on: {input: () => this.showButtons()}});
        this.about = h("p", {class: "tl-note"});
        this.usePrompts = button("Generate these prompts", {kind: "primary", small: true,
            click: () => this.change({on: true, prompts: this.prompts.value.split("\n")}, !this.facts.about)});
        this.useForm = button("Use txt2img's settings", {small: true, icon: "reset",
            title: "Generate the whole strip again with the current txt2img settings and checkpoint",
            click: () => this.change({on: true}, true)});
        this.settings = fold("Prompts and settings",
            testField("Test prompts", this.prompts, {wide: true}), this.about,
            h("div", {class: "tl-row"}, this.usePrompts, this.useForm));
        this.element = card("Test strip", {aside: h("div", {class: "tl-control"},
            h("label", {class: "tl-label", for: this.id}, "Generate in the webui"), this.onOff)},
        this.problem, this.progress, this.grid.element, this.settings);
        this.element.hidden = true;
        this.poller = poll(() => this.ask(), () => this.pause());
        on("host", () => this.run && this.poller.wake());
        on("prediction", () => this.run && this.poller.wake());
    }

    /** @param {RunModel} run the model to show */
    show(run) {
        if (run !== this.run) {
            this.run = run;
            this.facts = NOTHING;
            this.element.hidden = true;
        } else if (this.saved === run.saved.length) return;
        this.saved = run.saved.length;
        this.poller.wake();
    }

    async ask() {
        if (this.run) this.take(this.run, await api(pathOf(this.run), {quiet: true}));
    }

    /** How many seconds until the next look; 0 for none while nothing is being drawn. */
    pause() {
        if (!this.facts.on || this.facts.error) return 0;
        return this.facts.waits_for ? 4 : this.facts.missing || this.facts.drawing ? 1 : 0;
    }

    /** @param {{on: boolean, prompts?: string[]}} request @param {boolean} withForm whether txt2img's settings are sent along */
    async change(request, withForm) {
        const {run} = this;
        if (!run) return;
        try {
            const txt2img = withForm ? await readTxt2img() : null;
            this.take(run, await api(pathOf(run), {body: {...request, txt2img}}), true);
            this.poller.wake();
        } catch {
            this.onOff.checked = this.facts.on;  // the toast has said why
        }
    }

    /** @param {RunModel} run whose strip it is @param {StripFacts} facts @param {boolean} [mine] asked for here */
    take(run, facts, mine = false) {
        if (run !== this.run) return;
        const typed = this.facts !== NOTHING && this.prompts.value !== this.facts.prompts.join("\n");
        if (!typed || mine) this.prompts.value = facts.prompts.join("\n");
        this.facts = run.strip = facts;
        this.element.hidden = !facts.possible;
        this.onOff.checked = facts.on;
        fill(this.problem, this.finding());
        this.prediction.show(facts.prediction);
        setText(this.about, this.aboutText());
        this.showButtons();
        this.showProgress();
        this.grid.show(run, samplesOf(facts), facts.on ? facts.prompts : []);
    }

    /** @returns {string} how the pictures are drawn, and what that costs at each save */
    aboutText() {
        const {about, seconds_each: each, prompts} = this.facts;
        if (!about) return "";
        const seconds = (each || 0) * prompts.length;
        if (seconds < 1) return `Generated with ${about}.`;
        return `Generated with ${about}. That takes about ${format.duration(seconds)} for each saved file.`;
    }

    finding() {
        const {error, waits_for: waits} = this.facts;
        if (waits && !error) return findings([{level: "note", text: waits}]);
        if (!error) return null;
        return [findings([{level: "error", text: error}]), h("div", {class: "tl-row"}, button("Try again",
            {small: true, icon: "reset", click: () => this.change({on: true}, false)}))];
    }

    showButtons() {
        const {on, prompts, about} = this.facts;
        this.usePrompts.hidden = on && this.prompts.value === prompts.join("\n");
        this.useForm.hidden = !about;
    }

    showProgress() {
        const {missing, drawing, seconds_left: seconds, columns, prompts, on, error, waits_for: waits} = this.facts;
        this.progress.hidden = !on || !missing || Boolean(error || waits);
        if (this.progress.hidden) return;
        const all = Math.max(1, columns.length * prompts.length);
        const share = Math.min(1, (all - missing + (drawing ? drawing.share : 0)) / all);
        this.fillBar.style.width = `${(100 * share).toFixed(1)}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        const left = format.left(seconds);
        setText(this.words, `${this.nowInWords()}, ${format.plural(missing, "image")} to go` +
            (left ? `, ${left}` : ""));
    }

    nowInWords() {
        const {drawing, columns, prompts} = this.facts;
        if (!drawing || drawing.waiting) return "Waiting for the webui";
        const column = columns.find((one) => one.file === drawing.file);
        const what = !column || !column.step ? "without the LoRA" : column.final ? "the last file" :
            `epoch ${column.epoch}`;
        return `Generating ${what}${prompts.length > 1 ? `, prompt ${drawing.index + 1}` : ""}`;
    }
}

/** @param {RunModel} run @returns {`runs/${string}/strip`} */
const pathOf = (run) => `runs/${encodeURIComponent(run.id)}/strip`;

/** @param {StripFacts} facts @returns {import("../core/types").Sample[]} the pictures that are there */
function samplesOf({columns, prompts}) {
    return columns.flatMap(({step, epoch, pictures}) => pictures.flatMap((path, index) =>
        (path ? [{path, step, epoch, index, prompt: prompts[index]}] : [])));
}
