/** The sub-tab "Test": a run's files tried out in plots that the webui draws, and what they say about the next run. */

import {api, fill, h, on, setText, store} from "../core/dom.js";
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
    "Details of single training pictures come back: a logo, a watermark, a fold in the clothes.",
    "Clothes, age or expression in the prompt are ignored.",
    "It only looks right below strength 1, or everything else in the picture suffers."];

/** @type {any} */ let form = null;
/** @type {any} */ let view = null;
/** @type {any} */ let sliders = null;
let run = "";
let chosen = "";
/** @type {any[]} */ let plots = [];
/** @type {any} */ let drawing = null;
/** @type {any} */ let poller = null;
/** @type {any} */ let parts = null;

const path = (rest) => `runs/${encodeURIComponent(run)}/${rest}`;

async function choose(id) {
    if (run) runList.unwatch(run);
    run = id;
    chosen = "";
    if (run) runList.watch(run);
    store.set("test_run", id);
    if (!id) return;
    try {
        const facts = await api(path("test"));
        form.show(facts);
        parts.prediction.show(facts.prediction);
        await look();
    } catch {
        // the toast has said why
    }
}

/** The checkpoint may have been changed, or loaded again, since the run was chosen. */
async function lookAtPrediction() {
    if (!run) return;
    const asked = run;
    const facts = await api(path("test"), {quiet: true}).catch(() => null);
    if (facts && asked === run) parts.prediction.show(facts.prediction);
}

async function look() {
    if (!run) return;
    const asked = run;
    const answer = await api(path("plots"), {quiet: true});
    if (asked !== run) return;
    ({plots, drawing} = answer);
    showPlots();
}

function showPlots() {
    const plot = plots.find((one) => one.id === chosen) || plots[0];
    parts.nothing.hidden = plots.length > 0;
    parts.shown.hidden = !plots.length;
    parts.earlier.hidden = plots.length < 2;
    const names = plots.map((one) => one.id).join();
    if (parts.earlier.dataset.names !== names) {
        parts.earlier.dataset.names = names;
        fill(parts.earlier, plots.map((one) => h("option", {value: one.id}, plotTitle(one))));
    }
    if (plot) {
        parts.earlier.value = plot.id;
        setText(parts.title, plotTitle(plot));
        parts.signs.hidden = plot.kind === "blocks" || plot.kind === "strengths";
        view.show(plot);
    }
    showProgress();
}

function showProgress() {
    const here = drawing && drawing.run === run;
    parts.progress.hidden = !drawing;
    form.setBusy(Boolean(drawing));
    if (!drawing) return;
    parts.fill.style.width = `${(100 * drawing.share).toFixed(1)}%`;
    parts.bar.setAttribute("aria-valuenow", String(Math.round(100 * drawing.share)));
    const words = drawing.waiting ? "Waiting for the webui" :
        `Picture ${Math.min(drawing.done + 1, drawing.total)} of ${drawing.total}`;
    setText(parts.words, here ? words : `${words} of another run`);
}

async function draw(request) {
    const plot = await api(path("plots"), {body: request});
    chosen = plot.id;
    poller.wake();
}

/** The LoRA `name` of the run goes into txt2img's prompt, called with `end` behind its name. */
export async function tryWith(name, end) {
    const file = form.facts.files.find((one) => one.name === name);
    if (!file) return;
    try {
        const answer = await api(path("try"), {body: {path: file.path}});
        toTxt2img({...answer, end});
    } catch {
        // the toast has said why
    }
}

/** A copy of the LoRA `name` with the block weights in it for good. */
export async function bakeInto(name, blocks) {
    try {
        const baking = await api(path("bake"), {body: {file: name, blocks}});
        toast("info", `Baking the block weights into ${baking.name} …`);
        await ended(baking.id, baking.name);
    } catch {
        // the toast has said why
    }
}

async function ended(id, name) {
    const answer = await api(`runs/${encodeURIComponent(id)}`);
    if (answer.state === "finished") {
        toast("good", `${name} is made, and in the webui's list of LoRAs.`);
    } else if (["waiting", "running"].includes(answer.state)) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        await ended(id, name);
    } else {
        toast("error", answer.error || `${name} could not be made. The log of the run ${id} says why.`);
    }
}

