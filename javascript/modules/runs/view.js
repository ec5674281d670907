/** One run, live or ended: plot, samples, files, log, settings. */

import {fill, h, on, setText} from "../core/dom.js";
import {DrawingList} from "../core/drawings.js";
import {format} from "../core/format.js";
import {badge, card, emptyState, findings, setBadge} from "../core/parts.js";
import {form} from "../train/form.js";
import {BlockNorms} from "./block_norms.js";
import {GroupLine} from "./compare/view.js";
import {RunControls} from "./controls.js";
import {DiagnosisCard} from "./diagnosis/card.js";
import {EpochCard} from "./epoch/card.js";
import {RunReportCard} from "./finished/report.js";
import {TensorBoardButton} from "./finished/tensorboard.js";
import {FileList, LogView, UsedSettings} from "./files.js";
import {LossPlot} from "./loss_plot.js";
import {RunActions} from "./manage.js";
import {Continuation} from "./resume.js";
import {SamplesGrid} from "./samples.js";
import {weightsText} from "./state_words.js";
import {StripCard} from "./strip.js";
import {runs} from "./watch.js";

/** @typedef {import("./model.js").RunModel} RunModel */

export class RunView {
    /**
     * @param {{empty: HTMLElement, controls?: boolean}} options `empty` is shown while there is no run; `controls`
     * adds progress and buttons
     */
    constructor(options) {
        /** @type {import("./model.js").RunModel|null} */
        this.run = null;
        this.warned = -1;
        this.emptyPart = options.empty;
        this.name = h("h3", {class: "tl-run-name"});
        this.badge = badge("waiting");
        this.about = h("p", {class: "tl-note"});
        this.weights = h("p", {class: "tl-note", hidden: true});
        this.sentence = h("p", {class: "tl-run-sentence"});
        this.controls = options.controls ? new RunControls(() => this.run, "tl_runs") : null;
        this.steering = this.controls ? h("div", {class: "tl-steering"}, this.controls.bar,
            h("div", {class: "tl-row"}, this.controls.buttons)) : null;
        this.group = new GroupLine();
        this.continuation = new Continuation(() => this.run);
        this.actions = new RunActions(() => this.run);
        this.warnings = h("div", {});
        this.report = new RunReportCard();
        this.board = new TensorBoardButton();
        this.plot = new LossPlot();
        this.blocks = new BlockNorms();
        this.samples = new SamplesGrid({label: "Sample images by prompt and epoch", empty: emptyState(
            "No samples", "Write a few sample prompts into the settings, and each saved epoch of the next run is " +
            "shown here, next to the images without the LoRA.")});
        this.samplesCard = card("Samples", {}, this.samples.element);
        this.strip = new StripCard();
        this.diagnosis = options.controls ? new DiagnosisCard() : null;
        this.drawings = new DrawingList();
        this.epoch = new EpochCard();
        this.files = new FileList();
        this.log = new LogView();
        this.used = new UsedSettings();
        this.body = h("div", {class: "tl-run", hidden: true},
            h("header", {class: "tl-run-head"}, h("div", {class: "tl-run-title"}, this.name, this.badge),
                this.about, this.group.element, this.weights, this.sentence, this.steering,
                this.actions.element, this.continuation.element),
            this.warnings, this.report.element, card("Curves", {aside: this.plot.aside}, this.plot.element, this.board.note, this.board.button),
            this.strip.prediction.element, this.samplesCard, this.drawings.element,
            this.strip.element, this.diagnosis && this.diagnosis.element,
            this.epoch.element,
            card("Saved files", {}, this.files.element), this.blocks.element,
            h("section", {class: "tl-card tl-folds"}, this.log.element, this.used.element));
        this.element = h("div", {class: "tl-runview"}, this.emptyPart, this.body);
        on("run", (run) => run === this.run && this.draw());
        on("run-deleted", (id) => this.run && this.run.id === id && this.show(""));
    }

    /** @param {string} id of the run to show, empty for none */
    show(id) {
        if ((this.run ? this.run.id : "") === id) return;
        if (this.run) runs.unwatch(this.run.id);
        this.run = id ? runs.model(id) : null;
        this.emptyPart.hidden = Boolean(this.run);
        this.body.hidden = !this.run;
        this.warned = -1;
        if (!this.run) return;
        this.draw();
        runs.watch(id);
    }

    /** @param {RunModel} run */
    showSamples(run) {
        const {sample_prompts: prompts = [], sample_by: by} = (run.job || {}).sample || {};
        this.samplesCard.hidden = by === "webui" && !run.samples.length;  // shown in the strip below
        this.samples.show(run, run.samples, run.open ? prompts : []);
    }

    draw() {
        const {run} = this;
        if (!run) return;
        setText(this.name, run.summary.name);
        setBadge(this.badge, run.state);
        setText(this.about, aboutRun(run));
        setText(this.weights, run.weights ? weightsText(run.weights.text, run.open) : "");
        this.weights.hidden = !run.weights;
        const pace = run.open ? run.paceText() : "";
        setText(this.sentence, `${run.sentence()}${pace ? `, ${pace}` : ""}`);
        if (this.controls && this.steering) {
            this.controls.show();
            this.steering.hidden = !run.open;
        } else this.sentence.hidden = run.open;
        this.sentence.classList.toggle("tl-bad", ["failed", "lost", "damaged"].includes(run.summary.state));
        if (this.warned !== run.warnings.length) {
            this.warned = run.warnings.length;
            this.warnings.hidden = !run.warnings.length;
            fill(this.warnings, findings(run.warnings.map((text) => ({level: "warning", text: form.inWords(text)}))));
        }
        this.group.show(run);
        this.continuation.show();
        this.actions.show();
        this.report.show(run);
        this.plot.show(run);
        this.blocks.show(run);
        this.showSamples(run);
        this.strip.show(run);
        if (this.diagnosis) this.diagnosis.show(run);
        this.epoch.show(run);
        this.files.show(run);
        this.log.show(run);
        this.used.show(run);
    }
}

/** @param {RunModel} run */
function aboutRun(run) {
    const parts = [];
    const {base, dataset} = run.job || {};
    const begun = run.summary.state === "waiting" ? "Queued" : "Started";
    if (run.summary.created) parts.push(`${begun} ${format.when(run.summary.created)}`);
    if (base && base.checkpoint) parts.push(`on ${format.fileName(base.checkpoint)}`);
    if (dataset && dataset.train_data_dir) parts.push(`with ${format.fileName(dataset.train_data_dir)}`);
    return parts.join(" ");
}
