/** The bar at the foot of the Train tab: status, progress and buttons. */

import {api, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {environmentState, host} from "../core/host.js";
import {button, toast} from "../core/parts.js";
import {root} from "../core/shell.js";
import {readTxt2img} from "../core/txt2img_form.js";
import {RunControls} from "../runs/controls.js";
import {QueueList} from "../runs/queue.js";
import {form} from "./form.js";
import {checkJob, plan as planState, setStrict} from "./plan.js";

/** @typedef {import("../runs/model.js").RunModel} RunModel */

/**
 * @param {{run: () => RunModel|null, started: (id: string, name: string) => void}} train `run` returns the run shown
 * in the tab
 * @returns {HTMLElement}
 */
export function actionBar(train) {
    const sentence = h("p", {class: "tl-action-sentence", role: "status"});
    const second = h("p", {class: "tl-action-second"});
    const controls = new RunControls(train.run, "tl");
    const start = button("Train", {kind: "primary", icon: "play", id: "tl_train", click: press});
    const queue = button("Queue another", {icon: "plus", id: "tl_queue", click: press});
    const waiting = new QueueList(() => train.run()?.id || "");
    let busy = false;
    let clearNotice = () => {};
    on("plan", ({problems}) => {
        if (!problems.length) clearNotice();
    });

    async function press() {
        setStrict(true);
        setBusy(true);
        await checkJob();
        const problems = planState ? planState.problems : [];
        if (problems.length) {
            toFirstProblem();
            clearNotice();
            clearNotice = toast("warning", "Something is still missing or wrong in the form.",
                {problems: problems.map(form.inWords)});
        } else {
            await begin();
        }
        setBusy(false);
    }

    async function begin() {
        try {
            const txt2img = form.get("sample.sample_by") === "worker" ? null : await readTxt2img();
            const {id, name} = await api("runs", {body: {job: form.job(), txt2img}});
            setStrict(false);
            train.started(id, name);
        } catch {
            // already reported by a toast
        }
    }

    /** @param {boolean} now */
    function setBusy(now) {
        busy = now;
        show();
    }

    function show() {
        const run = train.run();
        const {live} = controls;
        start.hidden = live;
        queue.hidden = !live;
        start.disabled = queue.disabled = busy || environmentState() !== "ready";
        setText(sentence, run && live ? run.sentence() : idleSentence(run));
        setText(second, secondLine(run));
        waiting.show();
        controls.show();
    }

    for (const name of /** @type {const} */ (["run", "runs", "plan", "host", "dataset", "shown-run"])) on(name, show);
    show();
    return h("div", {class: "tl-actions", role: "region", "aria-label": "Training"}, controls.bar,
        waiting.list,
        h("div", {class: "tl-actions-row"}, h("div", {class: "tl-action-words"}, sentence, second),
            h("div", {class: "tl-action-buttons"}, waiting.toggle, controls.buttons, queue, start)));
}

/** @param {RunModel|null} run */
function idleSentence(run) {
    const plan = planState;
    const environment = environmentState();
    if (environment === "installing") return "You can train as soon as the packages are installed.";
    if (environment !== "ready") return "Install the training packages first, with the button at the top.";
    if (!form.get("dataset.train_data_dir")) return "Choose a folder with images to begin.";
    if (!form.get("save.output_name")) return "Give the LoRA a name to begin.";
    const wrong = plan ? plan.problems.length : 0;
    if (wrong) return `Fix ${format.plural(wrong, "problem")} in the form first.`;
    if (plan && plan.total_steps) {
        return `Ready: ${format.plural(plan.total_steps, "step")}, saved as ${plan.output_name_final}.`;
    }
    return run ? run.sentence() : "Press Load to read the folder.";
}

/** @param {RunModel|null} run */
function secondLine(run) {
    if (run && run.open) {
        const busy = host && host.busy && host.busy.text;
        const pace = run.paceText();
        if (run.state === "waiting") return busy || "It starts by itself when the run before it is done.";
        return `${run.summary.name}${pace ? `: ${pace}` : ""}${busy ? `. ${busy}` : ""}`;
    }
    if (run) return `Last run: ${run.summary.name}. ${run.sentence()}`;
    return "";
}

function toFirstProblem() {
    const first = root.querySelector(".tl-has-problem");
    if (!first) return;
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    first.scrollIntoView({block: "center", behavior: reduced ? "auto" : "smooth"});
    const control = first.querySelector("input, select, textarea");
    if (control instanceof HTMLElement) control.focus({preventScroll: true});
}