function use(changes) {
    const job = runList.model(run).job;
    if (job) formState.take(job, ["save.output_dir", "training.device"]);
    for (const [key, value] of Object.entries(changes)) formState.set(key, value);
    showTab("train");
    toast("good", "The settings of this run, with the change, are in the form.");
}

function progressPart() {
    const fillBar = h("div", {class: "tl-bar-fill"});
    const bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the plot",
        "aria-valuemin": "0", "aria-valuemax": "100"}, fillBar);
    const words = h("p", {class: "tl-note", role: "status"});
    const stop = button("Stop", {kind: "danger", icon: "stop", small: true, id: "tl_test_stop",
        click: () => api("plots/stop", {body: {}}).then(poller.wake, () => {})});
    return {progress: h("div", {class: "tl-plot-progress", hidden: true}, bar,
        h("div", {class: "tl-row"}, words, stop)), bar, fill: fillBar, words};
}

function build(panel) {
    const picker = h("select", {class: "tl-input tl-select", id: "tl_test_run",
        on: {change: () => choose(picker.value)}});
    const none = emptyState("Nothing to test yet", "When a run has saved its first epoch, it can be tried out " +
        "here: epochs side by side, strengths, blocks.",
    button("Go to Train", {kind: "primary", click: () => showTab("train")}));
    form = new TestForm({draw, keepPrompts: (text) =>
        api(path("test-prompts"), {body: {text}}).catch(() => {}), fileChosen: () => sliders && sliders.load()});
    sliders = new BlockSliders({file: () => form.file.value, path});
    view = new PlotView({fileUrl: (file) => runList.fileUrl(run, file), use,
        tryFile: (name) => tryWith(name, ""),
        mark: (plot, column, row) => api(path("plots/mark"), {body: {plot: plot.id, column, row}})});
    const title = h("h3", {class: "tl-card-title"});
    const earlier = h("select", {class: "tl-input tl-select tl-earlier", "aria-label": "Earlier plots",
        on: {change: () => {
            chosen = earlier.value;
            showPlots();
        }}});
    const signs = fold("Signs of overfitting", h("ul", {class: "tl-signs"}, SIGNS.map((sign) =>
        h("li", {}, sign))));
    const shown = h("section", {class: "tl-card", hidden: true},
        h("header", {class: "tl-card-head"}, title, earlier), h("div", {class: "tl-card-body"}, view.element, signs));
    const nothing = emptyState("No plots of this run yet", "Press Draw: the pictures come here one by one, " +
        "and the finished grid is also in the webui's grid folder.");
    const prediction = new PredictionNotice();
    parts = {...progressPart(), prediction, nothing, shown, title, earlier, signs};
    const columns = h("div", {class: "tl-columns", hidden: true}, h("div", {class: "tl-column"},
        card("Run", {}, testField("Which run to test", picker)), form.element, sliders.element),
    h("div", {class: "tl-column tl-runview"}, prediction.element, parts.progress, nothing, shown));
    panel.append(none, columns);
    poller = poll(look, () => (drawing ? 1 : 0));

    on("host", lookAtPrediction);
    on("prediction", lookAtPrediction);
    on("runs", (runs) => {
        const tested = runs.filter((one) => one.saved && one.saved.length);
        none.hidden = tested.length > 0;
        columns.hidden = tested.length === 0;
        const names = tested.map((one) => `${one.id}/${one.saved.length}`).join();
        if (picker.dataset.names === names) return;
        picker.dataset.names = names;
        fill(picker, tested.map((one) => h("option", {value: one.id},
            `${one.name}, ${format.when(one.created)}`)));
        const wanted = run || store.get("test_run", "");
        picker.value = tested.some((one) => one.id === wanted) ? wanted : tested.length ? tested[0].id : "";
        if (picker.value !== run) choose(picker.value);
    });
}

async function shown() {
    runList.refresh();
    try {
        sliders.show(await api("block-presets"));
    } catch {
        // the toast has said why
    }
    if (run) poller.wake();
    lookAtPrediction();
}

export const testPlots = () => plots.map((plot) => plot.id);
registerTab({id: "test", title: "Test", order: 35, build, shown});
