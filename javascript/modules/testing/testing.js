/** The sub-tab "Test": a run's files tried out in plots that the webui draws, and what they say about the next run. */

import {api, fill, h, on, setText, store} from "../core/dom.js";
import {DrawingList, lookAtDrawings} from "../core/drawings.js";
import {format} from "../core/format.js";
import {button, card, emptyState, fold, toast} from "../core/parts.js";
import {PredictionNotice} from "../core/prediction.js";
import {poll, registerTab, showTab} from "../core/shell.js";
import {toTxt2img} from "../runs/txt2img.js";
import {runs as runList} from "../runs/watch.js";
import {form as formState} from "../train/form.js";
import {BlockSliders} from "./block_sliders.js";
import {TestForm, testField} from "./form.js";
import {PlotView, plotTitle} from "./plot_view.js";

const SIGNS = ["Colours too strong, edges burned, or the same pose and background whatever the prompt says.",
    "Details of single training images come back: a logo, a watermark, a fold in the clothes.",
    "Clothes, age or expression in the prompt are ignored.",
    "It only looks right below strength 1, or everything else in the image suffers."];

const LORA = "lora:";

/** @typedef {import("./answers").Plot} Plot */
/** @typedef {import("./answers").PlotProgress} PlotProgress */

class TestTab {
    /** @param {HTMLElement} panel */
    constructor(panel) {
        /** The id of the run that is tested, and of the plot that is shown; empty for none. */
        this.run = this.chosen = "";
        /** @type {Plot[]} of the run, newest first */
        this.plots = [];
        /** @type {PlotProgress|null} */
        this.drawing = null;
        this.picker = h("select", {class: "tl-input tl-select", id: "tl_test_run",
            on: {change: (event) => this.pick(event.currentTarget.value)}});
        /** @type {string[]} the LoRAs of the webui's folder, the newest first */
        this.loras = [];
        /** The value of the picker: the id of a run, or LORA and a name. */
        this.picked = "";
        this.none = emptyState("Nothing to test yet", "When a run has saved its first epoch, it can be tried out " +
            "here: epochs side by side, strengths, blocks.",
        button("Go to Train", {kind: "primary", click: () => showTab("train")}));
        this.form = new TestForm({draw: (request) => this.draw(request), keepPrompts: (text) => this.keepPrompts(text),
            fileChosen: () => this.sliders.load()});
        this.sliders = new BlockSliders({file: () => this.form.file.value, run: () => this.run,
            tryWith: (name, end) => this.tryWith(name, end), bakeInto: (name, blocks) => this.bakeInto(name, blocks)});
        this.view = new PlotView({fileUrl: (file) => runList.fileUrl(this.run, file), use: (changes) => this.use(changes),
            tryFile: (name) => this.tryWith(name, ""),
            mark: (plot, column, row) => api(this.path("plots/mark"), {body: {plot: plot.id, column, row}})});
        this.title = h("h3", {class: "tl-card-title"});
        this.earlier = h("select", {class: "tl-input tl-select tl-earlier", "aria-label": "Earlier plots",
            on: {change: (event) => {
                this.chosen = event.currentTarget.value;
                this.showPlots();
            }}});
        this.signs = fold("Signs of overfitting", h("ul", {class: "tl-signs"}, SIGNS.map((sign) =>
            h("li", {}, sign))));
        this.shown = h("section", {class: "tl-card", hidden: true},
            h("header", {class: "tl-card-head"}, this.title, this.earlier),
            h("div", {class: "tl-card-body"}, this.view.element, this.signs));
        this.nothing = emptyState("No plots of this run yet", "Press Generate: the images appear here one by one, " +
            "and the finished grid is also in the webui's grid folder.");
        this.fill = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the plot",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fill);
        this.words = h("p", {class: "tl-note", role: "status"});
        const stop = button("Stop", {kind: "danger", icon: "stop", small: true, id: "tl_test_stop",
            click: () => api("plots/stop", {body: {}}).then(this.poller.wake, () => {})});
        this.prediction = new PredictionNotice();
        this.drawings = new DrawingList();
        this.progress = h("div", {class: "tl-plot-progress", hidden: true}, this.bar,
            h("div", {class: "tl-row"}, this.words, stop));
        this.columns = h("div", {class: "tl-columns tl-test-columns", hidden: true}, h("div", {class: "tl-column"},
            card("Run or LoRA", {}, testField("What to test", this.picker)), this.form.element, this.sliders.element),
        h("div", {class: "tl-column tl-runview"}, this.prediction.element, this.progress, this.drawings.element,
            this.nothing, this.shown));
        panel.append(this.none, this.columns);
        this.poller = poll(() => this.look(), () => (this.drawing ? 1 : 0));
        on("host", () => this.lookAtPrediction());
        on("prediction", () => this.lookAtPrediction());
        on("runs", (runs) => this.offer(runs));
    }

