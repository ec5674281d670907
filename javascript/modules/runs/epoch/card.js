/** "Which epoch": the proposed file of a run and its strength, why, and what to do about overfitting. */

import {api, emit, fill, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {environmentState} from "../../core/host.js";
import {button, card, findings, fold, setLabel, toast, unread} from "../../core/parts.js";
import {pathBox} from "../../core/path_box.js";
import {poll, showTab} from "../../core/shell.js";
import {testField} from "../../testing/form.js";
import {form} from "../../train/form.js";
import {toTxt2img} from "../txt2img.js";
import {runs} from "../watch.js";
import {EpochChart} from "./chart.js";
import {featuresHint, headline, measuringWords, promptEnd, sureWords, valueText} from "./words.js";

/** @typedef {import("../model.js").RunModel} RunModel */
/** @typedef {import("../../core/types").EpochAnswer} EpochAnswer */
/** @typedef {import("../records").Remedy} Remedy */

export class EpochCard {
    constructor() {
        /** @type {RunModel|null} */
        this.run = null;
        /** @type {EpochAnswer|null} */
        this.found = null;
        this.seen = "";
        this.title = h("p", {class: "tl-epoch-title"});
        this.sure = h("span", {class: "tl-note"});
        this.use = button("Try in txt2img", {kind: "primary", small: true, click: () => this.tryProposed()});
        this.reason = h("p", {});
        this.strength = h("p", {class: "tl-note"});
        this.doubts = h("div", {});
        this.chart = new EpochChart();
        this.signs = h("div", {});
        this.remedies = h("ul", {class: "tl-remedies"});
        this.folder = h("input", {class: "tl-input", type: "text", placeholder: "Empty: what the run held out"});
        this.measure = button("Measure the saved files", {small: true, click: () => this.start()});
        this.about = h("p", {class: "tl-note"});
        this.features = h("p", {class: "tl-note"});
        this.hint = h("p", {class: "tl-note"});
        this.words = h("p", {class: "tl-note", role: "status"});
        this.fillBar = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of measuring",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fillBar);
        this.stop = button("Stop", {kind: "danger", icon: "stop", small: true, click: () => this.end()});
        this.progress = h("div", {class: "tl-strip-progress", hidden: true}, this.bar,
            h("div", {class: "tl-row"}, this.words, this.stop));
        this.failed = h("div", {});
        this.measuring = fold("Measure", testField("Images that the LoRA was not trained on", pathBox(this.folder, "images"),
            {wide: true}), this.about, this.hint, h("div", {class: "tl-row"}, this.measure));
        this.unread = h("div", {});
        this.body = h("div", {style: "display: contents"}, h("div", {class: "tl-row"}, this.title, this.sure, this.use), this.reason,
            this.strength, this.doubts, this.chart.element, this.features, this.signs, this.remedies, this.progress, this.failed,
            this.measuring);
        this.element = card("Which epoch", {}, this.unread, this.body);
        this.element.hidden = true;
        this.poller = poll(() => this.ask(), () => (this.found?.measuring?.open ? 2 : 0));
        on("host", () => this.showMeasuring());
    }

    /** @param {RunModel} run */
    show(run) {
        const state = `${run.id}/${run.saved.length}/${run.validation.length}/${run.open}`;
        if (run !== this.run) {
            this.run = run;
            this.found = null;
            this.element.hidden = true;
            this.folder.value = "";
        } else if (state === this.seen) return;
        this.seen = state;
        if (run.saved.length) this.poller.wake();
    }

    async ask() {
        const {run} = this;
        if (!run || !run.saved.length) return;
        const answer = await api(`runs/${encodeURIComponent(run.id)}/epochs`, {quiet: true}).catch((failure) => ({failure}));
        if (run !== this.run) return;
        const failed = "failure" in answer;
        fill(this.unread, failed ? unread("The proposal", answer.failure, () => this.poller.wake()) : null);
        this.body.hidden = failed && !this.found;
        this.element.hidden = false;
        if (!failed) this.take(run, answer);
    }

    /** @param {RunModel} run @param {EpochAnswer} found */
    take(run, found) {
        this.found = found;
        setText(this.title, headline(found));
        setText(this.sure, sureWords(found));
        this.use.hidden = !found.path || run.missing.includes(found.path);
        setText(this.reason, found.reason);
        setText(this.strength, found.strength_reason);
        this.strength.hidden = !found.strength_reason;
        fill(this.doubts, findings([...(found.problem ? [found.problem] : []), ...found.doubts, ...this.unmeasured(run)]
            .map((text) => ({level: "note", text})).concat(found.lacks.map((text) => ({level: "warning", text})))));
        this.chart.show(found);
        setText(this.features, found.features);
        this.features.hidden = !found.features;
        fill(this.signs, found.signs.length ? [h("p", {class: "tl-epoch-sub"}, found.signs[0].kind === "overfit" ?
            "Signs of overfitting" : "Signs of underfitting"), findings(found.signs.map(({text}) =>
            ({level: "warning", text})))] : null);
        fill(this.remedies, found.remedies.map((remedy) => this.row(run, remedy)));
        this.remedies.hidden = !found.remedies.length;
        this.showMeasuring();
        if (run.proposed !== found.path) {
            run.proposed = found.path;
            emit("run", run);
        }
    }

    /** @param {RunModel} run @returns {string[]} */
    unmeasured(run) {
        const {found} = this;
        if (!found || !found.source || !found.missing || run.open) return [];
        return [`${format.plural(found.missing, "saved file")} ${found.missing === 1 ? "was" : "were"} not measured yet.`];
    }

    /** @param {RunModel} run @param {Remedy} remedy */
    row(run, remedy) {
        const keys = Object.keys(remedy.changes);
        const settings = keys.map((key) => `${form.settings.get(key)?.label || key}: ${valueText(remedy.changes[key])}`);
        return h("li", {class: "tl-remedy"}, h("div", {class: "tl-remedy-text"}, h("span", {class: "tl-remedy-title"},
            remedy.title), h("span", {class: "tl-note"}, remedy.reason)),
        remedy.file ? button("Try in txt2img", {small: true, click: () => tryFile(run, remedy.file, remedy.strength)}) :
            keys.length ? button("Fill into the form", {small: true, title: settings.join(", "),
                click: () => fillForm(run, remedy)}) : null);
    }

    showMeasuring() {
        const {found, run} = this;
        if (!found || !run) return;
        const job = found.measuring;
        const open = Boolean(job && job.open);
        this.progress.hidden = !open;
        this.measuring.hidden = open;
        this.measuring.open = this.measuring.open || found.sure === "none";
        setLabel(this.measure, found.source === "files" ? "Measure again" : "Measure the saved files");
        this.measure.disabled = run.open || environmentState() !== "ready";
        setText(this.about, run.open ? "Possible when the run has ended." : "Compares the predictions of each saved file " +
            "with and without it, in the background: nothing is generated and no file is changed. Also measures " +
            "strengths of the proposed file, how many images of the run's samples and test strip look like a single training image "
            + "and, if a tagger is installed, what it sees in them.");
        setText(this.hint, featuresHint(found));
        fill(this.failed, job && !job.open ? findings([{level: "error", text: job.text}]) : null);
        if (!job || !open) return;
        const share = job.total ? (job.done || 0) / job.total : 0;
        this.fillBar.style.width = `${(100 * share).toFixed(1)}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        setText(this.words, measuringWords(job, runs.all()));
    }

    async start() {
        const {run} = this;
        if (!run) return;
        try {
            await api(`runs/${encodeURIComponent(run.id)}/epochs`, {body: {validation_data_dir: this.folder.value.trim()}});
            this.poller.wake();
        } catch {
            // already reported by a toast
        }
    }

    async end() {
        const job = this.found?.measuring;
        if (!job) return;
        await api(`runs/${encodeURIComponent(job.id)}/control`, {body: {action: "stop"}}).catch(() => {});
        this.poller.wake();
    }

    tryProposed() {
        const {run, found} = this;
        if (run && found) tryFile(run, found.path, found.strength);
    }
}

/** @param {RunModel} run @param {string} path @param {number|null} strength */
async function tryFile(run, path, strength) {
    try {
        const answer = await api(`runs/${encodeURIComponent(run.id)}/try`, {body: {path}});
        toTxt2img({...answer, end: promptEnd(strength ?? 1)});
    } catch {
        // already reported by a toast
    }
}

/** @param {RunModel} run @param {Remedy} remedy */
function fillForm(run, remedy) {
    if (run.job) form.take(run.job, ["save.output_dir", "training.device"]);
    form.setAll(/** @type {Record<string, import("../../train/values").Value>} */ (remedy.changes));
    showTab("train");
    toast("good", `The settings of this run are in the form, with the change: ${remedy.title}.`);
}
