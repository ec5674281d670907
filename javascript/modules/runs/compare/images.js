/** The samples and test strips of several runs: for each prompt a row for each run, the same epoch in one column. */

import {api, fill, h, setText, store} from "../../core/dom.js";
import {card, emptyState, findings, unread} from "../../core/parts.js";
import {poll} from "../../core/shell.js";
import {runs as runList} from "../watch.js";
import {colorClass} from "./colors.js";
import {ImageTable} from "./image_table.js";
import {columnKey, columnsOf} from "./series.js";

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("../../core/types").Sample} Sample */
/** @typedef {import("../../core/types").StripFacts} StripFacts */
/** @typedef {"samples"|"strip"} Source */

const POLL_SECONDS = 3;

export class CompareImages {
    /** @param {{shown: (id: string) => boolean, nameOf: (run: RunModel) => string}} options */
    constructor(options) {
        this.options = options;
        /** @type {RunModel[]} */
        this.runs = [];
        /** @type {Map<string, StripFacts>} */
        this.strips = new Map();
        /** @type {Map<string, unknown>} why the test strip of a run cannot be shown */
        this.failed = new Map();
        /** @type {Source} */
        this.source = store.get("compare_images", /** @type {Source} */ ("strip"));
        this.table = new ImageTable("Images by prompt, run and epoch");
        this.notes = h("div", {});
        this.choice = h("select", {class: "tl-input tl-select tl-tiny-input", "aria-label": "Which images", value: this.source,
            on: {change: (event) => {
                this.source = /** @type {Source} */ (event.currentTarget.value);
                store.set("compare_images", this.source);
                this.draw();
            }}}, h("option", {value: "strip"}, "Test strip"), h("option", {value: "samples"}, "Samples"));
        this.empty = emptyState("No images yet", "Samples and test strips of the runs appear here as they are " +
            "generated, the same epoch in one column.");
        this.count = h("p", {class: "tl-note"});
        this.element = card("Images by epoch", {aside: this.choice}, this.notes, this.empty, this.table.element, this.count);
        this.poller = poll(() => this.ask(), () => (this.runs.some((run) => run.open) ? POLL_SECONDS : 0));
    }

    /** @param {RunModel[]} runs */
    show(runs) {
        const asked = runs.map((run) => run.id).join() !== this.runs.map((run) => run.id).join();
        this.runs = runs;
        if (asked && runs.length) this.poller.wake();
        this.draw();
    }

    async ask() {
        await Promise.all(this.runs.map(async (run) => {
            this.failed.delete(run.id);
            try {
                this.strips.set(run.id, await api(`runs/${encodeURIComponent(run.id)}/strip`, {quiet: true}));
            } catch (error) {
                this.failed.set(run.id, error);
            }
        }));
        this.draw();
    }

    /** @param {RunModel} run @param {Source} source @returns {Sample[]} */
    imagesOf(run, source) {
        if (source === "samples") return run.samples;
        const facts = this.strips.get(run.id);
        return facts ? facts.columns.flatMap(({step, epoch, pictures}) => pictures.flatMap((path, index) => (path ?
            [{path, step, epoch, index, prompt: facts.prompts[index]}] : []))) : [];
    }

    draw() {
        const has = (/** @type {Source} */ source) => this.runs.some((run) => this.imagesOf(run, source).length > 0);
        const both = has("strip") && has("samples");
        this.choice.hidden = !both;
        const source = both ? this.source : has("strip") ? "strip" : "samples";
        const shown = this.runs.filter((run) => this.options.shown(run.id));
        const images = new Map(shown.map((run) => [run, this.imagesOf(run, source)]));
        const columns = columnsOf([...images.values()]);
        const bySteps = columns.some(({key}) => key.startsWith("s"));
        const prompts = [...new Set([...images.values()].flat().map((image) => image.prompt))];
        const [failed] = shown.filter((run) => this.failed.has(run.id) && !this.strips.has(run.id));
        this.empty.hidden = prompts.length > 0 || Boolean(failed);
        this.table.element.hidden = !prompts.length;
        this.table.show(prompts.map((prompt) => ({title: prompt, columns, rows: shown.map((run) => {
            const own = new Map((images.get(run) || []).filter((image) => image.prompt === prompt)
                .map((image) => [columnKey(image, bySteps), image]));
            return {title: this.options.nameOf(run), color: colorClass(run.id), cells: columns.map(({key, title}) => {
                const image = own.get(key);
                return image ? {src: runList.fileUrl(run.id, image.path), title: `${this.options.nameOf(run)}, ${title}`,
                    text: prompt} : null;
            })};
        })})));
        fill(this.notes, failed ? unread(`The test strip of ${this.options.nameOf(failed)}`, this.failed.get(failed.id), () => this.poller.wake()) :
            null, this.findings(shown, source));
        setText(this.count, prompts.length ? source === "strip" ? "Generated by the webui while the runs trained." :
            "Generated by the trainer." : "");
    }

    /** Why the images cannot be compared one by one. @param {RunModel[]} runs @param {Source} source */
    findings(runs, source) {
        const said = runs.flatMap((run) => {
            if (!this.imagesOf(run, source).length) return [];
            if (source === "strip") return [[this.strips.get(run.id)?.about || "", run]];
            const {sample_seed: seed, sample_steps: steps, cfg_scale: scale, negative_prompt: negative} = run.job?.sample || {};
            return [[`seed ${seed}, ${steps} steps, CFG ${scale}${negative ? ", a negative prompt" : ""}`, run]];
        });
        const kinds = new Set(said.map(([about]) => about));
        if (kinds.size < 2) return null;
        return findings([{level: "warning", text: "The settings of these images differ, so not every difference comes " +
            "from the training: " + said.map(([about, run]) =>
            `${this.options.nameOf(/** @type {RunModel} */ (run))}: ${about}`).join("; ") +
            ". The grid below uses the same settings for all."}]);
    }
}