    /** @template {string} R @param {R} rest of the address @returns {`runs/${string}/${R}`} */
    path(rest) {
        return `runs/${encodeURIComponent(this.run)}/${rest}`;
    }

    /** @param {import("../core/types").RunSummary[]} runs of which those with a saved file can be tested */
    offer(runs) {
        const tested = runs.filter((one) => one.saved.length);
        const own = new Set(tested.flatMap((one) => one.saved.map((file) => file.name)));
        const others = this.loras.filter((name) => !own.has(format.fileName(name)));
        const values = [...tested.map((one) => one.id), ...others.map((name) => LORA + name)];
        this.none.hidden = values.length > 0;
        this.columns.hidden = values.length === 0;
        const names = [...tested.map((one) => `${one.id}/${one.name}/${one.saved.length}`), ...others].join();
        if (this.picker.dataset.names === names) return;
        this.picker.dataset.names = names;
        fill(this.picker, h("optgroup", {label: "Runs"}, tested.map((one) => h("option", {value: one.id},
            `${one.name}, ${format.when(one.created)}`))), h("optgroup", {label: "Other LoRAs"},
        others.map((name) => h("option", {value: LORA + name}, name))));
        const wanted = this.picked || store.get("test_run", "");
        this.picker.value = values.includes(wanted) ? wanted : tested.length ? tested[0].id : "";
        if (this.picker.value !== this.picked) this.pick(this.picker.value);
    }

    /** @param {string} value of the picker */
    async pick(value) {
        this.picked = value;
        store.set("test_run", value);
        if (!value.startsWith(LORA)) {
            await this.choose(value);
            return;
        }
        try {
            const {id} = await api("lora/test", {body: {name: value.slice(LORA.length)}});
            if (this.picked === value) await this.choose(id);
        } catch {
            // the toast has said why
        }
    }

    /** @param {string} id of a run, empty for none */
    async choose(id) {
        if (this.run) runList.unwatch(this.run);
        this.run = id;
        this.chosen = "";
        if (id) runList.watch(id);
        if (!id) return;
        try {
            const facts = await api(this.path("test"));
            this.form.show(facts);
            this.prediction.show(facts.prediction);
            await this.look();
        } catch {
            // the toast has said why
        }
    }

    /** The checkpoint may have been changed, or loaded again, since the run was chosen. */
    async lookAtPrediction() {
        if (!this.run) return;
        const asked = this.run;
        const facts = await api(this.path("test"), {quiet: true}).catch(() => null);
        if (facts && asked === this.run) this.prediction.show(facts.prediction);
    }

    async look() {
        if (!this.run) return;
        const asked = this.run;
        const {plots, drawing, pace} = await api(this.path("plots"), {quiet: true});
        if (asked !== this.run) return;
        this.plots = plots;
        this.drawing = drawing;
        this.form.showPace(pace);
        this.showPlots();
    }

    showPlots() {
        const {plots, earlier} = this;
        const plot = plots.find((one) => one.id === this.chosen) || plots[0];
        this.nothing.hidden = plots.length > 0;
        this.shown.hidden = !plots.length;
        earlier.hidden = plots.length < 2;
        const names = plots.map((one) => one.id).join();
        if (earlier.dataset.names !== names) {
            earlier.dataset.names = names;
            fill(earlier, plots.map((one) => h("option", {value: one.id}, plotTitle(one))));
        }
        if (plot) {
            earlier.value = plot.id;
            setText(this.title, plotTitle(plot));
            this.signs.hidden = plot.kind === "blocks" || plot.kind === "strengths";
            this.view.show(plot);
        }
        this.showProgress();
    }

    showProgress() {
        const {drawing} = this;
        this.progress.hidden = !drawing;
        if (!drawing) return;
        this.fill.style.width = `${(100 * drawing.share).toFixed(1)}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(100 * drawing.share)));
        const words = drawing.waiting ? "Waiting for the webui" :
            `Image ${Math.min(drawing.done + 1, drawing.total)} of ${drawing.total}`;
        setText(this.words, drawing.run === this.run ? words : `${words} of another run`);
    }

    /** @param {import("./answers").PlotRequest} request */
    async draw(request) {
        const plot = await api(this.path("plots"), {body: request});
        this.chosen = plot.id;
        this.poller.wake();
        lookAtDrawings();
    }

    /** @param {string} text of the test prompts */
    keepPrompts(text) {
        api(this.path("test-prompts"), {body: {text}}).catch(() => {});
    }

    /**
     * The LoRA `name` of the run goes into txt2img's prompt, called with `end` behind its name.
     * @param {string} name @param {string} end
     */
    async tryWith(name, end) {
        const file = this.form.facts && this.form.facts.files.find((one) => one.name === name);
        if (!file) return;
        try {
            const answer = await api(this.path("try"), {body: {path: file.path}});
            toTxt2img({...answer, end});
        } catch {
            // the toast has said why
        }
    }

    /**
     * A copy of the LoRA `name` with the block weights in it for good.
     * @param {string} name @param {string} blocks
     */
    async bakeInto(name, blocks) {
        try {
            const baking = await api(this.path("bake"), {body: {file: name, blocks}});
            toast("info", `Baking the block weights into ${baking.name} …`);
            await ended(baking.id, baking.name);
        } catch {
            // the toast has said why
        }
    }

    /** @param {import("./answers").MarkedPlot["changes"]} changes of the settings */
    use(changes) {
        const {job} = runList.model(this.run);
        if (job) formState.take(job, ["save.output_dir", "training.device"]);
        for (const [key, value] of Object.entries(changes)) formState.set(key, value);
        showTab("train");
        toast("good", "The settings of this run, with the change, are in the form.");
    }

    async comesIntoView() {
        runList.refresh();
        try {
            this.loras = (await api("lora/files")).names;
            this.offer(runList.all());
            this.sliders.show(await api("block-presets"));
        } catch {
            // the toast has said why
        }
        if (this.run) this.poller.wake();
        this.lookAtPrediction();
    }
}

/** Says so when a run that bakes has ended. @param {string} id @param {string} name of the file that it makes */
async function ended(id, name) {
    const answer = await api(`runs/${encodeURIComponent(id)}`);
    if (answer.state === "finished") {
        toast("good", `${name} is saved and in the webui's list of LoRAs.`);
    } else if (["waiting", "running"].includes(answer.state)) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        await ended(id, name);
    } else {
        toast("error", answer.error || `${name} could not be made. The log of the run ${id} says why.`);
    }
}

/** @type {TestTab|null} */
let tab = null;
registerTab({id: "test", title: "Test", order: 35, build: (panel) => {
    tab = new TestTab(panel);
}, shown: () => tab && tab.comesIntoView()});
